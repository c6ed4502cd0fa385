/**
 * Prunes at intervals, with timers that do not keep the process alive. The first delay is a random part of the interval, so that
 * nodes that start together do not prune together. After a failure, the next run tries again.
 * @param seconds from the end of one run to the start of the next
 * @param hasEnded returns whether to stop
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
