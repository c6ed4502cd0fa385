import type { EventEmitter } from 'node:events'
import type { SessionStore } from '../../types/index.js'

/** How long a store may take to stop listening when the app closes, in milliseconds */
const CLOSING = 1000

/** A signal for a session that a websocket or a stream uses. */
interface Watch {
  readonly controller: AbortController
  /** Looks up the session, and aborts the signal if it has ended */
  readonly look: () => Promise<void>
  timer: NodeJS.Timeout
}

/** Aborts the signals of sessions that have ended. */
export class Endings {
  readonly #watches = new Map<string, Set<Watch>>()
  readonly #store: SessionStore | undefined
  #subscription: Promise<() => Promise<void>> | undefined

  constructor (store: SessionStore | undefined) {
    this.#store = store
  }

  /**
   * Returns a signal that aborts when the session ends.
   * @param every seconds between two look-ups
   * @param lives looks up the session; if it rejects, the next look-up decides
   * @param connection its `close` event ends the watch; after it, nobody needs the signal
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
    // The session may have ended since it was loaded.
    look()
    return watch.controller.signal
  }

  /** Aborts the signals of a session that has ended. */
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

  /** Looks up all watched sessions, because some have ended and their ids are unknown. */
  lookNow (): void {
    for (const watches of this.#watches.values()) {
      for (const { look, timer } of watches) {
        clearTimeout(timer)
        look()
      }
    }
  }

  /** Subscribes to sessions that other processes end, from the first watch on. After a failure, the next look-up tries again. */
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

  /** Stops all watches and the subscription. Called when the app closes. */
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

/** Does work some seconds from now, with a timer that does not keep the process alive. */
function later (work: () => Promise<void>, seconds: number): NodeJS.Timeout {
  const timer = setTimeout(work, seconds * 1000)
  timer.unref()
  return timer
}
