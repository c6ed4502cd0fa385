import type { ExpressStore, RevocationList, SessionStore } from '../../types/index.js'
import { invalid, refused } from '../options/checks.js'
import { errors } from '../errors.js'

/** @throws FST_SESSION_INVALID_OPTION where a value does not have the methods of a store */
export function parseStore<Store extends object> (option: string, store: Store, methods: string[]): Store {
  const missing = methods.filter(name => typeof (Object(store) as Record<string, unknown>)[name] !== 'function')
  if (missing.length > 0) throw invalid(option, `an object with the methods ${methods.join(', ')}`, store)
  if ((store as { opts?: { emitErrors?: boolean } }).opts?.emitErrors === false) {
    throw refused(option, 'a Keyv with emitErrors: false hides its failures, and an outage would log everybody out')
  }
  return store
}

export const STORE_METHODS = ['get', 'set', 'delete']

/** What stores with events have in common: Keyv reports failures so, and answers as if nothing were there. */
interface Emitter { on? (event: 'error', listener: (error: unknown) => void): unknown }

/** How often a store has reported a failure, and the last one. */
interface Reports { count: number, last: unknown }

const reports = new WeakMap<object, Reports>()

/** One listener for each store, however many use it. */
function reportsOf (store: object): Reports {
  const known = reports.get(store)
  if (known !== undefined) return known
  const own: Reports = { count: 0, last: undefined }
  const { on } = store as Emitter
  on?.call(store, 'error', error => {
    own.count++
    own.last = error
  })
  reports.set(store, own)
  return own
}

/** Keyv's `getRaw`, which does not hide the failures of its adapter as its `get` does. */
interface Raw { getRaw? (id: string): Promise<{ value?: unknown } | null | undefined> }

/** A store whose every call ends in time and in one of two ways: with its answer, or with FST_SESSION_STORE. */
export class StoreClient {
  readonly canTouch: boolean
  readonly canReplace: boolean
  readonly #store: SessionStore & Raw
  readonly #timeout: number
  readonly #reports: Reports

  /** @param timeout seconds */
  constructor (store: SessionStore, timeout: number) {
    this.#store = store
    this.#timeout = timeout
    this.canTouch = typeof store.touch === 'function'
    this.canReplace = typeof store.replace === 'function'
    this.#reports = reportsOf(store)
  }

  /** The value of an id as JSON text, `undefined` where there is none. Some stores parse JSON by themselves. */
  async get (id: string): Promise<string | undefined> {
    const store = this.#store
    return await this.#call('get', async () => {
      const value = typeof store.getRaw === 'function'
        ? await store.getRaw(id).then(entry => entry?.value, unreadable)
        : await store.get(id)
      if (value === undefined || value === null) return undefined
      return typeof value === 'string' ? value : JSON.stringify(value)
    }, value => value !== undefined)
  }

  async set (id: string, value: string, ttlMs: number): Promise<void> {
    await this.#call('set', async () => {
      // Keyv's sign of a failure
      if (await this.#store.set(id, value, ttlMs) === false) throw new Error('the store answered false')
    })
  }

  async delete (id: string): Promise<void> {
    await this.#call('delete', async () => await this.#store.delete(id))
  }

  /** Only where `canTouch`. */
  async touch (id: string, ttlMs: number): Promise<void> {
    await this.#call('touch', async () => await this.#store.touch!(id, ttlMs))
  }

  /** Only where `canReplace`. */
  async replace (id: string, previous: string, value: string, ttlMs: number): Promise<boolean> {
    return await this.#call('replace', async () => await this.#store.replace!(id, previous, value, ttlMs))
  }

  /** Waits for another's call, no longer than for one of its own. */
  async wait (other: Promise<unknown>): Promise<void> {
    await inTime('a call before this one', this.#timeout, async () => await other)
  }

  /** @param proves whether an answer proves that the call did not fail, whatever was reported meanwhile */
  async #call<T> (name: string, call: () => Promise<T>, proves: (answer: T) => boolean = () => false): Promise<T> {
    const { count } = this.#reports
    const reported = (): unknown => this.#reports.count === count ? undefined : this.#reports.last
    const answer = await inTime(name, this.#timeout, call, reported)
    if (this.#reports.count !== count && !proves(answer)) throw unavailable(name, 'failed', this.#reports.last)
    return answer
  }
}

/**
 * The answer of a call to the app's own code or to a store.
 * @param timeout seconds
 * @param known why it may have failed, where it does not say so itself
 * @throws FST_SESSION_STORE where it throws, rejects or does not answer in time
 */
export async function inTime<T> (
  name: string, timeout: number, call: () => Promise<T>, known: () => unknown = () => undefined
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(unavailable(name, 'did not answer in time', known() ?? new Error(`no answer in ${timeout} seconds`)))
    }, timeout * 1000)
  })
  try {
    const answer = await Promise.race([call(), late])
    clearTimeout(timer)
    return answer
  } catch (error) {
    clearTimeout(timer)
    throw error instanceof errors.FST_SESSION_STORE ? error : unavailable(name, 'failed', error)
  }
}

// The cause's own message stays with the cause: it is for the log, while this one may reach the client.
export function unavailable (name: string, what: string, cause: unknown): Error {
  return new errors.FST_SESSION_STORE(name, what, { cause })
}

/**
 * Makes a `SessionStore` of an express-session store: connect-redis, connect-pg-simple, MemoryStore and others.
 * An entry is `{ cookie, data }`; `cookie.expires`, `maxAge` and `originalMaxAge` tell the store how long it lives.
 * `touch` is used where the store has it.
 *
 * @example
 * const store = fromExpressStore(new RedisStore({ client }))
 * @throws FST_SESSION_INVALID_OPTION
 */
export function fromExpressStore (store: ExpressStore): SessionStore {
  parseStore('store', store, ['get', 'set', 'destroy'])
  const adapted: SessionStore = {
    async get (id) {
      const session = await promised<{ data?: unknown } | null>(done => store.get(id, done)).catch(ignoreMissing).catch(unreadable)
      if (session === undefined || session === null) return undefined
      return typeof session === 'string' ? session : JSON.stringify(session.data ?? null)
    },
    async set (id, value, ttlMs) {
      await promised(done => store.set(id, { cookie: cookieFor(ttlMs), data: JSON.parse(value) as unknown }, done))
    },
    async delete (id) {
      await promised(done => store.destroy(id, done)).catch(ignoreMissing)
    }
  }
  if (typeof store.touch === 'function') {
    adapted.touch = async (id, ttlMs) => {
      await promised(done => store.touch!(id, { cookie: cookieFor(ttlMs) }, done)).catch(ignoreMissing)
    }
  }
  return adapted
}

function cookieFor (ttlMs: number): object {
  return { originalMaxAge: ttlMs, maxAge: ttlMs, expires: new Date(Date.now() + ttlMs) }
}

async function promised<T> (call: (done: (error?: unknown, answer?: T) => void) => unknown): Promise<T | undefined> {
  const [error, answer] = await new Promise<[error?: unknown, answer?: T | undefined]>((resolve, reject) => {
    const returned = call((...answers) => { resolve(answers) })
    // A store may be async and fail without its callback.
    Promise.resolve(returned).catch(reject)
  })
  if (error) throw error
  return answer
}

/** A store of files has no file for an id that it does not know. express-session sees no failure in that either. */
function ignoreMissing (error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

/**
 * A store that cannot parse an entry of its own has not failed: the entry is no session. Its error would show a piece of
 * the entry besides.
 */
function unreadable (error: unknown): string {
  if ((error as Error).name === 'SyntaxError') return 'null'
  throw error
}

/** Longer than anything that holds a connection open, and only for lists that are used outside the plugin. */
const DENYLIST_TIMEOUT = 60 // seconds

/**
 * Makes a list of revoked sessions, for `isRevoked`: `destroy()` and `regenerate()` put the session's id on it, and every
 * node that asks the same store refuses it from then on. An entry lives as long as any cookie of the session could open.
 *
 * @example
 * await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv(new KeyvRedis(url))) })
 * @throws FST_SESSION_INVALID_OPTION; from `check` and `revoke` FST_SESSION_STORE, where the store is not available
 */
export function denylist (store: SessionStore): RevocationList {
  const client = new StoreClient(parseStore('store', store, STORE_METHODS), DENYLIST_TIMEOUT)
  const key = (id: string): string => `revoked:${id}`
  return {
    async check ({ id }) {
      return await client.get(key(id)) !== undefined
    },
    async revoke ({ id, expiresAt }) {
      const left = Math.ceil(expiresAt.getTime() - Date.now())
      if (left > 0) await client.set(key(id), '1', left)
    }
  }
}
