import type { Commands, Expiry } from './client.js'
import { decodeId } from '../names.js'
import type { Found, Keys, Writes } from './entries.js'
import { DELETE_ENTRY, IDS, LIST, READ, REPLACE_ENTRY, TOUCH_ENTRY, UNLIST } from './scripts.js'

/**
 * An entry and the index of its user are on different servers, so no command can change both. The id is listed before its entry
 * is written, so every entry is listed even after a failure in between. The entry expires at the time in the index, even if it
 * is written late.
 */
export function onCluster (commands: Commands, keys: Keys): Writes {
  /** Lists an id if it has a user. Returns when its entry must expire */
  async function list (id: string, ttl: number, user: string): Promise<Expiry> {
    return user === '' ? ['PX', ttl] : ['PXAT', Number(await commands.run(LIST, keys.index(user), [id, `${ttl}`]))]
  }

  async function readOf (user: string, id: string): Promise<Found[]> {
    const [value, expiresAt] = await commands.run(READ, keys.entry(id), [user]) as unknown[]
    return value === undefined ? [] : [{ id: decodeId(id), value: String(value), expiresAt: Number(expiresAt) }]
  }

  /** The server tells whose the entry is, if it is not this user's. */
  async function touchAs (id: string, ttl: number, user: string): Promise<boolean> {
    const [type, time] = await list(id, ttl, user)
    const answer = await commands.run(TOUCH_ENTRY, keys.entry(id), [user, type === 'PX' ? 'PEXPIRE' : 'PEXPIREAT', `${time}`])
    return Array.isArray(answer) ? await touchAs(id, ttl, String(answer[0])) : Number(answer) === 1
  }

  return {
    async set (id, entry, ttl, user) {
      await commands.set(keys.entry(id), entry, await list(id, ttl, user))
    },

    async replace (id, previous, entry, ttl, user) {
      const [type, time] = await list(id, ttl, user)
      return Number(await commands.run(REPLACE_ENTRY, keys.entry(id), [entry, type, `${time}`, previous])) === 1
    },

    touch: async (id, ttl) => await touchAs(id, ttl, ''),

    async delete (id) {
      const [user] = await commands.run(DELETE_ENTRY, keys.entry(id), [id, keys.ended]) as unknown[]
      if (user === undefined) return false
      // The session has ended even if this fails: `find` leaves out an id without an entry, and the id expires.
      if (String(user) !== '') await commands.run(UNLIST, keys.index(String(user)), [id]).catch(() => undefined)
      return true
    },

    // Ids without an entry stay listed, because the entry may be about to be written.
    async find (user) {
      const ids = await commands.run(IDS, keys.index(user), []) as unknown[]
      return (await Promise.all(ids.map(async id => await readOf(user, String(id))))).flat()
    }
  }
}
