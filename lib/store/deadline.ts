import { errors } from '../errors.js'

/** Limits the total time that one load or one save may wait for stores. */
export class Deadline {
  /** Whether the time is up. The request has failed by then, and makes no further calls */
  isOver = false
  /** The call that is under way */
  #call = ''
  /** Returns why that call may not return, if it is known */
  #known: (() => unknown) | undefined
  readonly #seconds: number
  readonly #endsAt: number

  /** @param seconds counted from now */
  constructor (seconds: number) {
    this.#seconds = seconds
    this.#endsAt = performance.now() + seconds * 1000
  }

  /** The seconds that are left. */
  get left (): number {
    return Math.max(this.#endsAt - performance.now(), 0) / 1000
  }

  /**
   * Returns the result of work that must end in time. After a timeout, the work goes on until its present call ends, because a
   * call to a store cannot be cancelled. Must be called as soon as the deadline was created.
   * @throws FST_SESSION_STORE when the time is up
   */
  bound<T> (work: () => Promise<T>): Promise<T> {
    // Not Promise.race, which takes three times as long.
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.isOver = true
        reject(this.#error())
      }, this.#seconds * 1000)
      work().then(result => {
        clearTimeout(timer)
        resolve(result)
      }, (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      })
    })
  }

  /**
   * Records the call that begins now.
   * @throws FST_SESSION_STORE when the time is up
   */
  next (call: string, known?: () => unknown): void {
    this.#call = call
    this.#known = known
    if (this.isOver) throw this.#error()
  }

  #error (): Error {
    return unavailable(this.#call, 'did not answer in time', this.#known?.() ?? new Error(`no answer in ${this.#seconds} seconds`))
  }
}

/** Creates the error of a store. It does not contain the cause's message, because it may reach the client; the log shows the cause. */
export function unavailable (call: string, what: string, cause: unknown): Error {
  return new errors.FST_SESSION_STORE(call, what, { cause })
}

/** Wraps a thrown error in FST_SESSION_STORE, unless it is one. */
export function asUnavailable (call: string, error: unknown): Error {
  return error instanceof errors.FST_SESSION_STORE ? error : unavailable(call, 'failed', error)
}
