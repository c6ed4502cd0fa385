import { AsyncLocalStorage } from 'node:async_hooks'
import type { SessionStore } from '../../types/index.js'
import { invalid, refused } from '../options/checks.js'
import type { MaybePromise } from '../then.js'
import { asUnavailable, unavailable } from './deadline.js'
import type { Deadline } from './deadline.js'

/** @throws FST_SESSION_INVALID_OPTION if a value lacks the methods of a store */
export function parseStore<Store extends object> (option: string, store: Store, methods: readonly string[]): Store {
  const missing = methods.filter(name => typeof (Object(store) as Record<string, unknown>)[name] !== 'function')
  if (missing.length > 0) throw invalid(option, `an object with the methods ${methods.join(', ')}`, store)
  if ((store as { opts?: { emitErrors?: boolean } }).opts?.emitErrors === false) {
    throw refused(option, 'a Keyv with emitErrors: false hides its failures, so an outage would log everybody out')
  }
  return store
}

export const STORE_METHODS: readonly string[] = ['get', 'set', 'delete']

/** Keyv's `getRaw` and `getManyRaw`. Unlike its `get` and `getMany`, they do not hide failures of the adapter. */
interface Raw {
  getRaw? (id: string): Promise<{ value?: unknown } | null | undefined>
  getManyRaw? (ids: string[]): Promise<Array<{ value?: unknown } | null | undefined>>
}

/** An entry of a user, as the store returns it. */
export interface FoundEntry {
  readonly id: string
  readonly value: string
  /** Milliseconds since 1970 */
  readonly expiresAt: number
}

/** Whether a store can find the entries of a user. Its `delete` and `touch` then also return whether there was an entry. */
export function canFind (store: SessionStore): store is SessionStore & Required<Pick<SessionStore, 'find'>> {
  return typeof store.find === 'function'
}

/** Returned for an entry that cannot be decoded. It is not a valid session. */
const UNDECODABLE = 'null'

/** The value that a store has returned, as a string; `undefined` if there is none. */
function asText (value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString() : JSON.stringify(value)
}

/**
 * Calls a store and holds it to the contract of `SessionStore`. Each call returns its result or rejects with FST_SESSION_STORE. A
 * request waits for it, so methods that only pass a promise on are not async: each async function on the way takes time.
 */
export class StoreClient {
  readonly canTouch: boolean
  readonly canReplace: boolean
  /** Whether the store can find the entries of a user, and its `delete` returns whether there was an entry */
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

  /** Returns the value of an id as a string, or `undefined` if there is none. Some stores parse JSON themselves. */
  async get (id: string, deadline?: Deadline): Promise<string | undefined> {
    const store = this.#store
    try {
      return await (typeof store.getRaw === 'function'
        ? this.#call('get', deadline, async () => await store.getRaw!(id), found => asText(found?.value))
        : this.#call('get', deadline, () => store.get(id), asText))
    } catch (error) {
      // The store works, but this entry is not JSON. The error is dropped, because its message contains a part of the entry.
      if (((error as Error).cause as Error | undefined)?.name === 'SyntaxError') return UNDECODABLE
      throw error
    }
  }

  /** Returns the values of several ids, with one call if the store has `getMany`. */
  async getMany (ids: string[], deadline?: Deadline): Promise<Array<string | undefined>> {
    const store = this.#store
    if (typeof store.getMany !== 'function') return await Promise.all(ids.map(async id => await this.get(id, deadline)))
    const getMany = async (): Promise<unknown[]> => typeof store.getManyRaw === 'function'
      ? (await store.getManyRaw(ids)).map(found => found?.value)
      : await store.getMany!(ids)
    return await this.#call('getMany', deadline, getMany, values => {
      if (!Array.isArray(values) || values.length !== ids.length) throw new Error('getMany did not return one value for each id')
      return values.map(asText)
    })
  }

  /** @param user the user that the entry belongs to, if any */
  set (id: string, value: string, ttlMs: number, deadline?: Deadline, user?: string): Promise<void> {
    const store = this.#store
    return this.#call('set', deadline, () => user === undefined ? store.set(id, value, ttlMs) : store.set(id, value, ttlMs, user), answer => {
      // Keyv returns false when it fails.
      if (answer === false) throw new Error('the store returned false')
    })
  }

  /** Returns whether there was an entry; `true` if the store does not say. */
  delete (id: string, deadline?: Deadline): Promise<boolean> {
    return this.#call('delete', deadline, () => this.#store.delete(id), answer => {
      // The result decides which request has ended the session.
      if (this.canFind && typeof answer !== 'boolean' && typeof answer !== 'number') throw new Error('delete of a store with find must return whether there was an entry')
      return !this.canFind || answer === true || (typeof answer === 'number' && answer > 0)
    })
  }

  /** Returns the entries of a user. Only if `canFind`. */
  find (user: string, deadline?: Deadline): Promise<readonly FoundEntry[]> {
    return this.#call('find', deadline, () => this.#store.find!(user), (found: unknown) => {
      if (!Array.isArray(found)) throw new Error('find did not return an array')
      return found as FoundEntry[]
    })
  }

  /** Returns whether there was an entry; `true` if the store does not say. Only if `canTouch`. */
  touch (id: string, ttlMs: number, deadline?: Deadline): Promise<boolean> {
    return this.#call('touch', deadline, () => this.#store.touch!(id, ttlMs), answer => answer !== false && answer !== 0)
  }

  /** Returns whether the entry still had the value `previous`. Only if `canReplace`. */
  replace (id: string, previous: string, value: string, ttlMs: number, deadline?: Deadline, user?: string): Promise<boolean> {
    const store = this.#store
    return this.#call('replace', deadline, () => user === undefined
      ? store.replace!(id, previous, value, ttlMs)
      : store.replace!(id, previous, value, ttlMs, user), (answer: unknown) => answer === true || answer === 1)
  }

  /** @param take checks what the store has returned, and returns what it means */
  async #call<Answer, T> (
    name: string, deadline: Deadline | undefined, ask: () => MaybePromise<Answer>, take: (answer: Answer) => T
  ): Promise<T> {
    if (this.#reports !== undefined) return await this.#reports.hear(name, deadline, async () => take(await ask()))
    deadline?.next(name)
    try {
      return take(await ask())
    } catch (error) {
      throw asUnavailable(name, error)
    }
  }
}

/** One call of a store, and the error that the store has emitted for it. */
interface Call { error?: unknown, hasEnded?: true }

/**
 * The errors that a store emits. Keyv emits its failures and returns as if there were no entry. An error that is emitted in the
 * async context of a call belongs to that call alone. An error from elsewhere, such as a broken connection, may concern any call
 * that is under way.
 */
class Reports {
  static readonly #known = new WeakMap<object, Reports>()
  readonly #calls = new AsyncLocalStorage<Call>()
  /** The number of errors from elsewhere, and the last of them */
  #strays = 0
  #last: unknown

  /** Adds one listener to each store, however many apps use it, and none to a store that emits no events. */
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
    // A connection that a call has opened keeps the call's context. Errors that it emits later belong to no call.
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
    // If all entries were found, the call did not fail.
    if (error !== undefined && !isAllThere(name, answer)) throw unavailable(name, 'failed', error)
    return answer
  }
}

/** Whether a `get` or `getMany` has found all its entries. */
function isAllThere (name: string, answer: unknown): boolean {
  if (name === 'get') return answer !== undefined && answer !== null
  return name === 'getMany' && (answer as unknown[]).every(value => value !== undefined)
}
