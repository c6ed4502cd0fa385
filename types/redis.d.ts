import type { SessionStore } from './index.js'

/** What the store asks of a client of node-redis: `createClient`, `createCluster`, `createClientPool` or `createSentinel`. */
export interface NodeRedisClient {
  get (key: string): Promise<unknown>
  set (key: string, value: string, options: { expiration: { type: 'PX' | 'PXAT', value: number } }): Promise<unknown>
  eval (script: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  evalSha (sha: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  duplicate?: (...args: any[]) => any
  on?: (event: 'error', listener: (error: Error) => void) => unknown
  listenerCount?: (event: 'error') => number
  readonly options?: { socket?: object | undefined } | undefined
}

/** What the store asks of a client of ioredis: `Redis` or `Cluster`, such as the `app.redis` of `@fastify/redis`. */
export interface IoRedisClient {
  get (key: string): Promise<unknown>
  set (key: string, value: string, type: 'PX', milliseconds: number): Promise<unknown>
  eval (script: string, keys: number, ...args: string[]): Promise<unknown>
  evalsha (sha: string, keys: number, ...args: string[]): Promise<unknown>
  duplicate?: (...args: any[]) => any
  on?: (event: 'error', listener: (error: Error) => void) => unknown
  listenerCount?: (event: 'error') => number
  readonly isCluster?: boolean
}

/** A client that the app has made and connected. */
export type RedisClient = NodeRedisClient | IoRedisClient

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** What the keys of entries and indexes start with, and the channel's name; default `session:` */
  prefix?: string | undefined
}

/** What {@link redisStore} returns: a store with every optional method. `subscribe` is missing with a pool of node-redis. */
export type RedisStore = Required<Omit<SessionStore, 'subscribe'>> & Pick<SessionStore, 'subscribe'>

/**
 * Makes a store of a Redis (6.2 or later) or Valkey client: of node-redis 5 or ioredis 5 and 6, with one server, Sentinel or
 * Cluster. The app connects and closes the client.
 *
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL, disableOfflineQueue: true }).connect()
 * await app.register(sessionPlugin, { secret, store: redisStore(client) })
 * @throws FST_SESSION_INVALID_OPTION
 */
export function redisStore (client: RedisClient, options?: RedisStoreOptions): RedisStore
