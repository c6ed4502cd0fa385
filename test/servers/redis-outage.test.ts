import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import t from 'tap'
import { redisStore } from '../../lib/redis.js'
import { clients } from '../fixtures/redis-clients.js'
import { missing, startRedis } from '../fixtures/servers.js'
import { eventually, promptly } from '../fixtures/time.js'

const LONG = 60_000

t.test('outages', { skip: missing('redis-server'), timeout: 0 }, async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())

  for (const title of ['node-redis', 'ioredis']) {
    await t.test(`${title}: calls reject promptly while the server is away, and go on when it is back`, async t => {
      const { client, close } = await clients[title]!(server)
      t.teardown(close)
      const store = redisStore(client, { prefix: title })
      const heard: string[] = []
      const stop = await store.subscribe!(id => { heard.push(id) })
      await store.set('id', '{}', LONG, 'ada')
      await server.kill()
      await promptly(t.rejects(store.get('id')))
      await promptly(t.rejects(store.set('id', '[]', LONG, 'ada')))
      await promptly(t.rejects(store.replace('id', '{}', '[]', LONG, 'ada')))
      await promptly(t.rejects(store.touch('id', LONG)))
      await promptly(t.rejects(store.delete('id')))
      await promptly(t.rejects(store.find('ada')))
      await promptly(t.rejects(store.getMany(['id', 'other'])))
      await server.start()
      // The server that was started again knows no script.
      await eventually(async () => (await store.find('ada')).length === 1)
      await eventually(async () => {
        await store.set('gone', '{}', LONG)
        await store.delete('gone')
        return heard.includes('gone')
      })
      t.equal(await store.get('id'), '{}')
      await stop()
    })
  }

  await t.test('ioredis: a server that does not answer is given up after commandTimeout', async t => {
    const { client, close } = await clients.ioredis!(server)
    t.teardown(close)
    const store = redisStore(client)
    await store.set('id', '{}', LONG)
    server.pause()
    await promptly(t.rejects(store.get('id')))
    await promptly(t.rejects(store.touch('id', LONG)))
    server.resume()
    await eventually(async () => await store.get('id') === '{}')
  })

  await t.test('a client whose errors nobody listens to ends no process', async t => {
    const client = createClient({ url: server.url, socket: { reconnectStrategy: false } })
    const store = redisStore(client)
    t.equal(client.listenerCount('error'), 1)
    redisStore(client)
    t.equal(client.listenerCount('error'), 1)
    await client.connect()
    await store.set('id', '{}', LONG)
    await server.kill()
    await t.rejects(store.get('id'))
    await server.start()
  })

  await t.test('a server that is away at boot: who subscribes waits no longer than for the first failure', async t => {
    await server.kill()
    const node = createClient({ url: server.url, disableOfflineQueue: true, socket: { reconnectStrategy: () => 50 } })
    const io = new Redis(server.url, { enableOfflineQueue: false, retryStrategy: () => 50, maxRetriesPerRequest: 1 })
    const stores = [redisStore(node, { prefix: 'node' }), redisStore(io, { prefix: 'io' })]
    t.teardown(() => { node.destroy(); io.disconnect() })
    const connecting = node.connect()
    const heard: string[] = []
    const stops = await promptly(Promise.all(stores.map(async (store, nth) => await store.subscribe!(id => { heard.push(`${nth} ${id}`) }))))
    for (const store of stores) await promptly(t.rejects(store.get('id')))
    const stopped = await stores[0]!.subscribe!(() => {})
    await stopped()
    await server.start()
    await connecting
    for (const [nth, store] of stores.entries()) {
      await eventually(async () => {
        await store.set('id', '{}', LONG)
        await store.delete('id')
        return heard.includes(`${nth} id`)
      })
    }
    for (const stop of stops) await stop()
  })

  await t.test('who stops listening before the server is back listens never', async t => {
    await server.kill()
    const node = createClient({ url: server.url, socket: { reconnectStrategy: () => 50 } })
    const io = new Redis(server.url, { retryStrategy: () => 50 })
    t.teardown(() => { node.destroy(); io.disconnect() })
    const connecting = node.connect()
    const heard: string[] = []
    const stores = [redisStore(node), redisStore(io)]
    for (const store of stores) {
      const stop = await store.subscribe!(id => { heard.push(id) })
      await stop()
    }
    await server.start()
    await connecting
    await eventually(async () => { await stores[0]!.set('id', '{}', LONG); return true })
    await stores[1]!.set('id', '{}', LONG)
    await stores[0]!.delete('id')
    await wait(200)
    t.same(heard, [])
    t.match(await node.sendCommand(['PUBSUB', 'NUMSUB', 'session:ended']), ['session:ended', 0])
  })
})
