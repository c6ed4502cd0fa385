import { AsyncLocalStorage } from 'node:async_hooks'
import type { SessionStore } from '../../types/index.js'
import { invalid, refused } from '../options/checks.js'
import { asUnavailable, unavailable } from './deadline.js'
import type { Deadline } from './deadline.js'

/** @throws FST_SESSION_INVALID_OPTION where a value does not have the methods of a store */
export function parseStore<Store extends object> (option: string, store: Store, methods: readonly string[]): Store {
  const missing = methods.filter(name => typeof (Object(store) as Record<string, unknown>)[name] !== 'function')
  if (missing.length > 0) throw invalid(option, `an object with the methods ${methods.join(', ')}`, store)
  if ((store as { opts?: { emitErrors?: boolean } }).opts?.emitErrors === false) {
    throw refused(option, 'a Keyv with emitErrors: false hides its failures, and an outage would log everybody out')
  }
  return store
}

export const STORE_METHODS: readonly string[] = ['get', 'set', 'delete']

/** Keyv's `getRaw` and `getManyRaw`, which do not hide the failures of its adapter as its `get` and `getMany` do. */
interface Raw {
  getRaw? (id: string): Promise<{ value?: unknown } | null | undefined>
  getManyRaw? (ids: string[]): Promise<Array<{ value?: unknown } | null | undefined>>
}

/** An entry of a user, as the store has it. */
export interface FoundEntry {
  readonly id: string
  readonly value: string
  /** Milliseconds since 1970 */
  readonly expiresAt: number
}

/** Whether a store can find the entries of a user. Such a store also tells whether `delete` and `touch` have met an entry. */
export function canFind (store: SessionStore): store is SessionStore & Required<Pick<SessionStore, 'find'>> {
  return typeof store.find === 'function'
}

/** Stands for a value that is there and cannot be decoded; it is no session. */
const UNDECODABLE = 'null'

/** What a store has answered, as a string; `undefined` where there is nothing. */
function asText (value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString() : JSON.stringify(value)
}

/** Calls a store by the contract of `SessionStore`: each call has its answer, or rejects with FST_SESSION_STORE. */
export class StoreClient {
  readonly canTouch: boolean
  readonly canReplace: boolean
  /** Whether the store can find the entries of a user, and `delete` tells whether there was an entry */
  readonly canFind: boolean
  readonly #store: SessionStore & Raw
  readonly #reports: Reports | undefined

  constructor (store: SessionStore) {
    this.#store = store
    this.canTouch = typeof store.touch === 'function'
    this.canReplace = typeof store.replace === 'function'
    this.canFind = canFind(store)
    this.#reports = Reports.of(store)
  }

  /** The value of an id as a string, `undefined` where there is none. Some stores parse JSON themselves. */
  async get (id: string, deadline?: Deadline): Promise<string | undefined> {
    const store = this.#store
    try {
      return await this.#call('get', deadline, async () => asText(typeof store.getRaw === 'function'
        ? (await store.getRaw(id))?.value
        : await store.get(id)
      ))
    } catch (error) {
      // The store works, but this entry is not JSON. The error is not kept: its message would show a piece of the entry.
      if (((error as Error).cause as Error | undefined)?.name === 'SyntaxError') return UNDECODABLE
      throw error
    }
  }

  /** The values of several ids, in one call where the store has one for it. */
  async getMany (ids: string[], deadline?: Deadline): Promise<Array<string | undefined>> {
    const store = this.#store
    if (typeof store.getMany !== 'function') return await Promise.all(ids.map(async id => await this.get(id, deadline)))
    return await this.#call('getMany', deadline, async () => {
      const values = typeof store.getManyRaw === 'function'
        ? (await store.getManyRaw(ids)).map(found => found?.value)
        : await store.getMany!(ids)
      if (!Array.isArray(values) || values.length !== ids.length) throw new Error('getMany did not return one value for each id')
      return values.map(asText)
    })
  }

  /** @param user whose the entry is; without one it is nobody's */
  async set (id: string, value: string, ttlMs: number, deadline?: Deadline, user?: string): Promise<void> {
    await this.#call('set', deadline, async () => {
      const answer = await (user === undefined ? this.#store.set(id, value, ttlMs) : this.#store.set(id, value, ttlMs, user))
      // Keyv's sign of a failure
      if (answer === false) throw new Error('the store answered false')
    })
  }

  /** Whether there was an entry; `true` also where the store does not tell. */
  async delete (id: string, deadline?: Deadline): Promise<boolean> {
    const answer = await this.#call('delete', deadline, async () => {
      const answer = await this.#store.delete(id)
      // Who has ended a session depends on the answer.
      if (this.canFind && typeof answer !== 'boolean' && typeof answer !== 'number') throw new Error('a store with find must return from delete whether there was an entry')
      return answer
    })
    return !this.canFind || answer === true || (typeof answer === 'number' && answer > 0)
  }

  /** The entries of a user. Only where `canFind`. */
  async find (user: string, deadline?: Deadline): Promise<readonly FoundEntry[]> {
    return await this.#call('find', deadline, async () => {
      const found: unknown = await this.#store.find!(user)
      if (!Array.isArray(found)) throw new Error('find did not return an array')
      return found as FoundEntry[]
    })
  }

  /** Whether there was an entry; `true` also where the store does not tell. Only where `canTouch`. */
  async touch (id: string, ttlMs: number, deadline?: Deadline): Promise<boolean> {
    const answer = await this.#call('touch', deadline, async () => await this.#store.touch!(id, ttlMs))
    return answer !== false && answer !== 0
  }

  /** Whether the entry still was `previous`. Only where `canReplace`. */
  async replace (id: string, previous: string, value: string, ttlMs: number, deadline?: Deadline, user?: string): Promise<boolean> {
    const answer: unknown = await this.#call('replace', deadline, async () => await (user === undefined
      ? this.#store.replace!(id, previous, value, ttlMs)
      : this.#store.replace!(id, previous, value, ttlMs, user)))
    return answer === true || answer === 1
  }

  async #call<T> (name: string, deadline: Deadline | undefined, call: () => Promise<T>): Promise<T> {
    if (this.#reports !== undefined) return await this.#reports.hear(name, deadline, call)
    deadline?.next(name)
    try {
      return await call()
    } catch (error) {
      throw asUnavailable(name, error)
    }
  }
}

/** One call of a store, and the error that the store has emitted for it. */
interface Call { error?: unknown, hasEnded?: true }

/**
 * The errors that a store emits. Keyv reports failures so, and answers as if there were no entry. An error that is emitted while
 * a call runs, in the call's own chain of promises, belongs to that call alone. One from elsewhere (a connection that broke) makes
 * any answer doubtful that might hide it.
 */
class Reports {
  static readonly #known = new WeakMap<object, Reports>()
  readonly #calls = new AsyncLocalStorage<Call>()
  /** How many errors came from elsewhere, and the last of them */
  #strays = 0
  #last: unknown

  /** One listener for each store, however many use it; none for a store that emits nothing. */
  static of (store: object): Reports | undefined {
    const { on } = store as { on? (event: 'error', listener: (error: unknown) => void): unknown }
    if (typeof on !== 'function') return undefined
    const known = Reports.#known.get(store) ?? new Reports()
    if (!Reports.#known.has(store)) {
      Reports.#known.set(store, known)
      on.call(store, 'error', error => { known.#note(error) })
    }
    return known
  }

  #note (error: unknown): void {
    const call = this.#calls.getStore()
    // A connection that a call has opened keeps its context: what it emits later is of no call.
    if (call === undefined || call.hasEnded) {
      this.#strays++
      this.#last = error
    } else {
      call.error = error
    }
  }

  async hear<T> (name: string, deadline: Deadline | undefined, run: () => Promise<T>): Promise<T> {
    const call: Call = {}
    const strays = this.#strays
    const stray = (): unknown => this.#strays === strays ? undefined : this.#last
    deadline?.next(name, () => call.error ?? stray())
    let answer: T
    try {
      answer = await this.#calls.run(call, run)
    } catch (error) {
      throw asUnavailable(name, error)
    } finally {
      call.hasEnded = true
    }
    const error = call.error ?? stray()
    // An entry that was found proves that the call did not fail.
    if (error !== undefined && !isAllThere(name, answer)) throw unavailable(name, 'failed', error)
    return answer
  }
}

/** Whether a call for entries has found all of them. */
function isAllThere (name: string, answer: unknown): boolean {
  if (name === 'get') return answer !== undefined && answer !== null
  return name === 'getMany' && (answer as unknown[]).every(value => value !== undefined)
}
