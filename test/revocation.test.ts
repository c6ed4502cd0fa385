import t from 'tap'
import type { FastifyRequest } from 'fastify'
import Keyv from 'keyv'
import { denylist } from '../lib/index.js'
import type { RevocationList, SessionInfo } from '../lib/index.js'
import { count, Jar, logTo, makeApp, read } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

const routes = {
  '/count': count,
  '/read': read,
  '/login': (request: FastifyRequest) => { request.session.regenerate(['views']) },
  '/destroy': (request: FastifyRequest) => { request.session.destroy() },
  '/clear': (request: FastifyRequest) => { request.session.clear() },
  '/farewell': (request: FastifyRequest) => { request.session.destroy(); request.session.note = 'bye' }
}

t.test('a stateless session that was destroyed or regenerated is immediately rejected on every node', async t => {
  for (const end of ['/destroy', '/login', '/farewell']) {
    const store = new TestStore()
    const lines: Array<Record<string, unknown>> = []
    const [here, there] = [
      await makeApp({ isRevoked: denylist(store) }, routes), await makeApp({ isRevoked: denylist(store) }, routes, logTo(lines))
    ]
    const jar = new Jar(here)
    await jar.get('/count')
    const copy = { cookie: jar.header() }
    t.equal((await new Jar(there).get('/read', copy)).json.views, 1)
    await jar.get(end)
    t.match([...store.entries.keys()], [/^(revoked|successor):/])
    const { json, setCookies } = await new Jar(there).get('/read', copy)
    t.same(json, { views: null, reason: 'revoked' }, end)
    t.same(setCookies, [], 'the browser may have a newer cookie by now')
    t.ok(lines.some(line => line.reason === 'revoked' && line.sessionName === 'session'))
    t.same(await there.session.unseal(copy.cookie.slice('session='.length)), { ok: false, reason: 'revoked' })
    if (end === '/login') t.equal((await jar.get('/read')).json.views, 1, 'the new session continues')
  }
})

const DAY = 86_400 // seconds

t.test('an entry of the denylist lasts until the absolute timeout, as another request may set a longer timeout', async t => {
  const times: Array<[options: object, age: number, persist: number | false | undefined, left: number]> = [
    [{ idleTimeout: 1000 }, 0, undefined, 90 * DAY + 60],
    [{ idleTimeout: 1000 }, 900, undefined, 90 * DAY - 900 + 60],
    [{ idleTimeout: 1000, absoluteTimeout: 1500 }, 900, undefined, 600 + 60],
    [{ idleTimeout: 1000, absoluteTimeout: false }, 0, 5000, 400 * DAY + 60],
    [{ idleTimeout: 1000, absoluteTimeout: false }, 0, 10, 400 * DAY + 60],
    [{ idleTimeout: 1000, iron: { timestampSkewSec: 5 } }, 0, undefined, 90 * DAY + 5],
    [{ idleTimeout: 1000, iron: { localtimeOffsetMsec: -3_600_000 } }, 0, undefined, 90 * DAY + 60]
  ]
  for (const [options, age, persist, left] of times) {
    await t.test(JSON.stringify([options, age, persist]), async t => {
      t.clock.enter()
      t.clock.travel(1.9e12)
      const store = new TestStore()
      const app = await makeApp({ ...options, isRevoked: denylist(store), rolling: false }, {
        ...routes, '/persist': request => { request.session.views = 1; if (persist !== undefined) request.session.persist(persist) }
      })
      const jar = new Jar(app)
      await jar.get('/persist')
      t.clock.advance(age * 1000)
      await jar.get('/destroy')
      const [entry] = store.entries.values()
      t.equal(entry!.expiresAt, Date.now() + left * 1000)
    })
  }
})

t.test('a stolen copy is rejected even if it was renewed', async t => {
  t.clock.enter()
  t.clock.travel(1.9e12)
  const store = new TestStore()
  const app = await makeApp({ isRevoked: denylist(store), idleTimeout: 1000, absoluteTimeout: 10_000 }, routes)
  const owner = new Jar(app)
  await owner.get('/count')
  const thief = new Jar(app)
  thief.cookies.set('session', owner.cookies.get('session')!)
  t.clock.advance(600_000)
  t.equal((await thief.get('/read')).setCookies.length, 1, 'rolled')
  await owner.get('/destroy')
  for (const seconds of [1, 900, 140]) {
    t.clock.advance(seconds * 1000)
    t.equal((await new Jar(app).get('/read', { cookie: thief.header() })).json.views, null)
  }
})

t.test('a copy from before persist() shortened the timeout is rejected until it expires', async t => {
  for (const interop of [false, 'iron-session'] as const) {
    await t.test(String(interop), async t => {
      t.clock.enter()
      t.clock.travel(1.9e12)
      const store = new TestStore()
      const app = await makeApp({ isRevoked: denylist(store), idleTimeout: 1000, interop }, {
        ...routes,
        '/long': request => { request.session.persist(50_000) },
        '/short': request => { request.session.persist(10) },
        '/middle': request => { request.session.persist(20) }
      })
      const jar = new Jar(app)
      await jar.get('/count')
      await jar.get('/long')
      const copy = { cookie: jar.header() }
      for (const url of ['/short', '/middle', '/count', '/destroy']) await jar.get(url)
      t.clock.advance(20_000_000)
      t.equal((await new Jar(app).get('/read', copy)).json.reason, 'revoked')
      t.clock.advance(29_990_000)
      t.equal((await new Jar(app).get('/read', copy)).json.views, null)
    })
  }
})

t.test('a change after the headers is logged as lost, also with only a denylist', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = await makeApp({ isRevoked: denylist(new TestStore()) }, {
    '/late': async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200)
      request.session.clear()
      t.same(await app.session.commit(request, reply), [])
      reply.raw.end()
    }
  }, logTo(lines, 'warn'))
  await new Jar(app).get('/late', { cookie: await app.session.cookie({ views: 1 }) })
  t.match(lines, [{ msg: /after the response headers were sent/ }])
})

t.test('a session that is new, unchanged or only cleared is not put on the denylist', async t => {
  const store = new TestStore()
  const app = await makeApp({ isRevoked: denylist(store) }, routes)
  const jar = new Jar(app)
  for (const url of ['/destroy', '/login', '/count', '/read', '/clear']) await jar.get(url)
  t.equal(store.entries.size, 0)
})

t.test('the denylist is asked at every request before the session is available, even for a cached cookie', async t => {
  const asked: Array<[SessionInfo, string | undefined]> = []
  let revoked = false
  const app = await makeApp({ isRevoked: (info, request) => { asked.push([info, request?.url]); return revoked } }, routes)
  const jar = new Jar(app)
  await jar.get('/read')
  t.equal(asked.length, 0, 'without a session the denylist is not asked')
  await jar.get('/count')
  for (let time = 0; time < 3; time++) t.equal((await jar.get('/read')).json.views, 1)
  t.equal(asked.length, 3)
  t.match(asked[0], [{ id: /^[\w-]{22}$/, isNew: false, reason: null }, '/read'])
  revoked = true
  t.equal((await jar.get('/read')).json.reason, 'revoked')
  t.same(await app.session.unseal(await app.session.seal({ views: 1 })), { ok: false, reason: 'revoked' })
  t.equal(asked.at(-1)![1], undefined)
})

t.test('isRevoked can be synchronous or asynchronous, a function or the app\'s own denylist', async t => {
  const ended = new Set<string>()
  class List implements RevocationList {
    check ({ id }: SessionInfo): boolean { return ended.has(id) }
    revoke ({ id }: SessionInfo): void { ended.add(id) }
  }
  for (const isRevoked of [new List(), { check: async (info: SessionInfo) => new List().check(info), revoke: async (info: SessionInfo) => { new List().revoke(info) } }]) {
    const app = await makeApp({ isRevoked }, routes)
    const jar = new Jar(app)
    await jar.get('/count')
    const cookie = jar.header()
    await jar.get('/destroy')
    t.equal((await new Jar(app).get('/read', { cookie })).json.reason, 'revoked')
  }
})

t.test('a revoked cookie does not block another one of the name that is not revoked', async t => {
  const app = await makeApp({ isRevoked: denylist(new TestStore()) }, routes)
  const [one, other] = [new Jar(app), new Jar(app)]
  await one.get('/count')
  await other.get('/count')
  await other.get('/count')
  const revoked = one.header()
  await one.get('/destroy')
  t.equal((await new Jar(app).get('/read', { cookie: `${revoked}; ${other.header()}` })).json.views, 2)
})

t.test('a failed denylist responds with 503 and never opens a session that may have been revoked', async t => {
  const down = new Error('the list is down')
  const failures: Array<() => never | Promise<never>> = [() => { throw down }, async () => { throw down }]
  for (const isRevoked of failures) {
    const app = await makeApp({ isRevoked }, { ...routes, '/without': () => ({ ok: true }) })
    const cookie = await app.session.cookie({ views: 1 })
    const { status, json, setCookies } = await new Jar(app).get('/read', { cookie })
    t.same([status, json.code, setCookies], [503, 'FST_SESSION_STORE', []])
    t.equal((await new Jar(app).get('/without', { cookie })).status, 200, 'a route that does not use its session does not need the denylist')
    t.equal((await new Jar(app).get('/read')).status, 200, 'a visitor without a cookie does not need it either')
    await t.rejects(app.session.unseal(cookie.slice('session='.length)), { code: 'FST_SESSION_STORE', cause: down })
  }
})

t.test('a failed revocation responds with 503, clears a destroyed session, and leaves a regenerated one unchanged', async t => {
  const store = new TestStore()
  store.fails.set('set', new Error('full'))
  const app = await makeApp({ isRevoked: denylist(store) }, routes)
  const jar = new Jar(app)
  await jar.get('/count')
  const login = await jar.get('/login')
  t.same([login.status, login.json.code, login.setCookies], [503, 'FST_SESSION_STORE', []])
  t.equal((await jar.get('/read')).json.views, 1)
  store.took()
  const destroy = await jar.get('/destroy')
  t.same([destroy.status, destroy.json.code], [503, 'FST_SESSION_STORE'])
  t.match(destroy.setCookies, [/^session=; Max-Age=0/])
  t.same(store.took(), ['get', 'get', 'set'], 'it is not tried again for the error response')
})

t.test('with a store and a denylist, both end the session', async t => {
  const [store, list] = [new TestStore(), new TestStore()]
  const app = await makeApp({ store, isRevoked: denylist(list) }, routes)
  const jar = new Jar(app)
  await jar.get('/count')
  const cookie = jar.header()
  await jar.get('/destroy')
  t.same([store.entries.size, list.entries.size], [0, 1])
  t.equal((await new Jar(app).get('/read', { cookie })).json.reason, 'revoked')
})

t.test('one store can be used for both, as the denylist has its own keys', async t => {
  const store = new Keyv()
  const app = await makeApp({ store, isRevoked: denylist(store) }, routes)
  const jar = new Jar(app)
  await jar.get('/count')
  const cookie = jar.header()
  await jar.get('/destroy')
  t.equal((await new Jar(app).get('/read', { cookie })).json.reason, 'revoked')
})
