import { createRequire } from 'node:module'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginCallback, FastifyRequest } from 'fastify'
import t from 'tap'
import sessionPlugin, { createSealer, errors, getSession } from '../lib/index.js'
import { Jar, makeApp, secret } from './fixtures/app.js'

// Loaded without their types, which declare another request.session.
const require = createRequire(import.meta.url)
const secureSession = require('@fastify/secure-session') as FastifyPluginCallback<{ key: Buffer, sessionName?: string }>

const plain = async (request: FastifyRequest): Promise<unknown> => ({ session: request.session })
const checked = async (request: FastifyRequest): Promise<unknown> => ({ session: getSession(request) })

async function ask (app: FastifyInstance, url = '/'): Promise<{ code?: string, message?: string }> {
  return (await app.inject(url)).json()
}

t.test('an app that forgot the plugin gets an error that says what to add, and where', async t => {
  for (const handler of [plain, checked]) {
    const app = Fastify()
    app.get('/', handler)
    t.match(await ask(app), {
      code: 'FST_SESSION_NOT_REGISTERED',
      message: /^The session plugin must be registered to access request\.session\. Add `await app\.register\(sessionPlugin, \{ secret: process\.env\.SESSION_SECRET \}\)`.*not registered in this app$/
    })
  }
})

t.test('the error is readable when nothing catches it', async t => {
  const app = Fastify()
  app.get('/', async request => {
    try {
      return request.session
    } catch (error) {
      t.ok(error instanceof errors.FST_SESSION_NOT_REGISTERED)
      return String(error)
    }
  })
  t.match((await app.inject('/')).body, /FST_SESSION_NOT_REGISTERED.*The session plugin must be registered to access request\.session/)
})

t.test('the guard works in child scopes, with trustProxy, and in scopes without decorators', async t => {
  for (const options of [{}, { trustProxy: true }]) {
    const app = Fastify(options)
    app.register(async scope => { scope.get('/child', plain) })
    app.register(async scope => {
      scope.decorateRequest('other', 1)
      scope.get('/decorated', plain)
    })
    for (const url of ['/child', '/decorated']) t.match(await ask(app, url), { code: 'FST_SESSION_NOT_REGISTERED' })
  }
})

t.test('the error names a session in another scope as the reason', async t => {
  const app = Fastify()
  app.register(async scope => { await scope.register(sessionPlugin, { secret }) })
  app.get('/plain', plain)
  app.get('/checked', checked)
  for (const url of ['/plain', '/checked']) {
    t.match(await ask(app, url), { code: 'FST_SESSION_NOT_REGISTERED', message: /registered in another scope/ })
  }
})

t.test('a route with session: false has no session, and reading it throws an error that says so', async t => {
  const app = await makeApp({})
  app.addHook('onRequest', async request => { if (request.url === '/early') getSession(request) })
  app.get('/off', { config: { session: false } }, plain)
  app.get('/early', { config: { session: false } }, async () => ({}))
  app.get('/quiet', { config: { session: false } }, async () => ({ ok: true }))
  for (const url of ['/off', '/early']) {
    t.match(await ask(app, url), { code: 'FST_SESSION_NOT_REGISTERED', message: /switched off for this route/ })
  }
  const jar = new Jar(app)
  jar.cookies.set('session', 'garbage')
  t.match(await jar.get('/quiet'), { status: 200, setCookies: [], json: { ok: true } })
})

t.test('getSession accepts a name', async t => {
  const app = await makeApp({ sessionName: 'admin' })
  app.get('/admin', async request => {
    getSession(request, 'admin').level = 5
    return getSession(request, 'admin').data()
  })
  app.get('/session', checked)
  app.get('/plain', plain)
  app.get('/other', async request => getSession(request, 'other').data())
  t.same(await ask(app, '/admin'), { level: 5 })
  for (const url of ['/session', '/plain', '/other']) t.match(await ask(app, url), { code: 'FST_SESSION_NOT_REGISTERED' })
  t.match(await ask(app, '/other'), { message: /request\.other/ })
})

t.test('an app with @fastify/secure-session is not affected', async t => {
  const register = async (app: FastifyInstance): Promise<void> => {
    await app.register(secureSession, { key: Buffer.alloc(32, 7) })
    app.get('/', async request => {
      request.session.set('note', 'theirs')
      return { note: request.session.get('note') }
    })
  }
  const root = Fastify()
  await register(root)
  t.same(await ask(root), { note: 'theirs' })

  const child = Fastify()
  child.register(async scope => { await register(scope) })
  child.get('/out', plain)
  t.same(await ask(child), { note: 'theirs' })
  t.match(await ask(child, '/out'), { code: 'FST_SESSION_NOT_REGISTERED' })
})

t.test('both plugins work alongside each other in scopes of one app', async t => {
  const app = Fastify()
  app.register(async scope => {
    await scope.register(secureSession, { key: Buffer.alloc(32, 7) })
    scope.get('/theirs', async request => { request.session.set('note', 'theirs'); return { note: request.session.get('note') } })
  })
  app.register(async scope => {
    await scope.register(sessionPlugin, { secret })
    scope.get('/ours', async request => { request.session.note = 'ours'; return request.session.data() })
  })
  t.same(await ask(app, '/theirs'), { note: 'theirs' })
  t.same(await ask(app, '/ours'), { note: 'ours' })
})

t.test('an app that decorates session itself keeps its own decorator', async t => {
  for (const value of [null, undefined]) {
    const app = Fastify()
    app.decorateRequest('session', value as never)
    app.get('/', async request => ({ session: request.session ?? null }))
    t.same(await ask(app), { session: null })
  }
  const assigning = Fastify()
  assigning.addHook('onRequest', async request => { (request as { session: unknown }).session = { own: true } })
  assigning.get('/', plain)
  t.same(await ask(assigning), { session: { own: true } }, 'an app may assign it')
})

t.test('createSealer() works without the plugin', async t => {
  const { seal, unseal } = createSealer({ secret })
  t.match(await unseal(await seal({ note: 'x' })), { ok: true, data: { note: 'x' } })
})
