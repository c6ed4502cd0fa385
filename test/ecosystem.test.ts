import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import replyFrom from '@fastify/reply-from'
import fastifyStatic from '@fastify/static'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import sessionPlugin from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, logTo, makeApp, read, secret } from './fixtures/app.js'
import { listen } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

for (const isSessionFirst of [true, false]) {
  t.test(`@fastify/helmet: the response has its headers and the session's, with ${isSessionFirst ? 'the session' : 'helmet'} registered first`, async t => {
    const app = Fastify()
    if (isSessionFirst) await app.register(sessionPlugin, { secret })
    await app.register(helmet, { enableCSPNonces: true })
    if (!isSessionFirst) await app.register(sessionPlugin, { secret })
    app.get('/', async (request, reply) => {
      request.session.note = reply.cspNonce.script
      return { nonce: reply.cspNonce.script }
    })
    app.get('/fails', async request => { request.session.views = 1; throw new Error('of the app') })
    const jar = new Jar(app)
    const { headers, json, setCookies } = await jar.get('/')
    t.match(headers, { 'x-content-type-options': 'nosniff', 'strict-transport-security': /max-age/, vary: 'Cookie', 'cache-control': 'private, no-cache' })
    t.match(headers['content-security-policy'], `'nonce-${json.nonce as string}'`)
    t.match(setCookies, [/^session=Fe26/])
    t.match(await jar.get('/fails'), { status: 500, headers: { 'x-content-type-options': 'nosniff' }, setCookies: [/^session=Fe26/] })
  })
}

/** An app that serves a folder in addition to its routes; `lines` receives the log, with the cookies that were rejected. */
async function makeFiles (
  root: string, options: Partial<SessionOptions>, lines: Array<Record<string, unknown>>, isOff = false
): Promise<FastifyInstance> {
  const app = await makeApp(options, {
    '/count': count,
    '/read': read,
    '/report': async (request, reply) => await reply.header('x-views', request.session.views).sendFile('style.css'),
    '/download': async (request, reply) => { request.session.note = 'taken'; return await reply.download('style.css') }
  }, logTo(lines))
  await app.register(async scope => {
    if (isOff) scope.addHook('onRoute', route => { route.config = { ...route.config, session: false } })
    scope.register(fastifyStatic, { root, prefix: '/files/', decorateReply: false })
  })
  await app.register(fastifyStatic, { root, serve: false })
  return app
}

t.test('@fastify/static: serving a file does not touch the session', async t => {
  const lines: Array<Record<string, unknown>> = []
  const root = t.testdir({ 'style.css': 'body {}', sub: { 'index.html': '<p>' } })
  const app = await makeFiles(root, {}, lines)
  const refused = (): number => lines.splice(0).filter(({ msg }) => msg === 'session cookie rejected').length
  const forged = { cookie: 'session=forged' }
  t.equal((await new Jar(app).get('/read', forged)).setCookies.length, 1)
  t.equal(refused(), 1, 'reading an invalid cookie logs a line')

  const jar = new Jar(app)
  await jar.get('/count')
  for (const headers of [{}, forged]) {
    for (const [url, method, status] of [['/files/style.css', 'GET', 200], ['/files/style.css', 'HEAD', 200], ['/files/sub/', 'GET', 200], ['/files/none', 'GET', 404]] as const) {
      const answer = await jar.get(url, headers, method)
      t.same([answer.status, answer.setCookies, answer.headers.vary], [status, [], undefined], url)
      if (status === 200) t.equal(answer.headers['cache-control'], 'public, max-age=0')
    }
    const { headers: { etag } } = await jar.get('/files/style.css')
    const unchanged = await jar.get('/files/style.css', { ...headers, 'if-none-match': etag as string })
    t.same([unchanged.status, unchanged.setCookies, unchanged.headers.vary], [304, [], undefined])
  }
  t.equal(refused(), 0, 'nothing is unsealed')
})

t.test('@fastify/static: a file sent by a handler carries the cookie of the session that the handler used', async t => {
  const app = await makeFiles(t.testdir({ 'style.css': 'body {}' }), {}, [])
  const jar = new Jar(app)
  await jar.get('/count')
  const report = await jar.get('/report')
  t.match(report, { status: 200, body: 'body {}', headers: { vary: 'Cookie', 'x-views': 1 }, setCookies: { length: 0 } })
  const download = await jar.get('/download')
  t.match(download, { status: 200, body: 'body {}', headers: { vary: 'Cookie', 'cache-control': 'public, max-age=0, private' }, setCookies: [/^session=/] })
  t.match(await app.session.unseal(jar.cookies.get('session')!), { data: { views: 1, note: 'taken' } })
})

t.test('@fastify/static: serving a file reads the store unless sessions are off in its scope', async t => {
  for (const isOff of [false, true]) {
    const store = new TestStore()
    const jar = new Jar(await makeFiles(t.testdir({ 'style.css': 'body {}' }), { store }, [], isOff))
    await jar.get('/count')
    store.took()
    const answer = await jar.get('/files/style.css')
    t.same([answer.status, answer.body, answer.setCookies, answer.headers.vary], [200, 'body {}', [], undefined])
    t.same(store.took(), isOff ? [] : ['get'])
    t.match(await jar.get('/report'), { status: 200, headers: { 'x-views': 1 } })
  }
})

for (const [place, options] of [['the cookie', () => ({})], ['a store', () => ({ store: new TestStore() })]] as const) {
  t.test(`@fastify/rate-limit: each user has a quota, and those who are not logged in share their address's; sessions in ${place}`, async t => {
    const app = await makeApp(options())
    await app.register(rateLimit, { max: 2, keyGenerator: ({ session, ip }) => session.user?.id ?? ip })
    app.get('/', count)
    app.get('/free', { config: { rateLimit: false } }, count)
    app.get<{ Params: { id: string } }>('/login/:id', { config: { rateLimit: false } }, async ({ session, params: { id } }) => {
      session.regenerate()
      session.user = { id, name: id }
      return {}
    })
    const [one, two] = [new Jar(app), new Jar(app)]
    await one.get('/login/ada')
    await two.get('/login/eve')
    const left = async (jar: Jar): Promise<unknown> => (await jar.get('/')).headers['x-ratelimit-remaining']
    t.same([await left(one), await left(one)], ['1', '0'])
    const refused = await one.get('/')
    t.match(refused, { status: 429, headers: { 'retry-after': String, vary: 'Cookie' }, setCookies: { length: 0 } })
    t.match((await one.get('/free')).json, { views: 3 })
    t.equal(await left(two), '1')
    await one.get('/login/ada')
    t.equal((await one.get('/')).status, 429, 'another session of the same user has no quota of its own')
    t.same([await left(new Jar(app)), await left(new Jar(app))], ['1', '0'])
    t.equal((await new Jar(app).get('/')).status, 429, 'to collect sessions does not help')
    t.equal((await new Jar(app).get('/', { cookie: 'session=forged' })).status, 429, 'nor does one that is made up')
  })
}

/** An app that forwards everything to another one. */
async function makeProxy (options: Partial<SessionOptions>): Promise<{ app: FastifyInstance, upstream: FastifyInstance }> {
  const upstream = Fastify()
  upstream.get('/twice', async (request, reply) => {
    reply.header('set-cookie', ['theirs=1; Path=/', 'more=2; Path=/']).header('vary', 'Accept').header('cache-control', 'public, max-age=60')
    return { cookie: request.headers.cookie ?? null, user: request.headers['x-user'] ?? null }
  })
  upstream.get('/same', async (_request, reply) => { reply.header('set-cookie', 'session=theirs; Path=/'); return {} })
  upstream.get('/fails', async () => { throw new Error('of the upstream') })
  const base = await listen(upstream)
  const app = await makeApp(options, { '/read': read })
  await app.register(replyFrom, { base })
  app.get('/plain/*', (request, reply) => reply.from(request.url.slice('/plain'.length)))
  app.get('/count/*', (request, reply) => {
    request.session.views = (request.session.views ?? 0) + 1
    return reply.from(request.url.slice('/count'.length), {
      rewriteRequestHeaders: (request, { cookie, ...headers }) => ({ ...headers, 'x-user': `${request.session.views}` })
    })
  })
  return { app, upstream }
}

for (const [place, options] of [['the cookie', () => ({})], ['a store', () => ({ store: new TestStore() })]] as const) {
  t.test(`@fastify/reply-from: the upstream's cookies are kept alongside ours, and the session is saved in ${place}`, async t => {
    const { app, upstream } = await makeProxy(options())
    t.teardown(async () => { await Promise.all([app.close(), upstream.close()]) })
    const jar = new Jar(app)
    const first = await jar.get('/count/twice')
    t.same(first.setCookies.map(line => line.split('=')[0]), ['theirs', 'more', 'session'])
    t.match(first, { status: 200, json: { cookie: null, user: '1' }, headers: { vary: 'Accept, Cookie', 'cache-control': 'public, max-age=60, private' } })
    t.match((await jar.get('/count/twice')).json, { user: '2' })
    t.match((await jar.get('/read')).json, { views: 2 })

    const plain = await jar.get('/plain/twice')
    t.same(plain.setCookies, ['theirs=1; Path=/', 'more=2; Path=/'], 'a session that is not read adds nothing')
    t.match(plain.headers, { vary: 'Accept', 'cache-control': 'public, max-age=60' })
    t.match(plain.json.cookie, `session=${jar.cookies.get('session')!}`, 'the upstream receives the cookie unless it is removed')

    t.match(await jar.get('/count/fails'), { status: 500, json: { message: 'of the upstream' } })
    t.match((await jar.get('/read')).json, { views: 3 })
    t.match((await jar.get('/count/same')).setCookies, place === 'the cookie' ? [/^session=Fe26/] : [/^session=theirs/])
  })
}

t.test('@fastify/under-pressure: its status route uses no session, and a 503 leaves the session unchanged', async t => {
  const store = new TestStore()
  const make = async (isHealthy: boolean, isSessionFirst: boolean): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    if (isSessionFirst) await app.register(sessionPlugin, { secret, store })
    await app.register(underPressure, {
      healthCheck: async () => isHealthy, exposeStatusRoute: { url: '/status', routeOpts: { config: { session: false } as never } }
    })
    if (!isSessionFirst) await app.register(sessionPlugin, { secret, store })
    app.get('/count', count)
    return app
  }
  for (const isSessionFirst of [true, false]) {
    const [well, unwell] = [await make(true, isSessionFirst), await make(false, isSessionFirst)]
    const jar = new Jar(well)
    await jar.get('/count')
    const cookie = jar.header()
    store.took()
    const status = await jar.get('/status')
    t.same([status.status, status.json, status.setCookies, status.headers.vary], [200, { status: 'ok' }, [], undefined])
    t.same(store.took(), [])

    t.match(await new Jar(unwell).get('/count', { cookie }), { status: 503, json: { code: 'FST_UNDER_PRESSURE' }, setCookies: { length: 0 } })
    t.same(store.took(), isSessionFirst ? ['get'] : [], 'if it is registered first, the store is not called')
    t.same((await jar.get('/count')).json, { views: 2 })
  }
})
