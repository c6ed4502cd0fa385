/**
 * Prunes again and again, never keeping the process from ending. The first time is a random part of the interval away, so that
 * nodes that start at once do not prune at once. What fails is tried again the next time.
 * @param seconds between the end of one time and the start of the next
 * @param hasEnded whether there will never be anything to prune any more
 */
export function pruneRegularly (seconds: number, prune: () => Promise<unknown>, hasEnded: () => boolean): void {
  const later = (milliseconds: number): void => {
    setTimeout(() => {
      if (hasEnded()) return
      const again = (): void => { later(seconds * 1000) }
      prune().then(again, again)
    }, milliseconds).unref()
  }
  later(Math.random() * seconds * 1000)
}
