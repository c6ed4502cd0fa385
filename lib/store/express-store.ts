import type { ExpressStore, SessionStore } from '../../types/index.js'
import { parseStore } from './client.js'

/**
 * Creates a `SessionStore` from an express-session store such as connect-redis, connect-pg-simple or MemoryStore.
 * An entry is `{ cookie, data }`. `cookie.expires`, `maxAge` and `originalMaxAge` tell the store how long it lives.
 * `touch` is used if the store has it. Returns the same `SessionStore` for the same store every time.
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

/** One adapter for each store, so that all apps and scopes that use it share one write queue. */
const adapters = new WeakMap<object, SessionStore>()

function cookieFor (ttlMs: number): object {
  return { originalMaxAge: ttlMs, maxAge: ttlMs, expires: new Date(Date.now() + ttlMs) }
}

async function promised<T> (call: (done: (error?: unknown, answer?: T) => void) => unknown): Promise<T | undefined> {
  const [error, answer] = await new Promise<[error?: unknown, answer?: T | undefined]>((resolve, reject) => {
    const returned = call((...answers) => { resolve(answers) })
    // An async store may reject without calling its callback.
    Promise.resolve(returned).catch(reject)
  })
  if (error) throw error
  return answer
}

/** A file store reports ENOENT for an unknown id. express-session ignores that error too. */
function ignoreMissing (error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
