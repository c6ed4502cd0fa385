import t from 'tap'
import Fastify from 'fastify'
import sessionPlugin from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { Jar, makeApp, secret, setCookiesOf } from './fixtures/app.js'

/** Both engines behave alike, except for when the session is loaded. */
const engines: Record<string, Partial<SessionOptions>> = {
  'node:crypto': {},
  'iron-webcrypto': { iron: { encryption: { iterations: 2 } } }
}

t.test('a hook that runs before the plugin\'s hooks can read the session', async t => {
  const app = Fastify()
  app.addHook('onRequest', async request => { request.session.views = (request.session.views ?? 0) + 1 })
  await app.register(sessionPlugin, { secret })
  app.get('/', async request => ({ views: request.session.views }))
  const jar = new Jar(app)
  await jar.get('/')
  t.same((await jar.get('/')).json, { views: 2 })
})

t.test('with iron-webcrypto, such a hook gets an error that tells it to run later', async t => {
  const app = Fastify()
  app.addHook('onRequest', async request => { request.session.views = 1 })
  await app.register(sessionPlugin, { secret, ...engines['iron-webcrypto'] })
  app.get('/', async () => ({}))
  t.match((await app.inject('/')).json(), { code: 'FST_SESSION_NOT_REGISTERED', message: /not loaded yet.*before the hook/ })
})

for (const [engine, options] of Object.entries(engines)) {
  t.test(`all hooks and handlers of a request see the same session, with ${engine}`, async t => {
    const seen: string[] = []
    const app = Fastify()
    await app.register(sessionPlugin, { secret, ...options })
    for (const hook of ['onRequest', 'preValidation', 'preHandler', 'onSend', 'onError'] as const) {
      app.addHook(hook as 'onRequest', async request => { seen.push(`${hook} ${request.session.info.id}`) })
    }
    app.setErrorHandler(async (_error, request) => { seen.push(`error ${request.session.info.id}`); return {} })
    app.setNotFoundHandler(async request => { request.session.note = 'lost'; return {} })
    app.get('/', async request => {
      request.session.views = 1
      seen.push(`handler ${request.session.info.id}`)
      throw new Error('of the app')
    })
    const jar = new Jar(app)
    t.equal((await jar.get('/')).setCookies.length, 1)
    t.same(seen.map(line => line.split(' ')[0]), ['onRequest', 'preValidation', 'preHandler', 'handler', 'onError', 'error', 'onSend'])
    t.equal(new Set(seen.map(line => line.split(' ')[1])).size, 1)
    t.equal((await jar.get('/nowhere')).setCookies.length, 1)
    t.match(await app.session.unseal(jar.cookies.get('session')!), { data: { views: 1, note: 'lost' } })
  })

  t.test(`a session is created, renewed and ended with ${engine}`, async t => {
    const app = await makeApp(options, {
      '/login': request => { request.session.regenerate(); request.session.user = { id: 'u1', name: 'N' } },
      '/me': request => ({ user: request.session.user ?? null, reason: request.session.info.reason }),
      '/logout': request => { request.session.destroy() },
      '/untouched': () => {},
      '/bad': request => { request.session.any = new Date() }
    })
    app.get('/off', { config: { session: false } }, async () => ({}))
    const jar = new Jar(app)
    t.match((await jar.get('/me')).json, { user: null, reason: 'absent' })
    await jar.get('/login')
    t.match((await jar.get('/me')).json, { user: { id: 'u1', name: 'N' }, reason: null })
    const untouched = await jar.get('/untouched')
    t.same([untouched.setCookies, untouched.headers.vary], [[], undefined], 'an unread session adds no headers')
    t.equal((await jar.get('/off')).status, 200)
    t.match(await jar.get('/bad'), { status: 500, json: { code: 'FST_SESSION_NOT_SERIALIZABLE' }, setCookies: [] })
    await jar.get('/logout')
    t.equal(jar.cookies.size, 0)
    jar.cookies.set('session', 'garbage')
    t.same((await jar.get('/untouched')).setCookies, [], 'an unread invalid cookie is left alone')
    t.match(await jar.get('/me'), { json: { reason: 'malformed' }, setCookies: [/Max-Age=0/] })
  })

  t.test(`a session that is too large is rejected with ${engine}`, async t => {
    const app = await makeApp(options, { '/': request => { request.session.any = 'x'.repeat(5000) } })
    t.match(await new Jar(app).get('/'), { status: 500, json: { code: 'FST_SESSION_TOO_LARGE' }, setCookies: [] })
  })
}

t.test('with iron-webcrypto, no cookie is tried after the first one that opens', async t => {
  let opened = 0
  const app = await makeApp({ iron: { decode: text => { opened++; return JSON.parse(text) as unknown } } }, { '/': request => ({ views: request.session.views }) })
  const cookies = [await app.session.cookie({ views: 1 }), await app.session.cookie({ views: 2 }), await app.session.cookie({ views: 3 })]
  t.same((await app.inject({ url: '/', headers: { cookie: cookies.join('; ') } })).json(), { views: 1 })
  t.equal(opened, 1)
})

t.test('the default 404 response has no session headers, as nothing read the session', async t => {
  const app = await makeApp({})
  const response = await app.inject({ url: '/nowhere', headers: { cookie: 'session=garbage' } })
  t.equal(response.statusCode, 404)
  t.same(setCookiesOf(response), [])
})

t.test('an onSend hook that throws after the plugin\'s hook does not lose the session', async t => {
  const app = await makeApp({}, { '/': request => { request.session.views = 1 } }, {}, app => {
    app.addHook('onReady', async () => {})
  })
  app.addHook('onSend', async (_request, reply) => { if (reply.statusCode === 200) throw new Error('of a later hook') })
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.match(setCookiesOf(response), [/^session=Fe26/])
})
