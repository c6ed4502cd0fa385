import type { Commands } from './client.js'
import { decodeId } from '../names.js'
import type { Keys, Writes } from './entries.js'
import { DELETE, FIND, REPLACE, SET, TOUCH } from './scripts.js'

/** All keys are on one server, so each call is one command. */
export function onOneServer (commands: Commands, keys: Keys): Writes {
  const isOne = (answer: unknown): boolean => Number(answer) === 1
  return {
    async set (id, entry, ttl, user) {
      // An index may still list the id. That is harmless, because the entry has no user, so `find` leaves it out.
      if (user === '') await commands.set(keys.entry(id), entry, ['PX', ttl])
      else await commands.run(SET, keys.entry(id), [id, entry, `${ttl}`, user])
    },
    replace: async (id, previous, entry, ttl, user) => isOne(await commands.run(REPLACE, keys.entry(id), [id, entry, `${ttl}`, user, previous])),
    touch: async (id, ttl) => isOne(await commands.run(TOUCH, keys.entry(id), [id, `${ttl}`])),
    delete: async id => isOne(await commands.run(DELETE, keys.entry(id), [id, keys.ended])),
    async find (user) {
      const answer = await commands.run(FIND, keys.index(user), [user]) as unknown[]
      return Array.from({ length: answer.length / 3 }, (_, nth) => {
        const [id, value, expiresAt] = answer.slice(3 * nth, 3 * nth + 3)
        return { id: decodeId(String(id)), value: String(value), expiresAt: Number(expiresAt) }
      })
    }
  }
}
