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

/** Keyv's `getRaw`, which does not hide the failures of its adapter as its `get` does. */
interface Raw { getRaw? (id: string): Promise<{ value?: unknown } | null | undefined> }

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
  readonly #store: SessionStore & Raw
  readonly #reports: Reports | undefined

  constructor (store: SessionStore) {
    this.#store = store
    this.canTouch = typeof store.touch === 'function'
    this.canReplace = typeof store.replace === 'function'
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

  async set (id: string, value: string, ttlMs: number, deadline?: Deadline): Promise<void> {
    await this.#call('set', deadline, async () => {
      // Keyv's sign of a failure
      if (await this.#store.set(id, value, ttlMs) === false) throw new Error('the store answered false')
    })
  }

  async delete (id: string, deadline?: Deadline): Promise<void> {
    await this.#call('delete', deadline, async () => await this.#store.delete(id))
  }

  /** Whether there was an entry; `true` also where the store does not tell. Only where `canTouch`. */
  async touch (id: string, ttlMs: number, deadline?: Deadline): Promise<boolean> {
    const answer = await this.#call('touch', deadline, async () => await this.#store.touch!(id, ttlMs))
    return answer !== false && answer !== 0
  }

  /** Whether the entry still was `previous`. Only where `canReplace`. */
  async replace (id: string, previous: string, value: string, ttlMs: number, deadline?: Deadline): Promise<boolean> {
    const answer: unknown = await this.#call('replace', deadline, async () => await this.#store.replace!(id, previous, value, ttlMs))
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
    if (error !== undefined && (name !== 'get' || answer === undefined || answer === null)) throw unavailable(name, 'failed', error)
    return answer
  }
}
