import type { Deadline } from './deadline.js'

/**
 * Runs this process's writes to one store, one after the other for each id, in the order in which they were requested. A turn
 * ends only when its calls have ended, even if nobody waits for them any more. So a late call cannot overwrite a newer value.
 */
export class WriteQueue {
  /** The end of the last turn of each id */
  readonly #ends = new Map<string, Promise<void>>()

  /**
   * Does work after all earlier work on the id has ended.
   * @param deadline if it passes before the turn comes, the work is not done
   * @throws FST_SESSION_STORE when the deadline passes before the turn comes
   */
  async turn<T> (id: string, deadline: Deadline | undefined, work: () => Promise<T>): Promise<T> {
    // Before the queue changes: a caller that is too late must not replace the turn that is under way.
    deadline?.next('an earlier write of the session')
    const before = this.#ends.get(id)
    let leave!: () => void
    const end = new Promise<void>(resolve => { leave = resolve })
    // Before the work begins: the store may call the app, whose writes must wait for this one.
    this.#ends.set(id, end)
    try {
      if (before !== undefined) {
        await before
        deadline?.next('')
      }
      return await work()
    } finally {
      // The queue only needs to know when the turn has ended. The caller receives the result or the error.
      if (this.#ends.get(id) === end) this.#ends.delete(id)
      leave()
    }
  }
}

const queues = new WeakMap<object, WriteQueue>()

/** Returns the queue of a store or a list of revoked sessions, which all scopes, apps and named sessions share. */
export function queueOf (store: object): WriteQueue {
  const known = queues.get(store) ?? new WriteQueue()
  queues.set(store, known)
  return known
}
