import type { ExpressStore, SessionStore } from '../../types/index.js'
import { parseStore } from './client.js'

/**
 * Makes a `SessionStore` of an express-session store: connect-redis, connect-pg-simple, MemoryStore and others.
 * An entry is `{ cookie, data }`; `cookie.expires`, `maxAge` and `originalMaxAge` tell the store how long it lives.
 * `touch` is used where the store has it. The same store gives the same `SessionStore` every time.
 *
 * @example
 * const store = fromExpressStore(new RedisStore({ client }))
 * @throws FST_SESSION_INVALID_OPTION
 */
export function fromExpressStore (store: ExpressStore): SessionStore {
  parseStore('store', store, ['get', 'set', 'destroy'])
  const known = adapters.get(store)
  if (known !== undefined) return known
  const adapted: SessionStore = {
    async get (id) {
      const session = await promised<{ data?: unknown } | null>(done => store.get(id, done)).catch(ignoreMissing)
      return session === undefined || session === null ? undefined : JSON.stringify(session.data ?? null)
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
  adapters.set(store, adapted)
  return adapted
}

/** One adapter for each store, so that all that use it see each other's writes. */
const adapters = new WeakMap<object, SessionStore>()

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
