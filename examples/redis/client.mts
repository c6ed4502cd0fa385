import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { createClient } from 'redis'

type Client = ReturnType<typeof createClient>

/** A client for the server at REDIS_URL, to be connected once the app is there. */
export function createRedisClient (url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'): Client {
  // Without the offline queue, commands fail immediately while Redis is away, instead of waiting for it to come back.
  return createClient({ url, disableOfflineQueue: true })
}

/** Connects the client, and closes it with the app. It reconnects by itself, and its errors go to the app's log. */
export async function connectRedis (client: Client, app: FastifyInstance): Promise<void> {
  client.on('error', error => { app.log.error({ err: error }, 'Redis') })
  app.addHook('onClose', () => { client.destroy() })
  // Waits for Redis, but not for long: without it the app starts too, and answers 503 until Redis is there.
  await Promise.race([client.connect().catch(() => {}), wait(1000)])
}
