import { createHash } from 'node:crypto'
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

  /** Whether a session was revoked, by itself or with all sessions of its user: one look-up, where the store has `getMany`. */
  async function isEnded ({ id, createdAt }: SessionInfo, user: string | undefined): Promise<boolean> {
    if (user === undefined) return await client.get(revoked(id)) !== undefined
    const [own, mark] = await client.getMany([revoked(id), marked(user)])
    if (own !== undefined) return true
    if (mark === undefined) return false
    const { before, except, always } = decodeMark(mark)
    return createdAt.getTime() <= (id === except ? always : before)
  }

  /** Marks a user, unless another process has changed the mark meanwhile. */
  async function mark (user: string, before: number, except: string | undefined, until: Date): Promise<boolean> {
    const key = marked(user)
    const raw = await client.get(key)
    const old = raw === undefined ? NO_MARK : decodeMark(raw)
    // A session that an earlier mark has ended stays ended, also where it is spared now.
    const always = old.except === except ? old.always : Math.max(old.before, old.always)
    const value = JSON.stringify({ before: Math.max(before, old.before), except, always } satisfies UserMark)
    const left = Math.ceil(until.getTime() - Date.now())
    if (raw !== undefined && client.canReplace) return await client.replace(key, raw, value, left)
    await client.set(key, value, left)
    return true
  }

  const list: RevocationList = {
    async check (info, _request, _data, user) {
      return await isEnded(info, user)
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
    async supersede (info, { id, expiresAt }, user) {
      const mark = `${id} ${expiresAt.getTime()}`
      await set(successorOf(info.id), mark, info)
      if (await isEnded(info, user)) return false
      await set(revoked(info.id), '1', info)
      return await client.get(successorOf(info.id)) === mark
    },

    async revokeUser (user, { before, except, until }) {
      while (!await mark(user, before.getTime(), except, until));
    }
  }
  lists.set(store, list)
  stores.set(list, store)
  return list
}

const revoked = (id: string): string => `revoked:${id}`
const successorOf = (id: string): string => `successor:${id}`
/** Hashed: the name of a user may be long, and have characters that a store does not take in a key. */
const marked = (user: string): string => `user:${createHash('sha256').update(user).digest('base64url')}`

/** One list for each store, so that all that use it see each other's writes. */
const lists = new WeakMap<object, RevocationList>()
const stores = new WeakMap<RevocationList, SessionStore>()

/** The store of a list that `denylist` made. */
export const storeOf = (list: RevocationList): SessionStore | undefined => stores.get(list)

/** Says until when the sessions of a user that were created by then have ended. Times are in milliseconds since 1970. */
interface UserMark {
  readonly before: number
  /** The one session that lives on */
  readonly except?: string | undefined
  /** The same as `before`, for that session: an earlier mark may have ended it */
  readonly always: number
}

const NO_MARK: UserMark = { before: 0, always: 0 }

/** A mark that nobody can read ends whatever it may have ended. */
function decodeMark (value: string): UserMark {
  try {
    const { before, except, always } = JSON.parse(value) as UserMark
    if (Number.isFinite(before) && Number.isFinite(always)) return { before, except, always }
  } catch {
    // Not ours.
  }
  return { before: Infinity, always: Infinity }
}
