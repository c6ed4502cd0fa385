import type { RevocationList, SessionInfo, SessionStore } from '../../types/index.js'
import { parseStore, STORE_METHODS, StoreClient } from './client.js'

/**
 * Makes a list of revoked sessions, for `isRevoked`: `destroy()` and `regenerate()` put the session's id on it, and every
 * node that asks the same store refuses the session from then on. An entry lives until no cookie of the session can open: until
 * its absolute timeout, or for 400 days where there is none.
 *
 * @example
 * await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv(new KeyvRedis(url))) })
 * @throws FST_SESSION_INVALID_OPTION; from its methods FST_SESSION_STORE, where the store is not available
 */
export function denylist (store: SessionStore): RevocationList {
  const known = lists.get(store)
  if (known !== undefined) return known
  const client = new StoreClient(parseStore('store', store, STORE_METHODS))

  /** Sets a key for as long as a cookie of the session may open. */
  async function set (key: string, value: string, { expiresAt }: SessionInfo): Promise<void> {
    const left = Math.ceil(expiresAt.getTime() - Date.now())
    if (left > 0) await client.set(key, value, left)
  }

  const list: RevocationList = {
    async check ({ id }) {
      return await client.get(revoked(id)) !== undefined
    },

    async revoke (info) {
      await set(revoked(info.id), '1', info)
      // A request on another node may be handing the data to a new session at this moment: that one ends too.
      const successor = await client.get(successorOf(info.id))
      if (successor === undefined) return
      const [id, expiresAt] = successor.split(' ') as [string, string]
      await list.revoke({ ...info, id, expiresAt: new Date(Number(expiresAt)) })
    },

    // Each side writes its own mark first and reads the other's then, so at least one of them sees the other (Dekker). Of
    // several requests that supersede one session, the one whose mark stays has done so.
    async supersede (info, { id, expiresAt }) {
      const mark = `${id} ${expiresAt.getTime()}`
      await set(successorOf(info.id), mark, info)
      if (await client.get(revoked(info.id)) !== undefined) return false
      await set(revoked(info.id), '1', info)
      return await client.get(successorOf(info.id)) === mark
    }
  }
  lists.set(store, list)
  stores.set(list, store)
  return list
}

const revoked = (id: string): string => `revoked:${id}`
const successorOf = (id: string): string => `successor:${id}`

/** One list for each store, so that all that use it see each other's writes. */
const lists = new WeakMap<object, RevocationList>()
const stores = new WeakMap<RevocationList, SessionStore>()

/** The store of a list that `denylist` made. */
export const storeOf = (list: RevocationList): SessionStore | undefined => stores.get(list)
