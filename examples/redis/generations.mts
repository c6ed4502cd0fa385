import type { createClient } from 'redis'
import type { Generations } from '../login/app.mjs'

/** A counter for each user. A session of an earlier generation is revoked, on whatever node it is in use. */
export class RedisGenerations implements Generations {
  readonly #client: Pick<ReturnType<typeof createClient>, 'get' | 'incr'>

  constructor (client: Pick<ReturnType<typeof createClient>, 'get' | 'incr'>) {
    this.#client = client
  }

  async current (userId: string): Promise<number> {
    return Number(await this.#client.get(keyOf(userId)) ?? 0)
  }

  async next (userId: string): Promise<void> {
    await this.#client.incr(keyOf(userId))
  }
}

const keyOf = (userId: string): string => `generation-of:${userId}`
