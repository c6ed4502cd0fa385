import type { SessionStore } from 'fastify-sealed-session'
import type { createClient } from 'redis'

/** What this store asks of node-redis; an ioredis client has the same under other names. */
type Client = Pick<ReturnType<typeof createClient>, 'get' | 'set' | 'del' | 'pExpire' | 'eval'>

const REPLACE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`

/**
 * Sessions in Redis, one round trip for each call. `touch` moves an expiry without writing the data; `replace` tells
 * when another process has changed the session meanwhile, so that no change is lost.
 */
export class RedisSessionStore implements SessionStore {
  readonly #client: Client
  readonly #prefix: string

  constructor (client: Client, prefix = 'session:') {
    this.#client = client
    this.#prefix = prefix
  }

  async get (id: string): Promise<string | null> {
    return await this.#client.get(this.#prefix + id)
  }

  async set (id: string, value: string, ttlMs: number): Promise<void> {
    await this.#client.set(this.#prefix + id, value, { expiration: { type: 'PX', value: ttlMs } })
  }

  async delete (id: string): Promise<void> {
    await this.#client.del(this.#prefix + id)
  }

  async touch (id: string, ttlMs: number): Promise<void> {
    await this.#client.pExpire(this.#prefix + id, ttlMs)
  }

  async replace (id: string, previous: string, value: string, ttlMs: number): Promise<boolean> {
    return await this.#client.eval(REPLACE, { keys: [this.#prefix + id], arguments: [previous, value, `${ttlMs}`] }) === 1
  }
}
