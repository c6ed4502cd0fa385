import type { IoRedisClient, NodeRedisClient, RedisClient } from '../../../types/redis.js'
import { decodeId } from '../names.js'
import type { Open } from '../listeners.js'
import { isCluster, isNodeRedis } from './client.js'

/** A copy of an app's client that does nothing but listen. */
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
/** How a listener waits for a server that is away, whatever the app's own client does: it loses nothing by trying again. */
const retry = (tries: number): number => Math.min(tries * 50, PAUSE)

/** How to listen on a channel, on a connection of its own. `undefined` for a client that cannot. */
export function subscriberOf (client: RedisClient, channel: string): Open | undefined {
  if (typeof client.duplicate !== 'function') return undefined
  return isNodeRedis(client) ? ofNodeRedis(client, channel) : ofIoRedis(client, channel)
}

function ofNodeRedis (client: NodeRedisClient, channel: string): Open {
  const socket = { ...client.options?.socket, reconnectStrategy: retry }
  return (heard, troubled, lost) => {
    const copy = client.duplicate!(isCluster(client) ? { minimizeConnections: true } : { disableOfflineQueue: false, socket }) as NodeRedisListener
    copy.on('error', troubled)
    // In a cluster it is one node that tells, and nothing but a new start looks for another one.
    copy.on('node-error', lost)
    const start = async (): Promise<void> => {
      await copy.connect()
      await copy.subscribe(channel, id => { heard(decodeId(id)) })
    }
    return { ready: start(), close: () => { destroy(copy) } }
  }
}

/** A client that is not connected refuses to be disconnected. */
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
