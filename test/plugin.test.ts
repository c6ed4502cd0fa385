import fastifyCookie from '@fastify/cookie'
import Fastify from 'fastify'
import t from 'tap'
import sessionPlugin, { getSession, sessionPlugin as named } from '../lib/index.js'
import type { Session, SessionOptions } from '../lib/index.js'
import { count, Jar, makeApp, secret } from './fixtures/app.js'

declare module 'fastify' {
  interface FastifyRequest { readonly admin: Session<{ level?: number }> }
}

t.test('a change of the session is there in the next request', async t => {
  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  app.get('/', async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { views: request.session.views }
  })
  const jar = new Jar(app)
  t.same((await jar.get('/')).json, { views: 1 })
  t.same((await jar.get('/')).json, { views: 2 })
  t.match(jar.header(), /^session=Fe26\.2\*/)
  t.equal(named, sessionPlugin)
})

t.test('routes declared before the plugin have the session too', async t => {
  const app = Fastify()
  app.get('/', async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { views: request.session.views }
  })
  app.register(sessionPlugin, { secret })
  const jar = new Jar(app)
  await jar.get('/')
  t.same((await jar.get('/')).json, { views: 2 })
})

t.test('scopes created before the registration have the session too, even in early hooks', async t => {
  const app = Fastify()
  for (const decorated of [false, true]) {
    app.register(async scope => {
      if (decorated) scope.decorateRequest('other', 1)
      scope.addHook('onRequest', async request => { request.session.views = (getSession(request).views ?? 0) + 1 })
      scope.get(`/${decorated}`, async request => ({ views: request.session.views }))
    })
  }
  await app.register(sessionPlugin, { secret })
  for (const url of ['/false', '/true']) {
    const jar = new Jar(app)
    await jar.get(url)
    t.same((await jar.get(url)).json, { views: 2 })
  }
})

t.test('a session registered in a scope is not available in the root', async t => {
  const app = Fastify()
  app.register(async scope => {
    await scope.register(sessionPlugin, { secret })
    scope.get('/in', async request => { request.session.views = 1; return { in: true } })
    scope.register(async child => {
      child.get('/deep', async request => ({ views: request.session.views }))
    })
  })
  app.get('/out', async request => ({ cookies: typeof request.cookies }))
  const jar = new Jar(app)
  t.equal((await jar.get('/in')).setCookies.length, 1)
  t.same((await jar.get('/deep')).json, { views: 1 })
  t.same((await jar.get('/out')).json, { cookies: 'undefined' })
})

t.test('the app\'s own @fastify/cookie is used if it is registered', async t => {
  const app = Fastify()
  await app.register(fastifyCookie, { secret: 'for signed cookies' })
  await app.register(sessionPlugin, { secret })
  app.get('/', async (request, reply) => {
    request.session.views = 1
    reply.setCookie('other', 'value', { signed: true })
    return {}
  })
  const { setCookies } = await new Jar(app).get('/')
  t.equal(setCookies.length, 2)
  t.match(setCookies.find(line => line.startsWith('other=')), /^other=value\./)
})

t.test('@fastify/cookie is registered if the app has not done so', async t => {
  const app = await makeApp({}, { '/': (request, reply) => { reply.setCookie('other', 'value'); return request.cookies } })
  t.same((await new Jar(app).get('/', { cookie: 'a=b' })).json, { a: 'b' })
})

t.test('sessions of different names are independent', async t => {
  const app = await makeApp({}, {
    '/admin': request => { request.admin.level = 3; return { user: request.session.user ?? null } },
    '/user': request => { request.session.user = { id: 'u', name: 'N' } },
    '/both': request => ({ level: request.admin.level, user: request.session.user }),
    '/leave': request => { request.admin.destroy() }
  })
  await app.register(sessionPlugin, { secret, sessionName: 'admin', cookieName: 'adm', cookie: { path: '/' } })
  const jar = new Jar(app)
  await jar.get('/admin')
  await jar.get('/user')
  t.same([...jar.cookies.keys()], ['adm', 'session'])
  t.same((await jar.get('/both')).json, { level: 3, user: { id: 'u', name: 'N' } })
  await jar.get('/leave')
  t.same([...jar.cookies.keys()], ['session'])
  const admin = await app.getDecorator<typeof app.session>('admin').seal({ user: { id: 'x', name: 'N' } })
  t.same(await app.session.unseal(admin), { ok: false, reason: 'wrong-name' })
})

t.test('a wrong option rejects ready, with its code and name', async t => {
  const cases: Array<[options: object, code: string, names: string]> = [
    [{}, 'FST_SESSION_SECRET_MISSING', 'secret'],
    [{ secret: '' }, 'FST_SESSION_SECRET_MISSING', 'keygen'],
    [{ secret: 'short' }, 'FST_SESSION_SECRET_WEAK', 'secret'],
    [{ secret, idleTimout: 5 }, 'FST_SESSION_INVALID_OPTION', 'idleTimout'],
    [{ secret, cookie: { maxAge: 5 } }, 'FST_SESSION_INVALID_OPTION', 'idleTimeout'],
    [{ secret, cookieName: 'a b' }, 'FST_SESSION_COOKIE_NAME', 'a b'],
    [{ secret, sessionName: 'body' }, 'FST_SESSION_INVALID_OPTION', 'sessionName'],
    [{ secret, sessionName: 'log' }, 'FST_SESSION_INVALID_OPTION', 'sessionName'],
    [{ secret, sessionName: 'cookies' }, 'FST_SESSION_INVALID_OPTION', 'sessionName'],
    [{ secret, store: { get () {} } }, 'FST_SESSION_INVALID_OPTION', 'store']
  ]
  for (const [options, code, named] of cases) {
    const app = Fastify()
    await app.register(fastifyCookie)
    app.register(sessionPlugin, options as SessionOptions)
    const error = await app.ready().then(() => undefined, (error: Error & { code: string }) => error)
    t.equal(error?.code, code, named)
    t.match(error?.message, named)
    t.notOk(error?.message.includes(secret))
  }
})

t.test('two sessions of an app cannot share a cookie or one of its chunks', async t => {
  for (const [one, two] of [['sid', 'sid'], ['sid', 'sid.1'], ['sid.7', 'sid']] as const) {
    const app = await makeApp({ cookieName: one })
    await t.rejects(async () => { await app.register(sessionPlugin, { secret, sessionName: 'admin', cookieName: two }) }, { code: 'FST_SESSION_INVALID_OPTION', message: `"${two}"` })
  }
  const app = await makeApp({ cookieName: 'sid' })
  await app.register(sessionPlugin, { secret, sessionName: 'admin', cookieName: 'sid.8' })
  await t.resolves(async () => { await app.ready() })
})

t.test('the same session cannot be registered twice', async t => {
  const app = Fastify()
  app.register(sessionPlugin, { secret })
  app.register(async scope => { scope.register(sessionPlugin, { secret }) })
  await t.rejects(async () => await app.ready(), { code: 'FST_SESSION_INVALID_OPTION', message: /sessionName/ })
})

t.test('options can be a function, can have a prefix, and are not changed', async t => {
  const options = Object.freeze({ secret: Object.freeze([secret]) as string[], cookie: Object.freeze({ path: '/x' }), prefix: '/x' })
  const app = Fastify()
  await app.register(sessionPlugin, () => options)
  app.get('/', async request => { request.session.views = 1; return {} })
  t.match((await new Jar(app).get('/')).setCookies, [/; Path=\/x;/])
})

t.test('two apps in one process do not affect each other', async t => {
  const routes = { '/': count }
  const one = new Jar(await makeApp({}, routes))
  const two = new Jar(await makeApp({ secret: 'another secret, which is long enough too' }, routes))
  await one.get('/')
  two.cookies.set('session', one.cookies.get('session')!)
  t.same((await two.get('/')).json, { views: 1 })
  t.same((await one.get('/')).json, { views: 2 })
})
