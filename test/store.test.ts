import session from 'express-session'
import Keyv from 'keyv'
import t from 'tap'
import { denylist, fromExpressStore } from '../lib/index.js'
import type { ExpressStore, SessionStore } from '../lib/index.js'
import { StoreClient } from '../lib/store/client.js'
import { count, Jar, makeApp } from './fixtures/app.js'

interface Entry { cookie: { expires: Date, maxAge: number, originalMaxAge: number }, data?: unknown }

/** A callback store that records what it is given; `touch` is optional. */
class Callbacks implements ExpressStore {
  readonly entries = new Map<string, Entry>()
  error: unknown
  touch: ExpressStore['touch']

  get (id: string, done: (error: unknown, session?: unknown) => void): void {
    setImmediate(() => { done(this.error, this.entries.get(id) ?? null) })
  }

  set (id: string, session: Entry, done?: (error?: unknown) => void): void {
    this.entries.set(id, session)
    done?.(this.error)
  }

  destroy (id: string, done?: (error?: unknown) => void): void {
    this.entries.delete(id)
    done?.(this.error)
  }
}

t.test('an express-session store receives the data and its expiry in every form that stores use', async t => {
  const callbacks = new Callbacks()
  const store = fromExpressStore(callbacks)
  const before = Date.now()
  t.equal(await store.get('id'), undefined)
  await store.set('id', '{"a":[1]}', 5000)
  const { cookie, data } = callbacks.entries.get('id')!
  t.same(data, { a: [1] })
  t.same([cookie.maxAge, cookie.originalMaxAge], [5000, 5000])
  t.ok(cookie.expires.getTime() >= before + 5000 && cookie.expires.getTime() <= Date.now() + 5000)
  t.equal(await store.get('id'), '{"a":[1]}')
  await store.delete('id')
  t.equal(callbacks.entries.size, 0)
})

t.test('the adapter has touch() only if the store has it', async t => {
  t.equal('touch' in fromExpressStore(new Callbacks()), false)
  const callbacks = new Callbacks()
  const touched: unknown[] = []
  callbacks.touch = (id, session, done) => { touched.push(id, session); done!() }
  const store = fromExpressStore(callbacks)
  await store.touch!('id', 7000)
  t.match(touched, ['id', { cookie: { maxAge: 7000, expires: Date } }])
})

t.test('an entry of another app is not accepted as data', async t => {
  const callbacks = new Callbacks()
  callbacks.entries.set('id', { cookie: {}, user: 'of express' } as unknown as Entry)
  t.equal(await fromExpressStore(callbacks).get('id'), 'null')
})

const callsOf = (store: SessionStore): Array<() => Promise<unknown>> =>
  [async () => await store.get('id'), async () => await store.set('id', '{}', 1), async () => await store.delete('id')]

t.test('failures of any kind are rejected promises', async t => {
  const down = new Error('down')
  const callbacks = new Callbacks()
  callbacks.error = down
  const failing = fromExpressStore(callbacks)
  for (const call of callsOf(failing)) await t.rejects(call, down)
  const throwing = fromExpressStore({ get () { throw down }, async set () { throw down }, async destroy () { throw down } })
  for (const call of callsOf(throwing)) await t.rejects(call, down)
  callbacks.error = 'a text'
  await t.rejects(new StoreClient(failing).get('id'), { code: 'FST_SESSION_STORE', cause: 'a text' })
  callbacks.error = Object.assign(new Error('no file'), { code: 'ENOENT' })
  t.equal(await failing.get('id'), undefined, 'a file store has no entry for an unknown id')
  await failing.delete('id')
  const touching = fromExpressStore({ ...callbacks, get: callbacks.get, set: callbacks.set, destroy: callbacks.destroy, touch: (_id, _session, done) => { done!(callbacks.error) } })
  await touching.touch!('id', 1)
  callbacks.error = down
  await t.rejects(touching.touch!('id', 1), down)
  callbacks.error = new SyntaxError('Unexpected token "s" in "secret"')
  t.equal(await new StoreClient(failing).get('id'), 'null', 'an entry that it cannot parse is not a session')
})

t.test('express-session\'s own MemoryStore works, including touch and destroy', async t => {
  const memory = new session.MemoryStore()
  const store = fromExpressStore(memory)
  const app = await makeApp({ store, idleTimeout: 0.2 }, { '/count': count, '/destroy': request => { request.session.destroy() } })
  const jar = new Jar(app)
  await jar.get('/count')
  t.same((await jar.get('/count')).json, { views: 2 })
  const all = async (): Promise<Record<string, { data: unknown }>> => await new Promise((resolve, reject) => {
    memory.all((error, sessions) => { error === null ? resolve(sessions as never) : reject(error) })
  })
  t.match(Object.values(await all()), [{ data: { d: { views: 2 } } }])
  await store.touch!(Object.keys(await all())[0]!, 60_000)
  await jar.get('/destroy')
  t.same(await all(), {})
})

t.test('a Keyv instance works directly as a store, also in TypeScript', async t => {
  const store: SessionStore = new Keyv()
  await store.set('id', '{}', 10_000)
  t.equal(await new StoreClient(store).get('id'), '{}')
})

t.test('a value that is not a store is rejected with the name of the option', t => {
  for (const wrong of [undefined, null, 'redis://127.0.0.1', {}, { get () {}, set () {} }]) {
    t.throws(() => denylist(wrong as never), { code: 'FST_SESSION_INVALID_OPTION', message: /"store" must be an object with the methods get, set, delete/ })
    t.throws(() => fromExpressStore(wrong as never), { code: 'FST_SESSION_INVALID_OPTION', message: /get, set, destroy/ })
  }
  t.end()
})

t.test('a denylist stores nothing for a session that has already expired', async t => {
  const keyv = new Keyv()
  const list = denylist(keyv)
  const info = { id: 'an-id', createdAt: new Date(), isNew: false, reason: null, bound: false, provenAt: null }
  await list.revoke({ ...info, expiresAt: new Date(Date.now() - 1) })
  t.equal(await list.check({ ...info, expiresAt: new Date() }), false)
  await list.revoke({ ...info, expiresAt: new Date(Date.now() + 60_000) })
  t.equal(await list.check({ ...info, expiresAt: new Date() }), true)
  t.equal(await list.check({ ...info, id: 'another', expiresAt: new Date() }), false)
})
