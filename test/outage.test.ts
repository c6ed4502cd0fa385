import { EventEmitter } from 'node:events'
import t from 'tap'
import Keyv from 'keyv'
import type { KeyvStoreAdapter } from 'keyv'
import type { FastifyInstance } from 'fastify'
import { denylist, errors } from '../lib/index.js'
import type { SessionOptions, SessionStore } from '../lib/index.js'
import { count, Jar, logTo, makeApp, read } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

// An unavailable store leads to a 503 that says why, never to an empty session or a request without a response.

const down = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:6379'), { code: 'ECONNREFUSED' })

const routes: Parameters<typeof makeApp>[1] = {
  '/count': count,
  '/read': read,
  '/without': () => ({ ok: true }),
  '/touch': request => { request.session.touch() },
  '/login': request => { request.session.regenerate(['views']) },
  '/destroy': request => { request.session.destroy() },
  '/clear': request => { request.session.clear() },
  '/persist': request => { request.session.persist(50) }
}

interface Seen { code: string, cause: unknown, message: string }

async function makeFailing (options: Partial<SessionOptions>, lines: Array<Record<string, unknown>> = []): Promise<{ app: FastifyInstance, seen: Seen[] }> {
  const seen: Seen[] = []
  const app = await makeApp(options, routes, logTo(lines, 'debug'), app => {
    app.setErrorHandler(async (error: Error & { code: string, statusCode?: number }, _request, reply) => {
      seen.push({ code: error.code, cause: error.cause, message: error.message })
      return reply.code(error.statusCode ?? 500).send({ code: error.code, message: error.message })
    })
  })
  return { app, seen }
}

t.test('the app\'s error handler receives any store failure with its cause, and the client keeps its session', async t => {
  const cases: Array<[method: 'get' | 'set' | 'delete' | 'touch' | 'replace', url: string, optional?: 'touch' | 'replace']> = [
    ['get', '/read'], ['get', '/count'],
    ['set', '/count'], ['set', '/touch'], ['set', '/login'], ['set', '/persist'],
    ['touch', '/touch', 'touch'], ['replace', '/count', 'replace'],
    ['delete', '/login'], ['set', '/clear']
  ]
  for (const [method, url, optional] of cases) {
    const store = new TestStore(...optional === undefined ? [] : [optional])
    const lines: Array<Record<string, unknown>> = []
    const { app, seen } = await makeFailing({ store }, lines)
    const jar = new Jar(app)
    await jar.get('/count')
    const cookie = jar.header()
    store.fails.set(method, down)
    store.took()
    const { status, json, setCookies } = await jar.get(url)
    t.same([status, json.code, setCookies], [503, 'FST_SESSION_STORE', []], `${method} ${url}`)
    t.equal(seen.length, 1)
    t.equal(seen[0]!.cause, down)
    // A failed login deletes the entry of the new session as well.
    t.equal(store.took().filter(call => call === method).length, method === 'delete' ? 2 : 1, 'the store is called once')
    t.notMatch(json.message, /10\.0\.0\.7/, 'the client does not learn where the store is')
    store.fails.clear()
    t.equal(jar.header(), cookie)
    t.equal((await jar.get('/read')).json.views, 1, 'the data is there when the store is back')
    t.notMatch(JSON.stringify(lines), cookie.slice(20, 60))
  }
})

t.test('a failed destroy() responds with 503 and still clears the cookie', async t => {
  const store = new TestStore()
  const { app, seen } = await makeFailing({ store })
  const jar = new Jar(app)
  await jar.get('/count')
  store.fails.set('delete', down)
  const { status, setCookies } = await jar.get('/destroy')
  t.equal(status, 503)
  t.match(setCookies, [/^session=; Max-Age=0/])
  t.equal(seen[0]!.cause, down)
})

t.test('a destroyed session stays ended even if data set after it cannot be saved', async t => {
  const unsavable = { bigint: 10n, large: 'x'.repeat(5000), nan: NaN }
  for (const [kind, value] of Object.entries(unsavable)) {
    const [store, list] = [new TestStore(), new TestStore()]
    for (const options of [{ store }, { isRevoked: denylist(list) }]) {
      if (kind === 'large' && 'store' in options) continue
      const app = await makeApp(options, { ...routes, '/end': request => { request.session.destroy(); request.session.any = value } })
      const jar = new Jar(app)
      await jar.get('/count')
      const copy = jar.header()
      const { status, setCookies } = await jar.get('/end')
      t.equal(status, 500)
      t.match(setCookies, [/^session=; Max-Age=0/])
      t.equal((await new Jar(app).get('/read', { cookie: copy })).json.views, null, kind)
    }
    t.same([store.entries.size, list.entries.size], [0, 1])
  }
})

t.test('a failed destroy() can be retried by commit()', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/count': count,
    '/end': async (request, reply) => {
      request.session.destroy()
      store.fails.set('delete', down)
      await t.rejects(app.session.commit(request, reply), { code: 'FST_SESSION_STORE' })
      store.fails.clear()
      await app.session.commit(request, reply)
    }
  })
  const jar = new Jar(app)
  await jar.get('/count')
  const { status, setCookies } = await jar.get('/end')
  t.equal(status, 200)
  t.match(setCookies, [/^session=; Max-Age=0/])
  t.same(store.values, [])
})

t.test('a session that could not be loaded throws wherever it is read, instead of being empty', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/count': count,
    '/caught': async request => {
      const codes: unknown[] = []
      for (let time = 0; time < 2; time++) {
        try { return request.session.info } catch (error) { codes.push((error as { code: string }).code, error instanceof errors.FST_SESSION_STORE) }
      }
      return codes
    },
    '/commit': async (request, reply) => await app.session.commit(request, reply)
  })
  const jar = new Jar(app)
  await jar.get('/count')
  store.fails.set('get', down)
  const { body, setCookies } = await jar.get('/caught')
  t.equal(body, '["FST_SESSION_STORE",true,"FST_SESSION_STORE",true]')
  t.same(setCookies, [])
  t.equal((await jar.get('/commit')).body, '[]')
})

t.test('a route that does not use its session does not need the store', async t => {
  const store = new TestStore()
  const { app } = await makeFailing({ store })
  const jar = new Jar(app)
  await jar.get('/count')
  store.fails.set('get', down)
  t.equal((await jar.get('/without')).status, 200)
  t.equal((await jar.get('/nowhere')).status, 404)
  const visitor = new Jar(app)
  t.equal((await visitor.get('/read')).status, 200, 'a visitor without a session does not need the store')
})

t.test('a store call times out after storeTimeout', async t => {
  const store = new TestStore('touch')
  const { app, seen } = await makeFailing({ store, storeTimeout: 0.05 })
  const cases = [['get', '/read'], ['set', '/count'], ['touch', '/touch'], ['set', '/clear'], ['delete', '/destroy']] as const
  for (const [method, url] of cases) {
    const jar = new Jar(app)
    await jar.get('/count')
    store.before.set(method, async () => await new Promise(() => {}))
    t.equal((await jar.get(url)).status, 503, `${method} ${url}`)
    store.before.clear()
  }
  t.equal(seen.length, cases.length)
  t.match(seen, cases.map(([method]) => ({ code: 'FST_SESSION_STORE', message: `${method} did not answer in time`, cause: /no answer in 0.05 seconds/ })))
})

t.test('a late result or failure of a call does not affect others', async t => {
  const store = new TestStore()
  const { app } = await makeFailing({ store, storeTimeout: 0.02 })
  const jar = new Jar(app)
  await jar.get('/count')
  let fail!: (error: Error) => void
  store.before.set('get', async () => await new Promise((_resolve, reject) => { fail = reject }))
  t.equal((await jar.get('/read')).status, 503)
  fail(down)
  store.before.clear()
  t.equal((await jar.get('/read')).json.views, 1)
})

t.test('a request waits no longer for another request\'s write than for its own', async t => {
  const store = new TestStore()
  const { app } = await makeFailing({ store, storeTimeout: 0.1 })
  const jar = new Jar(app)
  await jar.get('/count')
  let fail!: (error: Error) => void
  store.before.set('set', async () => await new Promise((_resolve, reject) => { fail = reject }))
  const answers = await Promise.all([1, 2, 3].map(async () => await new Jar(app).get('/count', { cookie: jar.header() })))
  t.same(answers.map(({ status }) => status), [503, 503, 503])
  store.before.clear()
  t.equal((await jar.get('/count')).status, 503, 'the call may still take effect, so no other may overtake it')
  fail(down)
  t.same((await jar.get('/count')).json, { views: 2 })
})

t.test('a denylist call times out too', async t => {
  const { app, seen } = await makeFailing({ isRevoked: async () => await new Promise(() => {}), storeTimeout: 0.02 })
  t.equal((await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })).status, 503)
  t.match(seen, [{ code: 'FST_SESSION_STORE' }])
})

t.test('an app starts while its store is down, and works once the store is available', async t => {
  const store = new TestStore()
  for (const method of ['get', 'set', 'delete'] as const) store.fails.set(method, down)
  const { app } = await makeFailing({ store, isRevoked: denylist(store) })
  await app.ready()
  const jar = new Jar(app)
  t.equal((await jar.get('/count')).status, 503)
  store.fails.clear()
  t.equal((await jar.get('/count')).status, 200)
  t.equal((await jar.get('/count')).json.views, 2)
})

t.test('app.session rejects with the error during an outage, and neither seals nor rejects a token', async t => {
  const store = new TestStore()
  const { app } = await makeFailing({ store })
  const token = await app.session.seal({ views: 1 })
  store.fails.set('set', down).set('get', down)
  for (const call of [app.session.seal({}), app.session.cookie({}), app.session.unseal(token)] as Array<Promise<unknown>>) {
    await t.rejects(call, { code: 'FST_SESSION_STORE', statusCode: 503, cause: down })
  }
  t.same(await app.session.unseal('nonsense'), { ok: false, reason: 'malformed' })
})

/** An adapter that fails. By default Keyv hides the failures of its adapter, and some adapters hide theirs from Keyv. */
class Adapter extends EventEmitter {
  readonly entries = new Map<string, string>()
  failing = false
  opts = {}
  constructor (readonly hides: boolean) { super() }
  async #try<T> (action: () => T): Promise<T | undefined> {
    if (!this.failing) return action()
    if (!this.hides) throw down
    this.emit('error', down)
  }

  async get (key: string): Promise<string | undefined> { return await this.#try(() => this.entries.get(key)) }
  async set (key: string, value: string): Promise<void> { await this.#try(() => this.entries.set(key, value)) }
  async delete (key: string): Promise<boolean> { return await this.#try(() => this.entries.delete(key)) ?? false }
  async clear (): Promise<void> { this.entries.clear() }
}

t.test('a failure that Keyv hides is still a failure', async t => {
  for (const hides of [true, false]) {
    for (const throwOnErrors of [false, true]) {
      const adapter = new Adapter(hides)
      const keyv = new Keyv(adapter as unknown as KeyvStoreAdapter, { throwOnErrors })
      const { app, seen } = await makeFailing({ store: keyv })
      const jar = new Jar(app)
      await jar.get('/count')
      const cookie = jar.header()
      adapter.failing = true
      for (const url of ['/read', '/count', '/destroy']) {
        const { status, setCookies } = await new Jar(app).get(url, { cookie })
        t.same([status, setCookies.length], [503, url === '/destroy' ? 1 : 0], `${url}, adapter hides: ${hides}, throwOnErrors: ${throwOnErrors}`)
      }
      t.ok(seen.every(({ cause }) => cause === down))
      const visitor = new Jar(app)
      t.equal((await visitor.get('/count')).status, 503)
      t.equal(visitor.cookies.size, 0)
      adapter.failing = false
      t.equal(jar.header(), cookie)
      t.same((await jar.get('/count')).json, { views: 2 })

      const listed = await makeFailing({ isRevoked: denylist(keyv) })
      const token = await listed.app.session.cookie({ views: 1 })
      adapter.failing = true
      t.equal((await new Jar(listed.app).get('/read', { cookie: token })).status, 503, 'an unavailable denylist opens no session')
    }
  }
})

t.test('a Keyv with emitErrors: false is rejected, as it hides all its failures', async t => {
  await t.rejects(async () => { await makeApp({ store: new Keyv({ emitErrors: false }) }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /"store" is invalid: .*emitErrors/ })
})

t.test('many apps add only one listener to a shared store, and a call that returns false has failed', async t => {
  const emitter = Object.assign(new EventEmitter(), { get: async () => undefined, set: async () => false, delete: async () => {} })
  for (let time = 0; time < 12; time++) {
    const { app, seen } = await makeFailing({ store: emitter, isRevoked: denylist(emitter) })
    t.equal((await new Jar(app).get('/count')).status, 503)
    t.match(seen, [{ cause: /returned false/ }])
    await app.close()
  }
  t.equal(emitter.listenerCount('error'), 1)
})

t.test('an entry that Keyv cannot read is an invalid session, and none of its text is logged', async t => {
  const adapter = new Adapter(false)
  const lines: Array<Record<string, unknown>> = []
  const { app } = await makeFailing({ store: new Keyv(adapter as unknown as KeyvStoreAdapter) }, lines)
  const jar = new Jar(app)
  await jar.get('/count')
  for (const key of adapter.entries.keys()) adapter.entries.set(key, 'pin4711 secret')
  t.match(await jar.get('/read'), { status: 200, json: { reason: 'invalid' } })
  t.notMatch(JSON.stringify(lines), 'pin4711')
})

t.test('the cause of a timeout is the error that the store has reported', async t => {
  const adapter = new Adapter(true)
  const { app, seen } = await makeFailing({ store: new Keyv(adapter as unknown as KeyvStoreAdapter), storeTimeout: 0.05 })
  const jar = new Jar(app)
  await jar.get('/count')
  adapter.get = async () => {
    adapter.emit('error', down)
    return await new Promise(() => {})
  }
  t.equal((await jar.get('/read')).status, 503)
  t.match(seen, [{ message: /get did not answer in time/, cause: down }])
})

t.test('an error that is reported while an entry is found has no effect', async t => {
  const adapter = new Adapter(true)
  const keyv = new Keyv(adapter as unknown as KeyvStoreAdapter)
  const { app } = await makeFailing({ store: keyv })
  const jar = new Jar(app)
  await jar.get('/count')
  const { get } = adapter
  adapter.get = async key => {
    adapter.emit('error', new Error('of another connection'))
    return await get.call(adapter, key)
  }
  t.equal((await jar.get('/read')).json.views, 1)
})

t.test('a synchronous store works, and a synchronous exception is a failure like any other', async t => {
  const entries = new Map<string, string>()
  const store = { get: (id: string) => entries.get(id), set: (id: string, value: string) => entries.set(id, value), delete: (id: string) => entries.delete(id) }
  const { app, seen } = await makeFailing({ store: store as unknown as SessionStore })
  const jar = new Jar(app)
  await jar.get('/count')
  t.equal((await jar.get('/count')).json.views, 2)
  store.get = () => { throw down }
  t.equal((await jar.get('/read')).status, 503)
  t.equal(seen[0]!.cause, down)
})
