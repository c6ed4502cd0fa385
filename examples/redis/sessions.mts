import type { createClient } from 'redis'
import type { UserSessions } from '../login/app.mjs'
import type { RedisSessionStore } from './store.mjs'

type Client = Pick<ReturnType<typeof createClient>, 'multi' | 'zRange' | 'zRem'>

/** Longer than any session lives: the default of `absoluteTimeout` */
const DAYS_90 = 90 * 24 * 60 * 60 // seconds

/** The ids of each user's sessions, by the time of their login. Ending a session is deleting its entry, on whatever node it is in use. */
export class RedisUserSessions implements UserSessions {
  readonly #client: Client
  readonly #store: RedisSessionStore

  constructor (client: Client, store: RedisSessionStore) {
    this.#client = client
    this.#store = store
  }

  async add (userId: string, sessionId: string): Promise<void> {
    const now = Math.floor(Date.now() / 1000)
    await this.#client.multi()
      .zAdd(keyOf(userId), { score: now, value: sessionId })
      .zRemRangeByScore(keyOf(userId), 0, now - DAYS_90)
      .expire(keyOf(userId), DAYS_90)
      .exec()
  }

  async endAll (userId: string): Promise<void> {
    const ids = await this.#client.zRange(keyOf(userId), 0, -1)
    if (ids.length === 0) return
    await Promise.all(ids.map(async id => await this.#store.delete(id)))
    // Not the whole key: a login may have come meanwhile.
    await this.#client.zRem(keyOf(userId), ids)
  }
}

const keyOf = (userId: string): string => `sessions-of:${userId}`
