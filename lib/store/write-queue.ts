import type { Deadline } from './deadline.js'

/**
 * The writes of one store by this process: one after the other for each id, in the order in which they were asked for. A turn
 * ends when its calls have really ended, whoever has given up waiting for them: a call that lands late can overtake nobody.
 */
export class WriteQueue {
  /** The end of the last turn of each id that has one */
  readonly #ends = new Map<string, Promise<void>>()

  /**
   * Does work when all earlier work on the id has ended.
   * @param deadline when it passes before the turn comes, the work is not done at all
   * @throws FST_SESSION_STORE when the deadline passes before the turn comes
   */
  async turn<T> (id: string, deadline: Deadline | undefined, work: () => Promise<T>): Promise<T> {
    // Before the queue is touched: whoever comes too late must not hide the turn that is under way.
    deadline?.next('an earlier write of the session')
    const before = this.#ends.get(id)
    const mine = this.#after(before, deadline, work)
    const end = mine.then(ignore, ignore)
    this.#ends.set(id, end)
    try {
      return await mine
    } finally {
      if (this.#ends.get(id) === end) this.#ends.delete(id)
    }
  }

  async #after<T> (before: Promise<void> | undefined, deadline: Deadline | undefined, work: () => Promise<T>): Promise<T> {
    await before
    deadline?.next('')
    return await work()
  }
}

// Whoever asked for the turn has its result or its error; here only its end counts.
function ignore (): void {}

const queues = new WeakMap<object, WriteQueue>()

/** The queue of a store, or of a list of revoked sessions: all scopes, apps and named sessions that use it share one. */
export function queueOf (store: object): WriteQueue {
  const known = queues.get(store) ?? new WriteQueue()
  queues.set(store, known)
  return known
}
