import type { SessionStore } from './index.js'

/** The part of a node-redis client that the store uses: `createClient`, `createCluster`, `createClientPool` or `createSentinel`. */
export interface NodeRedisClient {
  /** `GET` */
  get (key: string): Promise<unknown>
  /** `SET` with an expiry */
  set (key: string, value: string, options: { expiration: { type: 'PX' | 'PXAT', value: number } }): Promise<unknown>
  /** `EVAL` */
  eval (script: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  /** `EVALSHA` */
  evalSha (sha: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  /** Makes another client with the same options, which `subscribe` needs */
  duplicate?: (...args: any[]) => any
  /** Adds a listener, if nobody listens to `error` */
  on?: (event: 'error', listener: (error: Error) => void) => unknown
  /** How many listen to `error` */
  listenerCount?: (event: 'error') => number
  /** The options that it was made with */
  readonly options?: { socket?: object | undefined } | undefined
}

/** The part of an ioredis client that the store uses: `Redis` or `Cluster`, such as the `app.redis` of `@fastify/redis`. */
export interface IoRedisClient {
  /** `GET` */
  get (key: string): Promise<unknown>
  /** `SET` with an expiry */
  set (key: string, value: string, type: 'PX', milliseconds: number): Promise<unknown>
  /** `EVAL` */
  eval (script: string, keys: number, ...args: string[]): Promise<unknown>
  /** `EVALSHA` */
  evalsha (sha: string, keys: number, ...args: string[]): Promise<unknown>
  /** Makes another client with the same options, which `subscribe` needs */
  duplicate?: (...args: any[]) => any
  /** Adds a listener, if nobody listens to `error` */
  on?: (event: 'error', listener: (error: Error) => void) => unknown
  /** How many listen to `error` */
  listenerCount?: (event: 'error') => number
  /** Whether it is a `Cluster` */
  readonly isCluster?: boolean
}

/** A client that the app has created and connected. */
export type RedisClient = NodeRedisClient | IoRedisClient

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** The start of every key, and of the channel's name. Default: `session:` */
  prefix?: string | undefined
}

/** What {@link redisStore} returns: a store with every optional method. With a pool of node-redis, it has no `subscribe`. */
export type RedisStore = Required<Omit<SessionStore, 'subscribe'>> & Pick<SessionStore, 'subscribe'>

/**
 * Creates a store for Redis (6.2 or later) or Valkey, with one server, Sentinel or Cluster. The client is node-redis 5, or
 * ioredis 5 or 6. The app connects and closes it.
 *
 * @example
 * const client = await createClient({ url: process.env.REDIS_URL, disableOfflineQueue: true }).connect()
 * await app.register(sessionPlugin, { secret, store: redisStore(client) })
 * @throws FST_SESSION_INVALID_OPTION
 */
export function redisStore (client: RedisClient, options?: RedisStoreOptions): RedisStore
