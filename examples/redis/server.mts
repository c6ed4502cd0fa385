import { setTimeout as wait } from 'node:timers/promises'
import { createClient } from 'redis'
import { buildApp } from '../login/app.mjs'
import { serve } from '../serve.mjs'
import { RedisGenerations } from './generations.mjs'
import { RedisSessionStore } from './store.mjs'

const { REDIS_URL = 'redis://127.0.0.1:6379' } = process.env

await serve('login example with its sessions in Redis', async secret => {
  // Commands fail at once while Redis is away, instead of waiting for it to come back.
  const client = createClient({ url: REDIS_URL, disableOfflineQueue: true })
  const report = (error: Error): void => { console.error(`Redis: ${error.message}`) }
  client.on('error', report)
  // The app starts without Redis too, and answers 503 until Redis is there; but that is not the usual case.
  await Promise.race([client.connect().catch(report), wait(1000)])

  const store = new RedisSessionStore(client)
  const app = await buildApp({ secret, store, generations: new RedisGenerations(client) })
  app.addHook('onClose', () => { client.destroy() })
  return app
})
