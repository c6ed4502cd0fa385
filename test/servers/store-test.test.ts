import KeyvPostgres from '@keyv/postgres'
import KeyvRedis from '@keyv/redis'
import pgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import Keyv from 'keyv'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { fromExpressStore } from '../../lib/index.js'
import type { SessionStore } from '../../lib/index.js'
import { storeTests } from '../../lib/store-test.js'
import type { StoreTestOptions } from '../../types/store-test.js'
import { MemoryStore } from '../fixtures/memory-store.js'
import { missing, startPostgres, startRedis } from '../fixtures/servers.js'

async function passes (t: Test, store: SessionStore, amount: number, options?: StoreTestOptions): Promise<void> {
  const tests = storeTests(store, options)
  t.equal(tests.length, amount, 'as many tests as the store has methods for')
  for (const { name, run } of tests) await t.test(name, run)
}

t.test('a store in memory with every method', async t => { await passes(t, new MemoryStore(), 27) })

t.test('stores that answer with bytes, or parse JSON objects', async t => {
  const bytes = new MemoryStore()
  const parsing = new MemoryStore()
  const textOf = async (store: MemoryStore, id: string): Promise<string | undefined> => store.live(id)?.value
  const encode = async (id: string): Promise<Buffer | null> => {
    const text = await textOf(bytes, id)
    return text === undefined ? null : Buffer.from(text)
  }
  const parse = async (id: string): Promise<unknown> => {
    const text = await textOf(parsing, id)
    return text?.startsWith('{') ? JSON.parse(text) as unknown : text
  }
  await passes(t, Object.assign(bytes, { get: encode }) as never, 27)
  await passes(t, Object.assign(parsing, { get: parse }) as never, 27)
})

t.test('stores of others pass the tests that apply', { timeout: 0 }, async t => {
  await t.test('Keyv', async t => { await passes(t, new Keyv(), 8) })
  await t.test('express-session\'s own store', async t => { await passes(t, fromExpressStore(new expressSession.MemoryStore()), 9) })

  await t.test('on Redis', { skip: missing('redis-server') }, async t => {
    const server = await startRedis()
    const client = await createClient({ url: server.url }).connect()
    const keyv = new Keyv(new KeyvRedis(server.url))
    t.teardown(async () => { client.destroy(); await keyv.disconnect(); await server.stop() })
    await t.test('Keyv', async t => { await passes(t, keyv, 8) })
    await t.test('connect-redis', async t => { await passes(t, fromExpressStore(new RedisStore({ client })), 9, { resolution: 1000 }) })
  })

  await t.test('on PostgreSQL', { skip: missing('postgresql') }, async t => {
    const server = await startPostgres()
    const keyv = new Keyv(new KeyvPostgres({ uri: server.url, idleTimeoutMillis: 1 }))
    const simple = new (pgSimple(expressSession))({ conString: server.url, createTableIfMissing: true, pruneSessionInterval: false })
    t.teardown(async () => { await keyv.disconnect(); await simple.close(); await server.stop() })
    await t.test('Keyv', async t => { await passes(t, keyv, 8) })
    await t.test('connect-pg-simple', async t => { await passes(t, fromExpressStore(simple), 9, { resolution: 1000 }) })
  })
})

type Mutant = (store: MemoryStore) => Partial<SessionStore>

/** Each breaks one promise of a store, and is found out by one test at least. */
const mutants: Record<string, Mutant> = {
  'get answers with what has expired': store => ({ get: async id => store.entries.get(id)?.value }),
  'get answers with an empty string where there is nothing': store => ({ get: async id => await store.get(id) ?? '' }),
  'ids are cut': store => ({ get: async id => await store.get(id.slice(0, 200)), set: async (id, ...rest) => { await store.set(id.slice(0, 200).toLowerCase(), ...rest) } }),
  'ids are keys of a plain object': () => {
    const values: Record<string, string> = {}
    return { get: async id => values[id], set: async (id, value) => { values[id] = value }, delete: async id => Reflect.deleteProperty(values, id) }
  },
  'a second set does not prolong': store => ({ async set (id, value, ttl, user) { await store.set(id, value, Math.min(ttl, (store.live(id)?.expiresAt ?? Infinity) - Date.now()), user) } }),
  'times are 32 bits': store => ({ async set (id, value, ttl, user) { await store.set(id, value, ttl | 0, user) } }),
  'values are cut': store => ({ async set (id, value, ttl, user) { await store.set(id, value.length > 65_535 ? '"cut"' : value, ttl, user) } }),
  'delete fails where there is nothing': store => ({ async delete (id) { if (!await store.delete(id)) throw new Error('no entry') } }),
  'delete does not tell': store => ({ async delete (id) { await store.delete(id) } }),
  'delete tells even of what has expired': store => ({ async delete (id) { const found = store.entries.has(id); await store.delete(id); return found } }),
  'deleting is told to several': store => ({ async delete (id) { const found = store.live(id) !== undefined; await null; await store.delete(id); return found } }),
  'touch does nothing': () => ({ touch: async () => true }),
  'touch brings back what has expired': store => ({
    async touch (id, ttl) { const entry = store.entries.get(id); if (entry !== undefined) entry.expiresAt = Date.now() + ttl; return entry !== undefined }
  }),
  'touch forgets the user': store => ({ async touch (id, ttl) { const entry = store.live(id); if (entry !== undefined) await store.set(id, entry.value, ttl); return entry !== undefined } }),
  'touch does not tell': store => ({ async touch (id, ttl) { await store.touch(id, ttl); return true } }),
  'replace is two steps': store => ({
    async replace (id, previous, ...rest) { if (await store.get(id) !== previous) return false; await new Promise(setImmediate); await store.set(id, ...rest); return true }
  }),
  'replace makes an entry': store => ({ async replace (id, previous, ...rest) { if ((await store.get(id) ?? previous) !== previous) return false; await store.set(id, ...rest); return true } }),
  'replace compares what JSON says': store => ({
    async replace (id, previous, ...rest) {
      const is = await store.get(id)
      if (is === undefined || previous === '' || JSON.stringify(Object.entries(JSON.parse(is)).sort()) !== JSON.stringify(Object.entries(JSON.parse(previous)).sort())) return false
      await store.set(id, ...rest)
      return true
    }
  }),
  'replace keeps the time': store => ({ async replace (id, previous, value, _ttl, user) { return await store.replace(id, previous, value, (store.live(id)?.expiresAt ?? 0) - Date.now(), user) } }),
  'replace keeps the user': store => ({ async replace (id, previous, value, ttl) { return await store.replace(id, previous, value, ttl, store.live(id)?.user) } }),
  'set keeps the user': store => ({ async set (id, value, ttl, user = store.live(id)?.user) { await store.set(id, value, ttl, user) } }),
  'users are cut': store => ({ find: async user => await store.find(user.slice(0, 255)), async set (id, value, ttl, user) { await store.set(id, value, ttl, user?.slice(0, 255)) } }),
  'users end at NUL': store => ({ find: async user => await store.find(user.split('\0')[0]!), async set (id, value, ttl, user) { await store.set(id, value, ttl, user?.split('\0')[0]) } }),
  'users are UTF-8': store => {
    const utf8 = (user: string): string => Buffer.from(user).toString()
    return { find: async user => await store.find(utf8(user)), async set (id, value, ttl, user) { await store.set(id, value, ttl, user === undefined ? user : utf8(user)) } }
  },
  'nobody is the empty user': store => ({ async set (id, value, ttl, user = '') { await store.set(id, value, ttl, user) }, find: async user => (await store.find(user)).slice(0, user === '' ? 0 : Infinity) }),
  'find has what has expired': store => ({ find: async user => [...store.entries].flatMap(([id, entry]) => entry.user === user ? [{ id, ...entry }] : []) }),
  'find has seconds': store => ({ find: async user => (await store.find(user)).map(entry => ({ ...entry, expiresAt: entry.expiresAt / 1000 })) }),
  'find is out of date': store => {
    let last = new Map<string, Array<{ id: string, value: string, expiresAt: number }>>()
    return { async find (user) { const was = last.get(user) ?? []; last = new Map([...last, [user, await store.find(user)]]); return was } }
  },
  'getMany leaves out what is not there': store => ({ getMany: async ids => (await store.getMany(ids)).filter(value => value !== undefined) }),
  'subscribe tells of every delete': store => ({ async delete (id) { const found = await store.delete(id); if (!found) for (const ended of store.listeners) ended(id); return found } }),
  'a listener is never stopped': store => ({ async subscribe (ended) { await store.subscribe(ended); return async () => {} } }),
  'there is one listener': store => ({ async subscribe (ended) { store.listeners.clear(); return await store.subscribe(ended) } })
}

t.test('a store that breaks a promise fails', { timeout: 0 }, async t => {
  await Promise.all(Object.entries(mutants).map(async ([title, breakIt]) => {
    const store = new MemoryStore()
    const healthy = new MemoryStore()
    Object.defineProperty(healthy, 'entries', { value: store.entries })
    Object.defineProperty(healthy, 'listeners', { value: store.listeners })
    const broken = Object.assign(store, breakIt(healthy))
    const failed: string[] = []
    for (const { name, run } of storeTests(broken)) await run().catch((error: Error) => { failed.push(`${name}: ${error.name}`) })
    t.ok(failed.length > 0, `${title}: ${failed.join('; ')}`)
  }))
})

t.test('what is wrong is an error at once', async t => {
  const store = new MemoryStore()
  t.throws(() => storeTests({} as never), { code: 'FST_SESSION_INVALID_OPTION', message: /"store" must be an object with the methods get, set, delete/ })
  t.throws(() => storeTests(store, { other: {} as never }), { message: /"other" must be/ })
  for (const resolution of [0, 0.5, '1', 60_001]) t.throws(() => storeTests(store, { resolution: resolution as number }), { message: /"resolution" must be a whole number/ })
  t.throws(() => storeTests(store, { resoluton: 1 } as never), { message: /"resoluton" is unknown/ })
})
