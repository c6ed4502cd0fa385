import { setTimeout as wait } from 'node:timers/promises'
import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { redisStore } from '../../lib/redis.js'
import { storeTests } from '../../lib/store-test.js'
import { clients } from '../fixtures/redis-clients.js'
import { missing, startRedis } from '../fixtures/servers.js'
import type { Server } from '../fixtures/servers.js'

const LONG = 60_000

async function connect (t: Test, server: Server): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ url: server.url })
  await client.connect()
  t.teardown(() => { client.destroy() })
  return client
}

t.test('one server', { skip: missing('redis-server'), timeout: 0 }, async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const admin = await connect(t, server)
  t.beforeEach(async () => { await admin.flushAll() })

  for (const [title, open] of Object.entries(clients)) {
    await t.test(`${title} passes the tests of a store`, async t => {
      const [one, two] = [await open(server), await open(server)]
      t.teardown(() => { one.close(); two.close() })
      const store = redisStore(one.client)
      t.equal(store.subscribe === undefined, title.includes('pool'), 'a pool cannot listen')
      for (const { name, run } of storeTests(store, { other: redisStore(two.client) })) await t.test(name, run)
    })
  }

  await t.test('the app.redis of @fastify/redis is a client', async t => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(fastifyRedis, { url: server.url })
    const store = redisStore(app.redis)
    await store.set('id', '{}', LONG, 'ada')
    t.match(await store.find('ada'), [{ id: 'id', value: '{}' }])
  })

  await t.test('each call is one command, and a value of nobody\'s is what was set', async t => {
    const store = redisStore(admin, { prefix: 'app:' })
    for (let round = 0; round < 2; round++) {
      await store.set('warm', '{}', LONG, 'ada')
      await store.replace('warm', '{}', '[]', LONG, 'ada')
      await store.touch('warm', LONG)
      await store.find('ada')
      await store.delete('warm')
    }
    const calls: Array<[() => Promise<unknown>, string]> = [
      [async () => await store.set('id', '{}', LONG), 'set'],
      [async () => await store.get('id'), 'get'],
      [async () => await store.replace('id', '{}', '[]', LONG, 'ada'), 'evalsha'],
      [async () => await store.set('id', '{}', LONG, 'grace'), 'evalsha'],
      [async () => await store.touch('id', LONG), 'evalsha'],
      [async () => await store.find('grace'), 'evalsha'],
      [async () => await store.delete('id'), 'evalsha']
    ]
    for (const [call, command] of calls) {
      await admin.configResetStat()
      await call()
      const sent = await topLevel(admin, command)
      t.equal(sent, 1, command)
    }
    await store.set('plain', '{"a":1}', LONG)
    t.equal(await admin.get('app:plain'), '{"a":1}')
    await store.set('at', '@odd', LONG)
    t.equal(await store.get('at'), '@odd')
    t.equal(await store.replace('at', '@odd', '@ again', LONG), true)
    t.equal(await store.get('at'), '@ again')
  })

  await t.test('ten thousand sessions of a thousand users are listed and ended with one command for each call', async t => {
    const store = redisStore(admin)
    const users = Array.from({ length: 1000 }, (_, nth) => `user ${nth}`)
    const idsOf = (user: string): string[] => Array.from({ length: 10 }, (_, nth) => `${user} ${nth}`)
    await store.set('load', '{}', LONG, 'the scripts')
    await store.find('the scripts')
    await store.delete('load')
    await admin.configResetStat()
    await Promise.all(users.flatMap(user => idsOf(user).map(async id => { await store.set(id, '{}', LONG, user) })))
    t.equal(await topLevel(admin, 'evalsha'), 10_000)
    const lists = await Promise.all(users.map(async user => (await store.find(user)).map(({ id }) => id).sort()))
    t.equal(await topLevel(admin, 'evalsha'), 11_000)
    t.same(lists, users.map(idsOf))
    const ended = await Promise.all(lists.flat().map(async id => await store.delete(id)))
    t.equal(await topLevel(admin, 'evalsha'), 21_000)
    t.ok(ended.every(Boolean))
    t.equal(await admin.dbSize(), 0, 'no index stays')
  })

  await t.test('an index loses what has expired, was evicted or changed hands, and expires itself', async t => {
    const store = redisStore(admin)
    for (const id of ['expired', 'evicted', 'handed', 'nobodys', 'kept']) await store.set(id, '{}', id === 'expired' ? 50 : LONG, 'ada')
    const [index] = await admin.keys('session:user:*') as [string]
    t.notMatch(index, 'ada')
    const left = await admin.pTTL(index)
    t.ok(left > LONG + 50_000 && left <= LONG + 60_000, `${left} ms`)
    await wait(100)
    await admin.del('session:evicted')
    await store.replace('handed', '{}', '{}', LONG, 'grace')
    await store.set('nobodys', '{}', LONG)
    t.same((await store.find('ada')).map(({ id }) => id), ['kept'])
    t.same(await admin.zRange(index, 0, -1), ['kept'])
    // A user who is never searched for: what expired a minute ago goes at the next login.
    await admin.zAdd(index, { score: Date.now() - 61_000, value: 'long gone' })
    await store.set('new', '{}', LONG, 'ada')
    t.same((await admin.zRange(index, 0, -1)).sort(), ['kept', 'new'])
  })

  await t.test('an index that was evicted lists a session again at its next change', async t => {
    const store = redisStore(admin)
    for (const id of ['touched', 'changed', 'idle']) await store.set(id, '{}', LONG, 'ada')
    await admin.del(await admin.keys('session:user:*'))
    t.same(await store.find('ada'), [])
    await store.touch('touched', LONG)
    await store.replace('changed', '{}', '[]', LONG, 'ada')
    t.same((await store.find('ada')).map(({ id }) => id).sort(), ['changed', 'touched'])
  })

  await t.test('a shorter time of one call never takes an entry from its index', async t => {
    const store = redisStore(admin)
    await store.set('id', '{}', LONG, 'ada')
    await store.touch('id', 30_000)
    await store.set('other', '{}', 10, 'ada')
    const [index] = await admin.keys('session:user:*') as [string]
    t.ok(await admin.pTTL(index) > LONG)
    t.ok(await admin.zScore(index, 'id') as number > Date.now() + 50_000)
    const [found] = await store.find('ada')
    t.ok(found!.expiresAt < Date.now() + 31_000)
  })

  await t.test('a full server rejects what is written, and still ends sessions', async t => {
    const store = redisStore(admin)
    await store.set('id', '{}', LONG, 'ada')
    await admin.configSet({ maxmemory: '1mb', 'maxmemory-policy': 'noeviction' })
    await t.rejects(store.set('more', '{}', LONG), /OOM/)
    await t.rejects(store.set('more', '{}', LONG, 'ada'), /OOM/)
    await t.rejects(store.replace('id', '{}', '[]', LONG, 'ada'), /OOM/)
    t.equal(await store.get('id'), '{}')
    t.equal(await store.touch('id', LONG), true)
    await admin.configSet('maxmemory', '0')
    t.same((await store.find('ada')).map(({ id }) => id), ['id'])
    t.equal(await store.delete('id'), true)
  })

  await t.test('a user of the server who may not publish may still delete', async t => {
    await admin.sendCommand(['ACL', 'SETUSER', 'quiet', 'on', '>password', '~*', '+@all', 'resetchannels'])
    const client = await createClient({ url: server.url.replace('//', '//quiet:password@') }).connect()
    t.teardown(() => { client.destroy() })
    const store = redisStore(client)
    await store.set('id', '{}', LONG, 'ada')
    t.equal(await store.delete('id'), true)
    t.same(await store.find('ada'), [])
  })

  await t.test('stores with different prefixes, or clients with different ones, share nothing', async t => {
    const prefixed = new Redis(server.url, { keyPrefix: 'a:' })
    t.teardown(() => { prefixed.disconnect() })
    const stores = [redisStore(admin), redisStore(admin, { prefix: 'b:' }), redisStore(admin, { prefix: '' }), redisStore(prefixed)]
    for (const [nth, store] of stores.entries()) await store.set('id', `${nth}`, LONG, 'ada')
    for (const [nth, store] of stores.entries()) t.match(await store.find('ada'), [{ id: 'id', value: `${nth}` }])
    t.same((await admin.keys('*')).filter(key => !key.includes('user:')).sort(), ['a:session:id', 'b:id', 'id', 'session:id'])
  })
})

/** How often a command was sent; those that scripts call are not counted under this name. */
async function topLevel (admin: ReturnType<typeof createClient>, command: string): Promise<number> {
  const stats = await admin.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

t.test('what is wrong is an error at once', async t => {
  const client = { get () {}, set () {}, eval () {}, evalSha () {} }
  for (const wrong of [undefined, null, {}, 'redis://localhost', { ...client, get: undefined }, { ...client, evalSha: undefined }]) {
    t.throws(() => redisStore(wrong as never), { code: 'FST_SESSION_INVALID_OPTION', message: /"client" must be a client of node-redis or of ioredis/ })
  }
  t.throws(() => redisStore(client as never, { prefix: 5 as never }), { message: /"prefix" must be a string/ })
  t.throws(() => redisStore(client as never, { prefx: '' } as never), { message: /"prefx" is unknown. Did you mean prefix/ })
  t.throws(() => redisStore(client as never, null as never), { code: 'FST_SESSION_INVALID_OPTION' })
})

t.test('the sessions of a user are found in a time that grows with their number, and not with its square', async t => {
  const answer = Array.from({ length: 40_000 }, (_, nth) => [`id${nth}`, '{}', 1]).flat()
  const run = async (): Promise<unknown> => answer
  const client = { get: run, set: run, eval: run, evalSha: run } as unknown as Parameters<typeof redisStore>[0]
  const start = performance.now()
  const found = await redisStore(client).find('u1')
  t.equal(found.length, 40_000)
  t.same(found.at(-1), { id: 'id39999', value: '{}', expiresAt: 1 })
  t.ok(performance.now() - start < 2000)
})

t.test('a subscription whose connection never opened can be closed', async t => {
  let destroyed = 0
  const copy = {
    on () {},
    connect: async () => { throw new Error('down') },
    subscribe: async () => {},
    destroy () { destroyed++; throw new Error('The client is closed') }
  }
  const client = { get: async () => null, set: async () => 'OK', eval: async () => 1, evalSha: async () => 1, duplicate: () => copy, on () {}, listenerCount: () => 1 }
  const stop = await redisStore(client).subscribe!(() => {})
  await stop()
  t.ok(destroyed > 0)
})
