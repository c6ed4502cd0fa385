import fastifyCookie from '@fastify/cookie'
import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import Fastify from 'fastify'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { appWith, browser, FakeRedis, follow, loginAt, newApp, noCurl, oldApp, serve } from './fixtures/migrating.js'
import type { Cookies } from './fixtures/migrating.js'
import { prove } from './fixtures/migrating-promises.js'
import { missing, startRedis } from './fixtures/servers.js'

// From @fastify/session and from express-session: a signed id in the cookie, the data in a store.

const packages = [
  { name: 'fastify-session', old: 'sessionId', forged: ['', 'x', '.', 'id.'] },
  { name: 'express-session', old: 'connect.sid', forged: ['', 's:', 's:x', 's%3Ax.y'] }
]

for (const { name, old, forged } of packages) {
  for (const forgets of [true, false]) {
    t.test(`users of ${name} stay logged in, with a store that ${forgets ? 'drops' : 'keeps'} expired entries`, async t => {
      const client = new FakeRedis(forgets)
      const url = await serve(t, await oldApp(name, { client }))
      const otherSecret = await serve(t, await oldApp(name, { client }, code => code.replace('process.env.OLD_SECRET', '"some other secret, which is long enough"')))
      const lists: Cookies[] = [...forged.map(value => [[old, value]] as Cookies), await loginAt(otherSecret)]
      const app = await appWith(name, { client })
      await prove(t, { app, cookie: 'session', key: 'user', login: async () => await loginAt(url), forged: lists, ends: 11_000, outlives: true })
    })
  }

  t.test(`${name}: the page's commands print what it says`, { skip: noCurl }, async t => {
    const [login, me, logout] = await follow(t, name, { client: new FakeRedis() })
    t.equal(login, '{"ok":true}')
    t.match(me, /\{"name":"Ada"\}$/)
    t.match(me, /^set-cookie: session=Fe26\.2\*/mi)
    t.match(me, new RegExp(`^set-cookie: ${old}=; Max-Age=0`, 'mi'))
    t.equal(me!.match(/^set-cookie/gmi)!.length, 2)
    t.equal(logout, '{"ok":true}{}')
  })

  t.test(`${name}: clear() of the old store leaves the new entries alone`, async t => {
    const client = new FakeRedis()
    const old = await loginAt(await serve(t, await oldApp(name, { client })))
    const jar = browser(await appWith(name, { client }), ...old)
    await jar.get('/me')
    const prefixes = (): string[] => [...client.entries.keys()].map(key => key.slice(0, key.indexOf(':'))).sort()
    t.same(prefixes(), ['sess', 'session'])
    await new RedisStore({ client }).clear()
    t.same(prefixes(), ['session'])
    t.same((await jar.get('/me')).json, { name: 'Ada' })

    const sharedPrefix = await appWith(name, { client }, 'migrate(app', code => code.replace(', prefix: \'session:\'', ''))
    const other = browser(sharedPrefix)
    other.store(await sharedPrefix.inject({ method: 'POST', url: '/login', payload: { name: 'Bob' } }))
    t.same((await other.get('/me')).json, { name: 'Bob' })
    await new RedisStore({ client }).clear()
    t.same((await other.get('/me')).json, {}, 'with the old prefix it logs people out')
  })

  t.test(`${name}: a copy of the cookie after a logout`, async t => {
    const client = new FakeRedis()
    const withStore = await newApp(name, { client })
    const withoutStore = await appWith(name, { client }, 'migrate(app', code => code.replace(/^ {2}store: .*\n/m, ''))
    for (const [kind, app, expected] of [['worthless with a store', withStore, {}], ['still good without one', withoutStore, { name: 'Ada' }]] as const) {
      const jar = browser(app)
      jar.store(await app.inject({ method: 'POST', url: '/login', payload: { name: 'Ada' } }))
      const copy = [...jar.cookies]
      jar.store(await app.inject({ method: 'POST', url: '/logout', headers: { cookie: jar.header() } }))
      t.equal(jar.header(), '')
      t.same((await browser(app, ...copy).get('/me')).json, expected, kind)
    }

    const url = await serve(t, await oldApp(name, { client }))
    const [[cookie, value]] = await loginAt(url) as [[string, string]]
    const headers = { cookie: `${cookie}=${value}` }
    await fetch(`${url}/logout`, { method: 'POST', headers })
    t.same(await (await fetch(`${url}/me`, { headers })).json(), {}, 'worthless with the old package')
  })
}

t.test('a session of @fastify/session that has expired is not moved, even if its store still has it', async t => {
  const client = new FakeRedis(false)
  const old = await loginAt(await serve(t, await oldApp('fastify-session', { client })))
  const now = Date.now()
  t.clock.enter()
  t.clock.travel(now + 25 * 60 * 60 * 1000)
  const jar = browser(await appWith('fastify-session', { client }), ...old)
  t.same((await jar.get('/me')).json, {})
  t.equal(jar.header(), '')
})

t.test('what cannot be saved is an error, and the old session stays', async t => {
  const client = new FakeRedis()
  const [name] = ['express-session']
  const old = await loginAt(await serve(t, await oldApp(name, { client })), { name: 'Ada', note: 'x'.repeat(5000) })
  const jar = browser(await appWith(name, { client }, 'migrate(app', code => code.replace(/^ {2}store: .*\n/m, '')), ...old)
  for (const time of ['first', 'second']) {
    t.match((await jar.get('/me')).json, { code: 'FST_SESSION_TOO_LARGE' }, `the ${time} time`)
    t.same([...jar.cookies], old)
  }
})

t.test('with Redis, a moved entry expires by itself, and an outage logs nobody out', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  const client = createClient({ url: server.url, disableOfflineQueue: true }).on('error', () => {})
  t.teardown(async () => { client.destroy(); await server.stop() })
  await client.connect()
  const old = await loginAt(await serve(t, await oldApp('express-session', { client })))
  const jar = browser(await appWith('express-session', { client }), ...old)
  await server.kill()
  t.equal((await jar.get('/me')).status, 500)
  t.same([...jar.cookies], old)
  const ready = new Promise(resolve => client.once('ready', resolve))
  await server.start()
  await ready
  const [key] = await client.keys('sess:*') as [string]
  t.ok(await client.ttl(key) > 10)
  t.same((await jar.get('/me')).json, { name: 'Ada' })
  t.same([...jar.cookies.keys()], ['session'])
  t.ok(await client.ttl(key) <= 11)
})

t.test('a store class of your own', async t => {
  const { default: sessionPlugin, fromExpressStore } = await import('../lib/index.js')
  const secret = process.env.SESSION_SECRET
  class OwnStore extends expressSession.Store {
    readonly entries = new Map<string, any>()
    get (id: string, done: (error?: unknown, session?: any) => void): void { done(null, this.entries.get(id)) }
    set (id: string, session: unknown, done?: (error?: unknown) => void): void { this.entries.set(id, session); done?.() }
    destroy (id: string, done?: (error?: unknown) => void): void { this.entries.delete(id); done?.() }
  }
  const store = new OwnStore()
  await t.rejects(async () => { await Fastify().register(sessionPlugin, { secret, store: store as never }) }, { code: 'FST_SESSION_INVALID_OPTION' }, 'is rejected as it is')

  const app = Fastify()
  await app.register(sessionPlugin, { secret, store: fromExpressStore(store) })
  app.get('/login', async request => { request.session.user = { id: 'a', name: 'Ada' }; return {} })
  app.get('/me', async request => request.session.user)
  const jar = browser(app)
  await jar.get('/login')
  t.match((await jar.get('/me')).json, { name: 'Ada' }, 'works through fromExpressStore()')
  const [entry] = [...store.entries.values()]
  t.same(Object.keys(entry.data), ['v', 'c', 'd'])
  t.same(entry.data.d.user, { id: 'a', name: 'Ada' }, 'and finds the data where the page says')
})

/** The warnings and errors of a request to an async handler that sends its reply. */
async function logOf (t: Test, options: object, returns: boolean): Promise<string> {
  const { default: sessionPlugin } = await import('../lib/index.js')
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write (line: string) { lines.push(line) } } } })
  await app.register(fastifyCookie)
  await app.register(sessionPlugin, { secret: process.env.SESSION_SECRET, ...options })
  app.get('/', async (request, reply) => {
    request.session.views = 1
    reply.send({ ok: true })
    if (returns) return reply
  })
  const response = await fetch(await serve(t, app))
  t.same(await response.json(), { ok: true })
  return lines.join('')
}

t.test('with a store, an async handler that sends its reply must return it', async t => {
  const { fromExpressStore } = await import('../lib/index.js')
  const store = fromExpressStore(new RedisStore({ client: new FakeRedis() }))
  t.match(await logOf(t, { store }, false), /Reply was already sent, did you forget to \\"return reply\\"/)
  t.equal(await logOf(t, { store }, true), '')
  t.equal(await logOf(t, {}, false), '', 'without a store it need not')
})

t.test('saving equal data sends no cookie', async t => {
  const app = await newApp('fastify-session', { client: new FakeRedis() })
  app.get('/same', async request => { Object.assign(request.session, { user: { name: 'Ada' } }); return {} })
  app.get('/touch', async request => { request.session.touch(); return {} })
  const jar = browser(app)
  const login = async (): Promise<number> =>
    jar.store(await app.inject({ method: 'POST', url: '/login', payload: { name: 'Ada' }, headers: { cookie: jar.header() } })).length
  t.equal(await login(), 1)
  t.equal((await jar.get('/same')).setCookies.length, 0)
  t.equal((await jar.get('/touch')).setCookies.length, 1, 'but touch() does')
  t.equal(await login(), 1, 'and so does a login that calls regenerate()')
})

t.test('calls with a callback', async t => {
  const app = await newApp('express-session', { client: new FakeRedis() })
  app.get('/old', async request => {
    const session = request.session as unknown as Record<'destroy' | 'regenerate' | 'save' | 'id', ((done: () => void) => void) | undefined>
    let called = false
    t.throws(() => session.regenerate!(() => { called = true }), TypeError, 'regenerate(callback) throws')
    session.destroy!(() => { called = true })
    t.throws(() => { (request as { session: unknown }).session = null }, { code: 'FST_SESSION_RESERVED_KEY' }, 'request.session = … throws')
    return { called, save: typeof session.save, id: typeof session.id }
  })
  t.same((await browser(app).get('/old')).json, { called: false, save: 'undefined', id: 'undefined' })
})
