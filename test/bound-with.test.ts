import { once } from 'node:events'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import Fastify from 'fastify'
import sessionPlugin, { denylist } from '../lib/index.js'
import type { Session, SessionOptions } from '../lib/index.js'
import { Jar, secret, setCookiesOf } from './fixtures/app.js'
import { Device, makeBoundApp, when } from './fixtures/device.js'
import { makeCertificate } from './fixtures/https.js'
import { TestStore } from './fixtures/stores.js'

// Bound sessions in combination with the other options of a session.

const kinds: Record<string, () => Partial<SessionOptions>> = {
  'a store': () => ({ store: new TestStore() }),
  'a store with touch and replace': () => ({ store: new TestStore('touch', 'replace') }),
  overflow: () => ({ store: new TestStore('replace'), storage: 'overflow' }),
  'a denylist': () => ({ isRevoked: denylist(new TestStore()) }),
  'a store and a denylist': () => ({ store: new TestStore(), isRevoked: denylist(new TestStore()) }),
  'isRevoked alone': () => ({ isRevoked: () => false }),
  'several cookies': () => ({ maxCookies: 3 }),
  'a raw key': () => ({ secret: Buffer.alloc(32, 7) }),
  'interop: iron': () => ({ interop: 'iron' }),
  'no cache': () => ({ cacheSize: 0 }),
  'a browser-session cookie': () => ({ persistent: false }),
  'a __Host- cookie': () => ({ cookieName: '__Host-session' })
}

/** Whether copies of a cookie end together with its session. */
const ends = ({ store, storage, isRevoked }: Partial<SessionOptions>): boolean => (store !== undefined && storage !== 'overflow') || typeof isRevoked === 'object'

for (const [what, options] of Object.entries(kinds)) {
  t.test(`with ${what}`, async t => {
    const session = options()
    const device = new Device(await makeBoundApp({
      session,
      after: app => { app.get('/grow', async ({ session }) => { session.note = 'x'.repeat(session.note === undefined ? 3500 : 0) }) }
    }))
    const name = session.cookieName ?? 'session'
    await device.login()
    for (let round = 1; round < 4; round++) {
      t.match((await device.get('/who')).json, { user: 'u1', bound: true, reason: null })
      t.same((await device.get('/count')).json, { views: round })
      if (session.maxCookies !== undefined || session.store !== undefined) t.equal((await device.get('/grow')).status, 200)
      device.cookies.delete(`${name}-bound`)
      t.match((await device.get('/who')).json, { user: null, reason: 'unproven' })
      t.equal((await device.refresh()).status, 200)
    }
    await device.get('/renew')
    t.match((await device.get('/who')).json, { user: 'u1', bound: true })
    t.match((await device.get('/touch')).setCookies, [/; Max-Age=1000; /])
    const copy = device.stolen(name, `${name}-bound`)
    await device.get('/logout')
    t.equal(device.header(), '')
    t.match((await device.get('/who')).json, { user: null, reason: 'absent' })
    t.match((await copy.get('/who')).json, { user: ends(session) ? null : 'u1' })
  })
}

t.test('destroy() of an unproven session ends it in the store and on the list', async t => {
  for (const [options, reason] of [[kinds['a store']!, 'not-stored'], [kinds['a denylist']!, 'revoked']] as const) {
    for (const end of ['/logout', '/login']) {
      const device = await new Device(await makeBoundApp({ session: options() })).login()
      const copy = device.stolen('session', 'session-bound')
      device.cookies.delete('session-bound')
      await device.get(end)
      t.match((await copy.get('/who')).json, { user: null, reason })
    }
  }
})

t.test('isRevoked receives whether a session is bound', async t => {
  const told: boolean[] = []
  const device = await new Device(await makeBoundApp({ session: { isRevoked: info => { told.push(info.bound); return false } } })).login()
  told.length = 0
  await device.get('/who')
  t.same(told, [true])
})

t.test('info contains the time of the last proof', async t => {
  t.clock.enter()
  const app = await makeBoundApp({ after: app => { app.get('/info', async ({ session }) => session.info) } })
  const device = new Device(app)
  await device.get('/login')
  t.match((await device.get('/info')).json, { bound: false, provenAt: null })
  await device.register()
  const start = Date.now()
  t.clock.advance(5000)
  t.match((await device.get('/info')).json, { bound: true, provenAt: new Date(start).toJSON() })
  await device.refresh()
  t.match((await device.get('/info')).json, { bound: true, provenAt: new Date(start + 5000).toJSON() })
})

t.test('the documented 307 redirect makes the browser send a fresh proof', async t => {
  t.clock.enter()
  const app = await makeBoundApp({
    after: app => {
      app.post('/transfer', async (request, reply) => {
        const { bound, provenAt } = request.session.info
        if (!bound) return await reply.code(403).send()
        if (Date.now() - provenAt!.getTime() > 30_000) {
          return await reply.clearCookie('session-bound', { path: '/', secure: true }).redirect(request.url, 307)
        }
        return 'sent'
      })
    }
  })
  const device = await new Device(app).login()
  t.equal((await device.post('/transfer')).body, 'sent')
  t.clock.advance(31_000)
  t.match(await device.post('/transfer'), { status: 307, headers: { location: '/transfer' } })
  t.notOk(device.cookies.has('session-bound'))
  t.equal((await device.post('/transfer')).status, 403, 'without a new proof it is as if nobody were there')
  await device.refresh()
  t.equal((await device.post('/transfer')).body, 'sent')
})

t.test('several sessions of an app each have their own device key', async t => {
  const app = Fastify({ trustProxy: true })
  await app.register(sessionPlugin, { secret, deviceBound: { when } })
  await app.register(sessionPlugin, { secret, sessionName: 'admin', deviceBound: { when, path: '/dbsc-admin' } })
  const admin = (request: unknown): Session => (request as { admin: Session }).admin
  app.get('/both', async request => { request.session.user = admin(request).user = { id: 'u', name: 'U' } })
  app.get('/who', async request => [request.session.info.bound, admin(request).info.bound, request.session.info.reason, admin(request).info.reason])
  const device = new Device(app)
  const { headers } = await device.get('/both')
  const offers = [...String(headers['secure-session-registration']).matchAll(/path="([^"]+)";challenge="([^"]+)"/g)].map(([, path, challenge]) => ({ path, challenge: challenge! }))
  t.match(offers, [{ path: '/dbsc/registration' }, { path: '/dbsc-admin/registration' }])
  t.equal(String(headers['secure-session-registration']).split(', (ES256 RS256)').length, 2, 'a list of both')

  const [plain, other] = [offers[0]!, offers[1]!]
  t.match(await device.register(device.proof(other.challenge, { jwk: device.jwk })), { status: 400, json: { refused: 'challenge' } }, 'not with the other\'s challenge')
  t.equal((await device.register(device.proof(plain.challenge, { jwk: device.jwk }))).status, 200)
  t.same((await device.get('/who')).json, [true, false, null, null])
  device.path = '/dbsc-admin'
  t.equal((await device.register(device.proof(other.challenge, { jwk: device.jwk }))).status, 200)
  t.same((await device.get('/who')).json, [true, true, null, null])
  device.cookies.set('admin-bound', device.cookies.get('session-bound')!)
  t.same((await device.get('/who')).json, [true, false, null, 'unproven'], 'one proof is none for the other')
})

t.test('the app\'s own offer is kept', async t => {
  const device = new Device(await makeBoundApp({ after: app => { app.addHook('onRequest', async (_request, reply) => { reply.header('secure-session-registration', '(ES256);path="/mine"') }) } }))
  t.match((await device.get('/login')).headers['secure-session-registration'], /^\(ES256\);path="\/mine", \(ES256 RS256\);path="\/dbsc\/registration"/)
})

t.test('a response that becomes an error has one offer', async t => {
  const app = await makeBoundApp({ after: app => { app.addHook('onSend', async (_request, reply) => { if (reply.statusCode === 200) throw new Error('late') }) } })
  const device = new Device(app)
  const { status, headers, setCookies } = await device.get('/login')
  t.equal(status, 500)
  t.equal(String(headers['secure-session-registration']).split('path=').length, 2)
  t.equal(setCookies.length, 2)
})

t.test('a logout that fails in the store clears both cookies', async t => {
  const store = new TestStore()
  const device = await new Device(await makeBoundApp({ session: { store } })).login()
  store.fails.set('delete', new Error('down'))
  t.equal((await device.get('/logout')).status, 503)
  t.equal(device.header(), '')
})

t.test('binding works over HTTP/2', async t => {
  const { key, cert } = makeCertificate(['localhost'])
  const app = Fastify({ http2: true, https: { key, cert } })
  await app.register(sessionPlugin, { secret, deviceBound: { when } })
  app.get('/login', async request => { request.session.user = { id: 'u1', name: 'Ada' }; return {} })
  app.get('/who', async request => ({ bound: request.session.info.bound }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = connect(`https://localhost:${(app.server.address() as AddressInfo).port}`, { ca: cert })
  t.teardown(async () => { client.destroy(); await app.close() })
  const device = new Device(app as never)
  const ask = async (method: string, path: string, headers: Record<string, string> = {}): Promise<{ headers: Record<string, unknown>, json: Record<string, unknown> }> => {
    const stream = client.request({ ':method': method, ':path': path, ...device.header() !== '' && { cookie: device.header() }, ...headers })
    const [answered] = await once(stream, 'response') as [Record<string, unknown>]
    device.store({ headers: answered })
    return { headers: answered, json: JSON.parse(await text(stream)) as Record<string, unknown> }
  }
  const { headers } = await ask('GET', '/login')
  const challenge = /challenge="([^"]+)"/.exec(String(headers['secure-session-registration']))![1]!
  const { json } = await ask('POST', '/dbsc/registration', { 'secure-session-response': device.proof(challenge, { jwk: device.jwk }) })
  t.match(json, { scope: { origin: `https://localhost:${(app.server.address() as AddressInfo).port}` } })
  t.same((await ask('GET', '/who')).json, { bound: true })
  device.cookies.delete('session-bound')
  const id = { 'sec-secure-session-id': json.session_identifier as string }
  const asked = await ask('POST', '/dbsc/refresh', id)
  t.equal(asked.headers[':status'], 403)
  const next = /^"([^"]+)"/.exec(String(asked.headers['secure-session-challenge']))![1]!
  t.equal((await ask('POST', '/dbsc/refresh', { ...id, 'secure-session-response': device.proof(next) })).headers[':status'], 200)
  t.same((await ask('GET', '/who')).json, { bound: true })
})

t.test('without the option, there are no routes, headers or cookies of it', async t => {
  const app = Fastify({ trustProxy: true })
  await app.register(sessionPlugin, { secret })
  app.get('/login', async request => { request.session.user = { id: 'u1', name: 'Ada' } })
  const response = await app.inject({ url: '/login', headers: { 'x-forwarded-proto': 'https' } })
  t.equal(response.headers['secure-session-registration'], undefined)
  t.equal(setCookiesOf(response).length, 1)
  t.equal((await app.inject({ method: 'POST', url: '/dbsc/refresh' })).statusCode, 404)
  t.ok(new Jar(app))
})

t.test('list() returns which sessions of a user are bound', async t => {
  const app = await makeBoundApp({ session: { store: new TestStore('replace', 'find'), userOf: ({ user }) => user?.id } })
  const device = new Device(app)
  await device.login()
  await app.session.cookie({ user: { id: 'u1', name: 'Ada' } })
  const bound = async (): Promise<boolean[]> => (await app.session.of('u1').list()).map(({ bound }) => bound).sort()
  t.same(await bound(), [false, true])
  await device.get('/count')
  t.same(await bound(), [false, true], 'a change keeps it')
  t.equal(await app.session.of('u1').endAll(), 2)
  t.equal((await device.get('/who')).json.user, null)
})
