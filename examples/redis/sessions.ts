import type { createClient } from 'redis'
import type { UserSessions } from '../login/app.js'
import type { RedisSessionStore } from './store.js'

type Client = Pick<ReturnType<typeof createClient>, 'multi' | 'sMembers' | 'del'>

/** Longer than any session lives: the default of `absoluteTimeout` */
const DAYS_90 = 90 * 24 * 60 * 60 // seconds

/** The ids of each user's sessions, in a Redis set. Ending a session is deleting its entry, on whatever node it is in use. */
export class RedisUserSessions implements UserSessions {
  readonly #client: Client
  readonly #store: RedisSessionStore

  constructor (client: Client, store: RedisSessionStore) {
    this.#client = client
    this.#store = store
  }

  async add (userId: string, sessionId: string): Promise<void> {
    await this.#client.multi().sAdd(keyOf(userId), sessionId).expire(keyOf(userId), DAYS_90).exec()
  }

  async endAll (userId: string): Promise<void> {
    const ids = await this.#client.sMembers(keyOf(userId))
    await Promise.all(ids.map(async id => await this.#store.delete(id)))
    await this.#client.del(keyOf(userId))
  }
}

const keyOf = (userId: string): string => `sessions-of:${userId}`
