import { redisStore } from 'fastify-sealed-session/redis'
import { buildApp } from '../login/app.mjs'
import { serve } from '../serve.mjs'
import { connectRedis, createRedisClient } from './client.mjs'
import { devices } from './devices.mjs'

await serve('login example with its sessions in Redis', async (secret, server) => {
  const client = createRedisClient()
  const app = await buildApp({
    secret,
    store: redisStore(client),
    // Redis may accept connections and not answer: after two seconds the visitor sees a page that says so.
    storeTimeout: 2,
    userOf: ({ user }) => user?.id,
    devices,
    server
  })
  await connectRedis(client, app)
  return app
})
