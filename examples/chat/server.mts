import { redisStore } from 'fastify-sealed-session/redis'
import { connectRedis, createRedisClient } from '../redis/client.mjs'
import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'
import { redisChannel } from './channel.mjs'

// With REDIS_URL, several processes are one chat: they share its sessions and its messages.
await serve('chat example', async (secret, server) => {
  if (process.env.REDIS_URL === undefined) return await buildApp({ secret, server })
  const client = createRedisClient()
  const app = await buildApp({ secret, store: redisStore(client), channel: redisChannel(client), server })
  await connectRedis(client, app)
  return app
})
