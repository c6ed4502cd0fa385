import { EventEmitter } from 'node:events'
import type { createClient } from 'redis'

/** Carries messages to every process of the chat, this one included. */
export interface Channel {
  publish (message: string): Promise<unknown>
  /** Called once, when the app starts */
  subscribe (listener: (message: string) => void): Promise<unknown>
  close (): void
}

/** For one process. */
export function localChannel (): Channel {
  const emitter = new EventEmitter()
  return {
    publish: async message => emitter.emit('message', message),
    subscribe: async listener => emitter.on('message', listener),
    close () { emitter.removeAllListeners() }
  }
}

/** For several processes. A connection that subscribes can do nothing else, so this makes a second one. */
export function redisChannel (client: ReturnType<typeof createClient>): Channel {
  const subscriber = client.duplicate({ disableOfflineQueue: false })
  subscriber.on('error', () => {}) // the client reports the same
  return {
    publish: async message => await client.publish('chat', message),
    async subscribe (listener) {
      // Neither waits: while Redis is away, the app starts too. The client subscribes again after each reconnection.
      subscriber.connect().catch(() => {})
      subscriber.subscribe('chat', listener).catch(() => {})
    },
    close () { subscriber.destroy() }
  }
}
