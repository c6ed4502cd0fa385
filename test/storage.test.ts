import { createReadStream } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { createSealer } from '../lib/index.js'
import { count, Jar, logTo, makeApp, olderSecret, read, secret } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

const big = 'x'.repeat(5000)

t.test('only the sealed id is in the cookie, and the data is in the store', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, { '/count': count, '/read': read, '/big': request => { request.session.note = big } })
  const jar = new Jar(app)
  t.equal((await jar.get('/read')).setCookies.length, 0)
  t.same(store.took(), [], 'a new session that stays empty is not stored')
  await jar.get('/count')
  t.same(store.took(), ['set'])
  t.same(store.values, [{ views: 1 }])
  const cookie = jar.header()
  t.same((await jar.get('/read')).json, { views: 1, reason: null })
  t.same(store.took(), ['get'], 'a read costs one call')
  t.same((await jar.get('/count')).json, { views: 2 })
  t.same(store.took(), ['get', 'get', 'set'], 'a change looks the session up again before it is written')
  t.equal(jar.header().length, cookie.length)
  await jar.get('/big')
  t.equal((await jar.get('/count')).json.views, 3)
  t.ok(jar.header().length < 400)
  t.same(store.values, [{ views: 3, note: big }])
  const { id } = (await app.session.unseal(jar.cookies.get('session')!) as { info: { id: string } }).info
  t.same([...store.entries.keys()], [id])
  t.equal(Buffer.from(id, 'base64url').length, 16)
})

t.test('every key and value is restored from the store unchanged', async t => {
  const data = { ['__proto__']: { a: 1 }, toString: 'x', constructor: [null, true, 'ü\u2028"'], 7: 'seven', '': {} }
  Object.defineProperty(data, '__proto__', { value: [1], enumerable: true, configurable: true, writable: true })
  const app = await makeApp({ store: new TestStore() }, {
    '/set': request => { for (const key of Object.keys(data)) request.session.set(key as 'note', data[key as 'toString'] as string) },
    '/data': request => JSON.stringify(request.session)
  })
  const jar = new Jar(app)
  await jar.get('/set')
  const answer = await jar.get('/data')
  t.equal(answer.body, JSON.stringify(data))
  t.equal(answer.setCookies.length, 0)
})

t.test('an id that the store does not know never creates an entry', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, { '/count': count, '/read': read, '/id': request => request.session.info.id })
  const jar = new Jar(app)
  await jar.get('/count')
  const old = jar.header()
  const id = [...store.entries.keys()][0]
  store.entries.clear()
  const { json, setCookies } = await new Jar(app).get('/read', { cookie: old })
  t.same(json, { views: null, reason: 'not-stored' })
  t.same(setCookies, [], 'the browser may have a newer cookie by now')
  t.same(store.values, [])
  const again = new Jar(app)
  await again.get('/count', { cookie: old })
  t.same(store.values, [{ views: 1 }])
  t.not([...store.entries.keys()][0], id, 'a new session has a new id')
})

t.test('storage "store" rejects a cookie with data, and storage "cookie" one without', async t => {
  const store = new TestStore()
  const cookies = await makeApp({}, { '/read': read })
  const stores = await makeApp({ store }, { '/read': read })
  const withData = { cookie: await cookies.session.cookie({ views: 1 }) }
  const withId = { cookie: await stores.session.cookie({ views: 1 }) }
  const refused = await new Jar(stores).get('/read', withData)
  t.equal(refused.json.reason, 'not-stored')
  t.equal(refused.setCookies.length, 0)
  const left = await new Jar(cookies).get('/read', withId)
  t.equal(left.json.reason, 'foreign')
  t.equal(left.setCookies.length, 0, 'a node with the store may know it')
  t.same(await createSealer({ secret }).unseal(withId.cookie.slice('session='.length)), { ok: false, reason: 'foreign' })
})

t.test('regenerate() moves the entry, and destroy() and clear() delete it', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/count': count,
    '/read': read,
    '/login': request => { request.session.regenerate(['views']); request.session.note = 'in' },
    '/empty': request => { request.session.regenerate() },
    '/destroy': request => { request.session.destroy() },
    '/clear': request => { request.session.clear() },
    '/farewell': request => { request.session.destroy(); request.session.note = 'bye' }
  })
  const jar = new Jar(app)
  await jar.get('/count')
  const old = jar.header()
  const [oldId] = store.entries.keys()
  store.took()
  await jar.get('/login')
  t.same(store.took(), ['get', 'set', 'get', 'delete'], 'the new entry is written before the old one is deleted')
  t.same(store.values, [{ views: 1, note: 'in' }])
  t.not([...store.entries.keys()][0], oldId)
  t.equal((await new Jar(app).get('/read', { cookie: old })).json.reason, 'not-stored')

  for (const end of ['/destroy', '/clear', '/empty']) {
    const jar = new Jar(app)
    await jar.get('/count')
    const copy = jar.header()
    const { setCookies } = await jar.get(end)
    t.match(setCookies, [/^session=; Max-Age=0/], end)
    t.equal(store.values.length, 1, end)
    t.equal((await new Jar(app).get('/read', { cookie: copy })).json.reason, 'not-stored', end)
  }
  await jar.get('/farewell')
  t.same(store.values, [{ note: 'bye' }])
  await jar.get('/destroy')
  t.same(store.values, [])
})

t.test('ending and starting sessions several times in one request leaves one entry', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/count': count,
    '/storm': async (request, reply) => {
      const { session } = request
      session.regenerate(['views'])
      session.regenerate(['views'])
      session.note = 'first'
      await app.session.commit(request, reply)
      session.destroy()
      session.note = 'second'
      await app.session.commit(request, reply)
      session.clear()
      await app.session.commit(request, reply)
      session.regenerate()
      session.note = 'third'
    }
  })
  const jar = new Jar(app)
  await jar.get('/count')
  const { setCookies } = await jar.get('/storm')
  t.equal(setCookies.length, 1)
  t.same(store.values, [{ note: 'third' }])
  const opened = await app.session.unseal(jar.cookies.get('session')!)
  t.same(opened.ok && opened.data, { note: 'third' })
})

t.test('renewing a session extends its entry, without writing the data if the store can', async t => {
  for (const [store, calls] of [[new TestStore('touch'), ['get', 'get', 'touch']], [new TestStore(), ['get', 'get', 'set']], [new TestStore('touch', 'replace'), ['get', 'replace']]] as const) {
    await t.test(calls.join(), async t => {
      t.clock.enter()
      t.clock.travel(1.9e12)
      const app = await makeApp({ store, idleTimeout: 100, absoluteTimeout: 250 }, { '/count': count, '/read': read })
      const jar = new Jar(app)
      await jar.get('/count')
      store.took()
      const [entry] = store.entries.values()
      t.equal(entry!.expiresAt, Date.now() + 100_000)
      t.clock.advance(49_000)
      await jar.get('/read')
      t.same(store.took(), ['get'], 'nothing is written before half of the timeout')
      t.clock.advance(2000)
      t.match((await jar.get('/read')).setCookies, [/Max-Age=100;/])
      t.same(store.took(), calls)
      t.equal([...store.entries.values()][0]!.expiresAt, Date.now() + 100_000)
      t.clock.advance(60_000)
      t.equal((await jar.get('/read')).json.views, 1)
      t.clock.advance(60_000)
      t.match((await jar.get('/read')).setCookies, [/Max-Age=79;/])
      t.equal([...store.entries.values()][0]!.expiresAt, 1.9e12 + 250_000, 'not beyond the absolute timeout')
    })
  }
})

t.test('an expired entry or an expired cookie ends the session, even if the other is valid', async t => {
  t.clock.enter()
  t.clock.travel(1.9e12)
  const store = new TestStore()
  const app = await makeApp({ store, idleTimeout: 100, rolling: false }, { '/count': count, '/read': read })
  const jar = new Jar(app)
  await jar.get('/count')
  const cookie = jar.header()
  const entry = [...store.entries.values()][0]!
  t.clock.advance(120_000)
  t.equal((await new Jar(app).get('/read', { cookie })).json.reason, 'not-stored', 'the seal has 60 s of skew, the entry has none')
  entry.expiresAt = Infinity
  t.equal((await new Jar(app).get('/read', { cookie })).json.views, 1)
  t.clock.advance(60_000)
  const late = await new Jar(app).get('/read', { cookie })
  t.equal(late.json.reason, 'expired')
  t.equal(late.setCookies.length, 1)
})

t.test('persist() applies the timeout of the session to its entry', async t => {
  const store = new TestStore('touch')
  const app = await makeApp({ store, idleTimeout: 100 }, {
    '/count': count, '/remember': request => { request.session.persist(5000) }, '/short': request => { request.session.persist(false) }
  })
  const jar = new Jar(app)
  await jar.get('/count')
  await jar.get('/remember')
  const left = (): number => ([...store.entries.values()][0]!.expiresAt - Date.now()) / 1000
  t.ok(left() > 4990 && left() <= 5000)
  await jar.get('/count')
  t.ok(left() > 4990)
  t.notMatch((await jar.get('/short')).setCookies[0], /Max-Age/)
  t.ok(left() <= 100)
})

t.test('a cookie of an older secret is sealed again, and the entry stays', async t => {
  const store = new TestStore('touch')
  const before = await makeApp({ store, secret: olderSecret }, { '/count': count })
  const after = await makeApp({ store, secret: [secret, olderSecret] }, { '/read': read })
  const jar = new Jar(before)
  await jar.get('/count')
  store.took()
  const { setCookies, json } = await new Jar(after).get('/read', { cookie: jar.header() })
  t.equal(json.views, 1)
  t.equal(setCookies.length, 1)
  t.same(store.took(), ['get', 'get', 'touch'])
})

t.test('overflow: the store has only sessions that do not fit into the cookies', async t => {
  for (const maxCookies of [1, 3]) {
    const store = new TestStore()
    const app = await makeApp({ store, storage: 'overflow', maxCookies }, {
      '/count': count,
      '/read': request => ({ views: request.session.views ?? null, size: request.session.note?.length ?? 0 }),
      '/big': request => { request.session.note = big.repeat(maxCookies) },
      '/small': request => { delete request.session.note },
      '/destroy': request => { request.session.destroy() },
      '/clear': request => { request.session.clear() },
      '/login': request => { request.session.regenerate(['note']) }
    })
    const jar = new Jar(app)
    await jar.get('/count')
    t.same(store.took(), [])
    await jar.get('/big')
    t.same(store.took(), ['get', 'set'], 'another request may have written an entry meanwhile')
    t.equal(jar.cookies.size, 1)
    t.ok(jar.header().length < 400)
    t.same((await jar.get('/read')).json, { views: 1, size: 5000 * maxCookies })
    t.same(store.took(), ['get'])
    await jar.get('/login')
    t.same(store.took(), ['get', 'set', 'get', 'delete'])
    await jar.get('/count')
    const copy = jar.header()
    await jar.get('/small')
    t.ok([...store.entries.values()].every(({ expiresAt }) => expiresAt <= Date.now() + 120_000), 'the entry expires soon after the session fits again')
    t.same((await jar.get('/read')).json, { views: 1, size: 0 })
    t.equal((await new Jar(app).get('/read', { cookie: copy })).json.views, 1, 'until then the earlier cookie opens the same session')
    for (const end of ['/destroy', '/clear']) {
      await jar.get('/big')
      t.equal(store.values.length, 1)
      await jar.get(end)
      t.same([store.values, jar.cookies.size], [[], 0])
    }
  }
})

t.test('app.session creates entries and looks them up', async t => {
  const store = new TestStore()
  const app = await makeApp({ store, idleTimeout: 100 }, { '/read': read })
  const token = await app.session.seal({ views: 5 }, { idleTimeout: 7 })
  const left = [...store.entries.values()][0]!.expiresAt - Date.now()
  t.ok(left > 6000 && left <= 7000)
  const opened = await app.session.unseal(token)
  t.same(opened.ok && opened.data, { views: 5 })
  t.same((await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 6 }) })).json, { views: 6, reason: null })
  store.entries.clear()
  t.same(await app.session.unseal(token), { ok: false, reason: 'not-stored' })
  t.same(await app.session.unseal('nonsense'), { ok: false, reason: 'malformed' })

  const overflow = await makeApp({ store, storage: 'overflow' })
  const small = await overflow.session.seal({ views: 1 })
  t.equal(store.values.length, 0)
  const large = await overflow.session.seal({ note: big })
  t.equal(store.values.length, 1)
  for (const token of [small, large]) t.ok((await overflow.session.unseal(token)).ok)
})

t.test('an entry that was not written by this package is an invalid session', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, { '/read': read, '/count': count })
  for (const value of ['not JSON', '', '[1]', '"text"', 'null', '{"destroy":1}', '{"views":']) {
    const jar = new Jar(app)
    await jar.get('/count')
    for (const entry of store.entries.values()) entry.value = value
    const { json, setCookies, status } = await jar.get('/read')
    t.same([status, json.reason, setCookies.length], [200, 'invalid', 1], value)
    store.entries.clear()
  }
})

t.test('a store that parses JSON itself is supported', async t => {
  const store = new TestStore()
  const parsing = { get: async (id: string) => JSON.parse(await store.get(id) ?? 'null') as unknown, set: store.set.bind(store), delete: store.delete.bind(store) }
  const app = await makeApp({ store: parsing }, { '/count': count })
  const jar = new Jar(app)
  await jar.get('/count')
  t.same((await jar.get('/count')).json, { views: 2 })
})

t.test('a second commit of one response returns the same cookie', async t => {
  const app = await makeApp({ store: new TestStore() }, {
    '/': async (request, reply) => {
      request.session.views = 1
      t.equal((await app.session.commit(request, reply)).length, 1)
      request.session.note = 'more'
      const cookies = await app.session.commit(request, reply)
      reply.hijack()
      reply.raw.writeHead(200, { 'set-cookie': cookies }).end('{}')
    },
    '/data': request => request.session.data()
  })
  const jar = new Jar(app)
  t.equal((await jar.get('/')).setCookies.length, 1)
  t.same((await jar.get('/data')).json, { views: 1, note: 'more' })
})

t.test('a response that Fastify cannot send is Fastify\'s 500, and the process keeps running', async t => {
  for (const options of [{ store: new TestStore() }, { iron: { integrity: { iterations: 2 } } }, {}]) {
    const app = await makeApp(options, {
      '/header': (request, reply) => { request.session.views = 1; reply.header('content-disposition', 'attachment; filename="€"') },
      '/payload': (request, reply) => { request.session.views = 1; reply.type('text/plain'); return { a: 1 } },
      '/read': read
    })
    const jar = new Jar(app)
    for (const url of ['/header', '/payload']) t.equal((await jar.get(url)).status, 500, url)
    t.equal((await jar.get('/read')).status, 200)
  }
})

t.test('a stream that fails while the session is saved is Fastify\'s 500, and the process keeps running', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/': async (request, reply) => {
      request.session.views = 1
      return await reply.send(createReadStream('/no/such/file'))
    }
  })
  store.before.set('set', async () => await wait(30))
  const { status } = await new Jar(app).get('/')
  t.equal(status, 500)
})

t.test('a session is loaded before the app\'s hooks, and an earlier read throws an error that says so', async t => {
  const app = await makeApp({ store: new TestStore() }, { '/': count }, {}, app => {
    app.addHook('onRequest', async request => { request.session.touch() })
  })
  const { status, json } = await new Jar(app).get('/')
  t.equal(status, 500)
  t.match(json, { code: 'FST_SESSION_NOT_REGISTERED', message: /not loaded yet/ })
})

t.test('a change needs no new cookie, as the id stays and rolling renews the cookie when it is due', async t => {
  const routes: Parameters<typeof makeApp>[1] = {
    '/count': count, '/touch': request => { request.session.touch() }, '/persist': request => { request.session.persist(50) }
  }
  const app = await makeApp({ store: new TestStore() }, routes)
  const jar = new Jar(app)
  t.equal((await jar.get('/count')).setCookies.length, 1)
  const { setCookies, headers } = await jar.get('/count')
  t.same(setCookies, [])
  t.same([headers.vary, headers['cache-control']], ['Cookie', undefined])
  t.equal((await jar.get('/touch')).setCookies.length, 1)
  t.equal((await jar.get('/persist')).setCookies.length, 1)
  const still = await makeApp({ store: new TestStore(), rolling: false }, routes)
  const other = new Jar(still)
  await other.get('/count')
  t.equal((await other.get('/count')).setCookies.length, 1, 'with rolling: false, a change renews it')
})

t.test('the store is written even if the headers have been sent', async t => {
  const store = new TestStore()
  const lines: Array<Record<string, unknown>> = []
  const app = await makeApp({ store }, {
    '/count': count,
    '/late': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'application/json' })
      request.session.views = 10
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end('{}')
    },
    '/late-end': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      request.session.destroy()
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end('{}')
    },
    '/late-clear': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      request.session.clear()
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end('{}')
    },
    '/late-farewell': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      request.session.destroy()
      request.session.note = 'too late'
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end('{}')
    },
    '/late-overlap': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      await new Jar(app).get('/count', { cookie: request.headers.cookie! })
      request.session.note = 'n'
      t.same(await app.session.commit(request, reply), [])
      t.same(request.session.data(), { views: 2, note: 'n' })
      await new Jar(app).get('/destroy', { cookie: request.headers.cookie! })
      request.session.note = 'm'
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end('{}')
    },
    '/destroy': request => { request.session.destroy() }
  }, logTo(lines, 'warn'))
  const jar = new Jar(app)
  await jar.get('/count')
  await jar.get('/late')
  t.same(store.values, [{ views: 10 }])
  await jar.get('/late-end')
  t.same(store.values, [])
  t.equal(lines.length, 0)

  for (const [url, warning] of [['/late-clear', undefined], ['/late-farewell', /after the response headers were sent/], ['/late-overlap', /another request ended/]] as const) {
    const jar = new Jar(app)
    await jar.get('/count')
    await jar.get(url)
    t.same(store.values, [], url)
    t.match(lines.splice(0), warning === undefined ? { length: 0 } : [{ msg: warning }], url)
  }
  const stranger = new Jar(app)
  await stranger.get('/late', { cookie: 'session=forged' })
  t.same(store.values, [])
  t.match(lines, [{ msg: /after the response headers were sent/ }])
})
