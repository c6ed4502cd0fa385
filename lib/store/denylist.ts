import { createHash } from 'node:crypto'
import type { RevocationList, SessionInfo, SessionStore } from '../../types/index.js'
import { parseStore, STORE_METHODS, StoreClient } from './client.js'

/**
 * Creates a list of revoked sessions, for `isRevoked`. `destroy()` and `regenerate()` add the session's id, and every node with
 * the same store rejects the session from then on. An entry lives until no cookie of the session can open: until its absolute
 * timeout, or for 400 days without one.
 *
 * @example
 * await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv(new KeyvRedis(url))) })
 * @throws FST_SESSION_INVALID_OPTION; its methods throw FST_SESSION_STORE if the store is not available
 */
export function denylist (store: SessionStore): RevocationList {
  const known = lists.get(store)
  if (known !== undefined) return known
  const client = new StoreClient(parseStore('store', store, STORE_METHODS))

  /** Sets a key that lives as long as any cookie of the session may open. */
  async function set (key: string, value: string, { expiresAt }: SessionInfo): Promise<void> {
    const left = Math.ceil(expiresAt.getTime() - Date.now())
    if (left > 0) await client.set(key, value, left)
  }

  /** Whether a session was revoked, alone or with all sessions of its user. Takes one call if the store has `getMany`. */
  async function isEnded ({ id, createdAt }: SessionInfo, user: string | undefined): Promise<boolean> {
    if (user === undefined) return await client.get(revoked(id)) !== undefined
    const [own, mark] = await client.getMany([revoked(id), marked(user)])
    if (own !== undefined) return true
    if (mark === undefined) return false
    const { before, except, always } = decodeMark(mark)
    return createdAt.getTime() <= (id === except ? always : before)
  }

  /** Sets the mark of a user. Returns `false` if another process has changed the mark meanwhile. */
  async function mark (user: string, before: number, except: string | undefined, until: Date): Promise<boolean> {
    const key = marked(user)
    const raw = await client.get(key)
    const old = raw === undefined ? NO_MARK : decodeMark(raw)
    // A session that an earlier mark has ended stays ended, even if this mark spares it.
    const always = old.except === except ? old.always : Math.max(old.before, old.always)
    // A mark that could not be decoded ends all sessions up to now: JSON has no Infinity.
    const upToNow = (time: number): number => time === Infinity ? before : time
    const value = JSON.stringify({ before: Math.max(before, upToNow(old.before)), except, always: upToNow(always) } satisfies UserMark)
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
      // Another node may be moving the data to a new session at this moment. That session must end too.
      const successor = await client.get(successorOf(info.id))
      if (successor === undefined) return
      const [id, expiresAt] = successor.split(' ') as [string, string]
      await list.revoke({ ...info, id, expiresAt: new Date(Number(expiresAt)) })
    },

    // Both `revoke` and `supersede` write their own key first and then read the other's, so at least one of them sees the other
    // (Dekker's algorithm). If several requests supersede one session, the one that wrote the successor last wins.
    async supersede (info, { id, expiresAt }, user) {
      const mark = `${id} ${expiresAt.getTime()}`
      await set(successorOf(info.id), mark, info)
      if (await isEnded(info, user)) return false
      await set(revoked(info.id), '1', info)
      return await client.get(successorOf(info.id)) === mark
    },

    async revokeUser (user, { before, except, until }) {
      for (let tries = 0; tries < MAX_TRIES; tries++) if (await mark(user, before.getTime(), except, until)) return
      throw new Error('other processes keep changing the mark of the user')
    }
  }
  lists.set(store, list)
  stores.set(list, store)
  return list
}

const revoked = (id: string): string => `revoked:${id}`
const successorOf = (id: string): string => `successor:${id}`
/** Hashed, because a user's id may be long or have characters that a store does not allow in keys. */
const marked = (user: string): string => `user:${createHash('sha256').update(user).digest('base64url')}`

/** One list for each store, so that all apps and scopes that use it share one write queue. */
const lists = new WeakMap<object, RevocationList>()
const stores = new WeakMap<RevocationList, SessionStore>()

/** The store of a list that `denylist` created. */
export const storeOf = (list: RevocationList): SessionStore | undefined => stores.get(list)

/** Ends all sessions of a user that were created at `before` or earlier. Times are in milliseconds since 1970. */
interface UserMark {
  readonly before: number
  /** The id of the one session that is spared */
  readonly except?: string | undefined
  /** As `before`, but for the spared session, which an earlier mark may have ended */
  readonly always: number
}

/** How often a mark is written that other processes keep changing */
const MAX_TRIES = 100

const NO_MARK: UserMark = { before: 0, always: 0 }

/** A mark that cannot be decoded ends every session that it may have been meant for. */
function decodeMark (value: string): UserMark {
  try {
    const { before, except, always } = JSON.parse(value) as UserMark
    if (Number.isFinite(before) && Number.isFinite(always)) return { before, except, always }
  } catch {
    // Not JSON: handled like any other invalid mark.
  }
  return { before: Infinity, always: Infinity }
}
