import type { IoRedisClient, NodeRedisClient, RedisClient } from '../../../types/redis.js'
import { decodeId } from '../names.js'
import type { Open } from '../listeners.js'
import { isCluster, isNodeRedis } from './client.js'

/** A copy of the app's client that only listens. */
interface NodeRedisListener {
  on (event: string, listener: () => void): unknown
  connect (): Promise<unknown>
  subscribe (channel: string, listener: (message: string) => void): Promise<unknown>
  destroy (): void
}

interface IoRedisListener {
  on (event: string, listener: (...args: string[]) => void): unknown
  subscribe (channel: string): Promise<unknown>
  disconnect (): void
}

const PAUSE = 1000
/** The delay before a listener reconnects. It always tries again, whatever the settings of the app's own client. */
const retry = (tries: number): number => Math.min(tries * 50, PAUSE)

/** Listens to a channel on a separate connection. Returns `undefined` if the client cannot be duplicated. */
export function subscriberOf (client: RedisClient, channel: string): Open | undefined {
  if (typeof client.duplicate !== 'function') return undefined
  return isNodeRedis(client) ? ofNodeRedis(client, channel) : ofIoRedis(client, channel)
}

function ofNodeRedis (client: NodeRedisClient, channel: string): Open {
  const socket = { ...client.options?.socket, reconnectStrategy: retry }
  return (heard, troubled, lost) => {
    const copy = client.duplicate!(isCluster(client) ? { minimizeConnections: true } : { disableOfflineQueue: false, socket }) as NodeRedisListener
    copy.on('error', troubled)
    // In a cluster, one node serves the subscription. If it fails, only a new client finds another node.
    copy.on('node-error', lost)
    const start = async (): Promise<void> => {
      await copy.connect()
      await copy.subscribe(channel, id => { heard(decodeId(id)) })
    }
    return { ready: start(), close: () => { destroy(copy) } }
  }
}

/** Closes a client. `destroy` throws if the client is not connected. */
function destroy (copy: NodeRedisListener): void {
  try {
    copy.destroy()
  } catch {}
}

function ofIoRedis (client: IoRedisClient, channel: string): Open {
  const options = { keyPrefix: '', enableOfflineQueue: true, autoResubscribe: true }
  const single = { ...options, lazyConnect: false, maxRetriesPerRequest: null, commandTimeout: undefined, retryStrategy: retry }
  return (heard, troubled) => {
    const copy = (isCluster(client)
      ? client.duplicate!([], { ...options, lazyConnect: false, clusterRetryStrategy: retry })
      : client.duplicate!(single)) as IoRedisListener
    copy.on('error', troubled)
    copy.on('close', troubled)
    copy.on('message', (_channel, id) => { heard(decodeId(id!)) })
    return { ready: copy.subscribe(channel), close: () => { copy.disconnect() } }
  }
}
