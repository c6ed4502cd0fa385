import type { IoRedisClient, NodeRedisClient, RedisClient } from '../../../types/redis.js'
import { invalid } from '../../options/checks.js'
import type { Script } from './scripts.js'

/** When a key expires: in milliseconds, or at a time in milliseconds since 1970. */
export type Expiry = readonly [type: 'PX' | 'PXAT', value: number]

/** The Redis commands that the store needs, for either client. */
export interface Commands {
  get (key: string): Promise<unknown>
  set (key: string, value: string, expiry: Expiry): Promise<unknown>
  run (script: Script, key: string, args: string[]): Promise<unknown>
}

export function isNodeRedis (client: RedisClient): client is NodeRedisClient {
  return typeof (client as NodeRedisClient).evalSha === 'function'
}

/** Whether keys are on several servers, so that a command can have only one key. */
export function isCluster (client: RedisClient): boolean {
  return isNodeRedis(client) ? 'nodeByAddress' in client : client.isCluster === true
}

/** @throws FST_SESSION_INVALID_OPTION */
export function parseClient (client: RedisClient): RedisClient {
  const { get, set, eval: run, evalSha, evalsha } = Object(client) as Record<string, unknown>
  if ([get, set, run, evalSha ?? evalsha].some(method => typeof method !== 'function')) {
    throw invalid('client', 'a client of node-redis or of ioredis', client)
  }
  // Without a listener, a connection error would end the process. It may be ignored here, because each call rejects by itself.
  if (client.listenerCount?.('error') === 0) client.on?.('error', () => {})
  return client
}

export function commandsOf (client: RedisClient): Commands {
  return isNodeRedis(client) ? ofNodeRedis(client) : ofIoRedis(client)
}

function ofNodeRedis (client: NodeRedisClient): Commands {
  return {
    get: key => client.get(key),
    set: (key, value, [type, time]) => client.set(key, value, { expiration: { type, value: time } }),
    async run ({ sha, text }, key, args) {
      const options = { keys: [key], arguments: args }
      try {
        return await client.evalSha(sha, options)
      } catch (error) {
        if (!isUnknownScript(error)) throw error
        return await client.eval(text, options)
      }
    }
  }
}

function ofIoRedis (client: IoRedisClient): Commands {
  return {
    get: key => client.get(key),
    set: (key, value, [type, time]) => client.set(key, value, type as 'PX', time),
    async run ({ sha, text }, key, args) {
      try {
        return await client.evalsha(sha, 1, key, ...args)
      } catch (error) {
        if (!isUnknownScript(error)) throw error
        return await client.eval(text, 1, key, ...args)
      }
    }
  }
}

/** After a restart or a failover, the server no longer has the script. */
function isUnknownScript (error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}
