import { errors } from '../errors.js'

/** How long one load or one save may wait for stores, in all. */
export class Deadline {
  /** Whether the time is up: the request has its error, and no further call is made for it */
  isOver = false
  /** What is waited for at the moment */
  #call = ''
  /** Why that may not answer, where it is known */
  #known: (() => unknown) | undefined
  readonly #seconds: number
  readonly #endsAt: number
  #timer: NodeJS.Timeout | undefined
  readonly #passed: Promise<never>

  /** @param seconds counted from now */
  constructor (seconds: number) {
    this.#seconds = seconds
    this.#endsAt = performance.now() + seconds * 1000
    this.#passed = new Promise((_resolve, reject) => {
      this.#timer = setTimeout(() => {
        this.isOver = true
        reject(this.#error())
      }, seconds * 1000)
    })
  }

  /** Seconds that are left. */
  get left (): number {
    return Math.max(this.#endsAt - performance.now(), 0) / 1000
  }

  /**
   * The answer of work that may take the whole time. Work that is given up goes on by itself until its call ends: a call to a
   * store cannot be taken back.
   * @throws FST_SESSION_STORE when the time is up
   */
  async bound<T> (work: () => Promise<T>): Promise<T> {
    try {
      return await Promise.race([work(), this.#passed])
    } finally {
      clearTimeout(this.#timer)
    }
  }

  /**
   * Notes what is waited for from here on.
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

/** The error of a store. The cause's own message stays with the cause: it is for the log, this one may reach the client. */
export function unavailable (call: string, what: string, cause: unknown): Error {
  return new errors.FST_SESSION_STORE(call, what, { cause })
}

/** What was thrown, as FST_SESSION_STORE. */
export function asUnavailable (call: string, error: unknown): Error {
  return error instanceof errors.FST_SESSION_STORE ? error : unavailable(call, 'failed', error)
}
