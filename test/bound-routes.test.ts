import rateLimit from '@fastify/rate-limit'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { errors } from '../lib/index.js'
import type { SessionEvents } from '../lib/index.js'
import { channel } from 'node:diagnostics_channel'
import { logTo } from './fixtures/app.js'
import { Device, makeBoundApp } from './fixtures/device.js'
import { TestStore } from './fixtures/stores.js'

// The routes that the browser uses. Only the plugin may answer there.

/** Guards that would end a binding. They guard only the browser's routes, because the test itself uses others. */
const guards: Record<string, (app: FastifyInstance) => unknown> = {
  'answers 401': app => app.addHook('onRequest', async (request, reply) => isOurs(request.url) ? await reply.code(401).header('www-authenticate', 'Basic').send({ no: 1 }) : undefined),
  'answers 429': app => app.addHook('onRequest', async (request, reply) => isOurs(request.url) ? await reply.code(429).header('retry-after', '9').send('slow down') : undefined),
  'redirects to the login': app => app.addHook('onRequest', async (request, reply) => isOurs(request.url) ? await reply.redirect('/login') : undefined),
  'throws 403': app => app.addHook('onRequest', async request => { if (isOurs(request.url)) throw Object.assign(new Error('no'), { statusCode: 403 }) }),
  'answers in a preHandler': app => app.addHook('preHandler', async (request, reply) => isOurs(request.url) ? await reply.code(404).send() : undefined),
  'wants a token against CSRF': app => app.addHook('preParsing', async request => { if (isOurs(request.url)) throw Object.assign(new Error('csrf'), { statusCode: 403 }) })
}
const isOurs = (url: string): boolean => url.startsWith('/dbsc/')

for (const [what, guard] of Object.entries(guards)) {
  for (const when of ['before', 'after'] as const) {
    t.test(`a guard that was registered ${when} the plugin and ${what} does not end the binding`, async t => {
      const device = new Device(await makeBoundApp({ [when]: guard }))
      await device.get('/login')
      t.equal((await device.register()).status, 200)
      const asked = await device.post('/dbsc/refresh', { 'sec-secure-session-id': device.id })
      t.equal(asked.status, 403)
      for (const name of ['location', 'www-authenticate', 'retry-after']) t.equal(asked.headers[name], undefined)
      device.cookies.delete('session-bound')
      t.match(await device.refresh(), { status: 200, headers: { 'content-type': /json/, 'cache-control': 'no-store' } })
      t.match((await device.get('/who')).json, { bound: true })
    })
  }
}

t.test('a 5xx of a guard before the plugin is not replaced, so the browser tries again', async t => {
  let isDown = false
  const device = await new Device(await makeBoundApp({
    before: app => app.addHook('onRequest', async (_request, reply) => isDown ? await reply.code(503).send('down') : undefined)
  })).login()
  isDown = true
  t.match(await device.post('/dbsc/refresh', { 'sec-secure-session-id': device.id }), { status: 503, body: 'down', setCookies: [] })
})

t.test('@fastify/rate-limit ignores the routes, wherever it is registered', async t => {
  for (const when of ['before', 'after'] as const) {
    const device = await new Device(await makeBoundApp({ [when]: async (app: FastifyInstance) => await app.register(rateLimit, { max: 3, timeWindow: 60_000 }) })).login()
    for (let at = 0; at < 9; at++) t.equal((await device.refresh()).status, 200, `${when} ${at}`)
  }
})

t.test('hooks after the plugin run on all other routes, but not on these', async t => {
  const urls: string[] = []
  const device = await new Device(await makeBoundApp({
    after: app => {
      app.addHook('onRequest', async request => { urls.push(request.url) })
      app.post('/mine/dbsc/refresh', async () => 'mine')
    }
  })).login()
  await device.refresh()
  t.same(urls, ['/login'])
  t.equal((await device.post('/mine/dbsc/refresh')).body, 'mine')
  t.equal((await device.post('/dbsc/nothing')).status, 404)
  t.equal((await device.get('/dbsc/refresh')).status, 404)
})

t.test('in a scope, the routes have its prefix', async t => {
  const app = await makeBoundApp({ deviceBound: { path: '/outer' } })
  const { default: plugin } = await import('../lib/index.js')
  const { secret } = await import('./fixtures/app.js')
  const { when } = await import('./fixtures/device.js')
  await app.register(async scope => {
    await scope.register(plugin, { secret, sessionName: 'admin', cookie: { path: '/admin' }, deviceBound: { when } })
    scope.get('/login', async request => { (request as unknown as { admin: object }).admin = Object.assign((request as unknown as { admin: { user: object } }).admin, {}) }).get('/', async () => 1)
    scope.get('/in', async request => { (request as unknown as { admin: { user: object } }).admin.user = { id: 'a', name: 'A' } })
  }, { prefix: '/admin' })
  const device = new Device(app)
  const { headers } = await device.get('/admin/in')
  t.match(headers['secure-session-registration'], /path="\/admin\/dbsc\/registration"/)
  device.path = '/admin/dbsc'
  t.match((await device.register()).json, { refresh_url: '/admin/dbsc/refresh', credentials: [{ name: 'admin-bound', attributes: /^Path=\/admin; / }] })
  t.equal((await device.refresh()).status, 200)
})

t.test('if the store is not available, the browser tries again and nothing ends', async t => {
  const store = new TestStore()
  const lines: Array<Record<string, unknown>> = []
  const device = new Device(await makeBoundApp({ session: { store }, server: logTo(lines) }))
  await device.get('/login')
  store.fails.set('set', new Error('down'))
  t.match(await device.register(), { status: 503, json: { refused: 'unavailable' } })
  store.fails.clear()
  let sets = 0
  store.before.set('set', () => { if (++sets === 2) throw new Error('down') })
  t.match(await device.register(), { status: 503, json: { refused: 'unavailable' } }, 'when the session is saved')
  store.fails.clear()
  device.cookies.delete('session-bound-offered')
  await device.get('/who')
  t.equal((await device.register()).status, 200)
  const proof = device.proof(await device.ask())
  store.fails.set('get', new Error('down'))
  t.match(await device.refresh(proof), { status: 503, setCookies: [] })
  t.ok(lines.some(({ level, err }) => level === 50 && (err as { code?: string }).code === 'FST_SESSION_STORE'))
  store.fails.clear()
  t.equal((await device.refresh(proof)).status, 200)
})

t.test('a session stays unbound if it does not fit into its cookie together with the key', async t => {
  const lines: Array<Record<string, unknown>> = []
  const device = new Device(await makeBoundApp({
    server: logTo(lines),
    after: app => { app.get('/large', async ({ session }) => { session.user = { id: 'u1', name: 'x'.repeat(2500) } }) }
  }), 'RS256')
  t.equal((await device.get('/large')).status, 200)
  t.match(await device.register(), { status: 400, json: { refused: 'too-large' } })
  t.match((await device.get('/who')).json, { user: 'u1', bound: false })
  t.ok(lines.some(({ level, err }) => level === 40 && (err as { code?: string }).code === new errors.FST_SESSION_TOO_LARGE(1, 1, 1, '').code))
})

t.test('a session that is ended while it registers is not bound', async t => {
  const store = new TestStore()
  const device = new Device(await makeBoundApp({ session: { store } }))
  await device.get('/login')
  let calls = 0
  store.before.set('get', () => { if (++calls === 4) for (const key of store.entries.keys()) if (!key.includes(':')) store.entries.delete(key) })
  const { status, json, setCookies } = await device.register()
  t.match({ status, json, setCookies }, { status: 400, json: { refused: 'no-session' }, setCookies: [] })
})

t.test('a registration without a session, or with one that has ended, is rejected', async t => {
  const device = new Device(await makeBoundApp())
  t.match(await device.register('a.b.c'), { status: 400, json: { refused: 'no-session' } })
  t.match(await device.post('/dbsc/refresh'), { status: 400, json: { refused: 'no-session' } })
  await device.login()
  device.cookies.delete('session-bound')
  t.match(await device.register(), { status: 400, json: { refused: 'already-bound' } }, 'unproven')
})

t.test('the diagnostics channel publishes each step, and the reason of a refusal', async t => {
  const told: unknown[] = []
  const listen = (message: unknown): void => {
    const { sessionName, what, id, reason } = message as SessionEvents['bound']
    told.push({ sessionName, what, id: typeof id, reason })
  }
  const bound = channel('fastify-sealed-session.bound')
  bound.subscribe(listen)
  t.teardown(() => bound.unsubscribe(listen))
  const device = await new Device(await makeBoundApp()).login()
  await device.refresh()
  await device.refresh(device.proof('x'))
  await device.refresh('x')
  await device.post('/dbsc/refresh', { cookie: '' })
  await device.post('/dbsc/refresh', { 'sec-fetch-mode': 'cors' })
  const step = (what: string, reason: string | null = null, id = 'string'): object => ({ sessionName: 'session', what, id, reason })
  t.same(told, [
    step('offered'), step('registered'), step('refreshed'), step('refused', 'challenge'), step('refused', 'malformed'),
    step('refused', 'no-session', 'object'), step('refused', 'script', 'object')
  ])
})

t.test('a request whose URL is written in another way is answered all the same', async t => {
  const app = await makeBoundApp({ server: { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true } } })
  const device = await new Device(app).login()
  for (const url of ['/dbs%63/refresh', '/DBSC/refresh', '/dbsc/refresh/', '//dbsc//refresh', '/dbsc/refresh?a=b']) {
    t.match(await device.post(url), { status: 400, json: { refused: 'not-bound' } }, url)
  }
})
