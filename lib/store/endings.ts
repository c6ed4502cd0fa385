import type { EventEmitter } from 'node:events'
import type { SessionStore } from '../../types/index.js'

/** How long a store may take to stop listening when the app closes, in milliseconds */
const CLOSING = 1000

/** A session that is held open, by a websocket or a stream. */
interface Watch {
  readonly controller: AbortController
  /** Looks the session up, and ends the watch if it has ended */
  readonly look: () => Promise<void>
  timer: NodeJS.Timeout
}

/** Tells who holds a session open that it has ended. */
export class Endings {
  readonly #watches = new Map<string, Set<Watch>>()
  readonly #store: SessionStore | undefined
  #subscription: Promise<() => Promise<void>> | undefined

  constructor (store: SessionStore | undefined) {
    this.#store = store
  }

  /**
   * @param every seconds between two look-ups
   * @param lives looks the session up; where it rejects, the next look-up decides
   * @param connection its `close` ends the watch; where it is closed already, there is nobody to tell
   */
  watch (id: string, every: number, lives: () => Promise<boolean>, connection: EventEmitter & { readonly destroyed?: boolean }): AbortSignal {
    if (connection.destroyed === true) return new AbortController().signal
    const look = async (): Promise<void> => {
      this.#subscribe()
      const hasEnded = await lives().then(lives => !lives, () => false)
      if (hasEnded) this.announce(id)
      if (hasEnded || !watches.has(watch)) return
      // Several look-ups may have been under way at once. One timer is left.
      clearTimeout(watch.timer)
      watch.timer = later(look, every)
    }
    const watch: Watch = { controller: new AbortController(), look, timer: later(look, every) }
    const watches = this.#watches.get(id) ?? new Set()
    this.#watches.set(id, watches.add(watch))
    connection.once('close', () => {
      clearTimeout(watch.timer)
      watches.delete(watch)
      if (watches.size === 0 && this.#watches.get(id) === watches) this.#watches.delete(id)
    })
    this.#subscribe()
    return watch.controller.signal
  }

  /** A session has ended: whoever holds it hears of it. */
  announce (id: string): void {
    const watches = this.#watches.get(id)
    if (watches === undefined) return
    this.#watches.delete(id)
    for (const { controller, timer } of watches) {
      clearTimeout(timer)
      controller.abort(new Error('the session has ended'))
    }
    watches.clear()
  }

  /** Sessions have ended, and nobody here knows which: all that are held are looked up. */
  lookNow (): void {
    for (const watches of this.#watches.values()) {
      for (const { look, timer } of watches) {
        clearTimeout(timer)
        look()
      }
    }
  }

  /** Listens for what other processes end, from the first watch on. A server that is away is tried again at the next look-up. */
  #subscribe (): void {
    const store = this.#store
    if (this.#subscription !== undefined || store?.subscribe === undefined) return
    // A store may throw, rather than reject.
    const subscription = (async () => await store.subscribe!(id => { this.announce(id) }))()
    this.#subscription = subscription
    subscription.catch(() => {
      if (this.#subscription === subscription) this.#subscription = undefined
    })
  }

  /** The app closes. */
  async close (): Promise<void> {
    for (const watches of this.#watches.values()) {
      for (const { timer } of watches) clearTimeout(timer)
      watches.clear()
    }
    this.#watches.clear()
    if (this.#subscription === undefined) return
    const stopped = this.#subscription.then(async stop => { await stop() }, () => {})
    // A server that does not answer, so that the subscription has not even begun, must not keep the app from closing.
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, CLOSING)
      stopped.then(resolve, reject).finally(() => { clearTimeout(timer) })
    })
  }
}

/** Seconds from now, in a way that does not keep the process alive. */
function later (work: () => Promise<void>, seconds: number): NodeJS.Timeout {
  const timer = setTimeout(work, seconds * 1000)
  timer.unref()
  return timer
}
