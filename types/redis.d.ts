import type { SessionStore } from './index.js'

/** What the store asks of a client of node-redis: `createClient`, `createCluster`, `createClientPool` or `createSentinel`. */
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

/** What the store asks of a client of ioredis: `Redis` or `Cluster`, such as the `app.redis` of `@fastify/redis`. */
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
