import { setTimeout as wait } from 'node:timers/promises'
import { createClient } from 'redis'
import { buildApp } from '../login/app.mjs'
import { serve } from '../serve.mjs'
import { RedisGenerations } from './generations.mjs'
import { RedisSessionStore } from './store.mjs'

const { REDIS_URL = 'redis://127.0.0.1:6379' } = process.env

await serve('login example with its sessions in Redis', async (secret, server) => {
  // Without the offline queue, commands fail immediately while Redis is away, instead of waiting for it to come back.
  const client = createClient({ url: REDIS_URL, disableOfflineQueue: true })
  let report = (error: Error): void => { console.error(`Redis: ${error.message}`) }
  client.on('error', error => { report(error) })
  // Waits for Redis, but not for long: without it the app starts too, and answers 503 until Redis is there.
  await Promise.race([client.connect().catch(report), wait(1000)])

  const store = new RedisSessionStore(client)
  const generations = new RedisGenerations(client)
  // A Redis that accepts connections and does not answer: after two seconds the visitor sees a page that says so.
  const app = await buildApp({ secret, store, generations, storeTimeout: 2, server })
  report = error => { app.log.error({ err: error }, 'Redis') }
  app.addHook('onClose', () => { client.destroy() })
  return app
})
