import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import * as Hapi from '@hapi/iron'
import fc from 'fast-check'
import { H3, sealSession, unsealSession } from 'h3'
import * as Iron from 'iron-webcrypto'
import { getIronSession, sealData, unsealData } from 'iron-session'
import { getIronSession as getIronSession9 } from 'iron-session-9'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createSealer, denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, makeApp, olderSecret, read, secret } from './fixtures/app.js'
import { runs } from './fixtures/fuzz.js'
import { TestStore } from './fixtures/stores.js'

const META = 'fastify-sealed-session'

const routes: Parameters<typeof makeApp>[1] = {
  '/count': count,
  '/read': read,
  '/data': request => ({ data: request.session.data(), keys: Object.keys(request.session), id: request.session.info.id, createdAt: request.session.info.createdAt }),
  '/login': request => { request.session.regenerate(['views']); request.session.user = { id: 'u', name: 'Ada' } },
  '/destroy': request => { request.session.destroy() },
  '/remember': request => { request.session.persist(5000) },
  '/note': request => { request.session.note = (request.query as { note: string }).note }
}
const opened = async (app: FastifyInstance, cookie: string): Promise<Jar> => {
  const jar = new Jar(app)
  jar.cookies.set('session', cookie)
  return jar
}

/** A server with the real iron-session, used as in a Next.js route handler. */
async function ironServer (t: Test, open: typeof getIronSession, password: string | Record<string, string> = secret): Promise<string> {
  const server = createServer(async (request, response) => {
    const session = await open<Record<string, unknown>>(request, response, { password, cookieName: 'session', cookieOptions: { secure: false } })
    if (request.url === '/count') {
      session.views = ((session.views as number | undefined) ?? 0) + 1
      await session.save()
    }
    if (request.url === '/destroy') session.destroy()
    response.setHeader('content-type', 'application/json').end(JSON.stringify(session))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A browser that visits both servers on one host. */
class Both {
  readonly cookies = new Map<string, string>()

  async get (url: string): Promise<Record<string, unknown>> {
    const response = await fetch(url, { headers: { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') } })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string]
      if (/max-age=0(;|$)/i.test(line)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return await response.json() as Record<string, unknown>
  }
}

const listen = async (t: Test, options: Partial<SessionOptions>): Promise<string> => {
  const app = await makeApp({ interop: 'iron-session', ...options }, routes)
  t.teardown(async () => await app.close())
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

const versions = { 8: getIronSession, 9: getIronSession9 as unknown as typeof getIronSession }

for (const [version, open] of Object.entries(versions)) {
  t.test(`one cookie, two servers: this package and iron-session ${version} read and write one session`, async t => {
    const [ours, theirs] = [await listen(t, {}), await ironServer(t, open)]
    const browser = new Both()
    t.same(await browser.get(`${ours}/count`), { views: 1 })
    t.match(browser.cookies.get('session'), /^Fe26\.2\*1\*.*~2$/)
    const { id, createdAt } = await browser.get(`${ours}/data`)
    t.match(await browser.get(`${theirs}/count`), { views: 2 })
    t.same(await browser.get(`${ours}/count`), { views: 3 })
    t.match(await browser.get(`${ours}/data`), { data: { views: 3 }, keys: ['views'], id, createdAt }, 'both keep the id and the creation time')
    await browser.get(`${ours}/login`)
    const seen = await browser.get(`${theirs}/count`)
    t.match(seen, { views: 4, user: { id: 'u', name: 'Ada' } })
    t.same(Object.keys(seen).sort(), [META, 'user', 'views'])
    await browser.get(`${theirs}/destroy`)
    t.same(await browser.get(`${ours}/read`), { views: null, reason: 'absent' })
    await browser.get(`${theirs}/count`)
    const first = browser.cookies.get('session')
    const given = await browser.get(`${ours}/data`)
    t.match(given, { data: { views: 1 }, keys: ['views'], id: /^[\w-]{22}$/ })
    t.not(browser.cookies.get('session'), first, 'one of their sessions gets an id and is sealed with it')
    t.same(await browser.get(`${ours}/data`), given)
    await browser.get(`${ours}/destroy`)
    t.same(await browser.get(`${theirs}/`), {})
  })
}

for (const [version, open] of Object.entries(versions)) {
  t.test(`rotation: secret ids are numbers counted from the oldest, as in iron-session ${version}`, async t => {
    const both = { 1: olderSecret, 2: secret }
    const old = { ours: await listen(t, { secret: olderSecret }), theirs: await ironServer(t, open, olderSecret) }
    const now = { ours: await listen(t, { secret: [secret, olderSecret] }), theirs: await ironServer(t, open, both) }
    for (const from of [old.ours, old.theirs]) {
      const browser = new Both()
      await browser.get(`${from}/count`)
      t.match(browser.cookies.get('session'), /^Fe26\.2\*1\*/)
      t.match(await browser.get(`${now.theirs}/`), { views: 1 })
      t.match(await browser.get(`${now.ours}/read`), { views: 1, reason: null })
      t.match(browser.cookies.get('session'), /^Fe26\.2\*2\*/, 'a session that is read is sealed with the newest secret')
      t.match(await browser.get(`${now.theirs}/count`), { views: 2 })
      t.match(await browser.get(`${now.ours}/count`), { views: 3 })
      t.match(await browser.get(`${old.ours}/read`), { reason: 'unknown-key' })
      t.match(await browser.get(`${now.ours}/read`), { views: 3 }, 'a node that does not know the key leaves the cookie')
    }
    const named = await listen(t, { secret: [{ id: '7', secret }, { id: '3', secret: olderSecret }] })
    const theirs = await ironServer(t, open, { 3: olderSecret, 7: secret })
    const browser = new Both()
    await browser.get(`${named}/count`)
    t.match(browser.cookies.get('session'), /^Fe26\.2\*7\*/)
    t.match(await browser.get(`${theirs}/count`), { views: 2 })
    t.match(await browser.get(`${named}/count`), { views: 3 })
  })
}

t.test('timeouts of both packages apply to both, and a seal of theirs without an expiry gets one', async t => {
  const app = await makeApp({ interop: 'iron-session', idleTimeout: 100 }, routes)
  const token = await app.session.seal({ views: 1 })
  t.match(await unsealData(token, { password: secret }), { views: 1 })
  const [, , , , , expiry] = token.split('*')
  t.ok(Math.abs(Number(expiry) - Date.now() - 100_000) < 5000)
  const endless = await opened(app, await sealData({ views: 1 }, { password: secret, ttl: 0 }))
  const { setCookies } = await endless.get('/read')
  t.match(setCookies, [/Max-Age=100;/])
  const expired = await Iron.seal({ views: 1 }, { id: '1', secret }, { ...Iron.defaults, ttl: -61_000 })
  t.match(await (await opened(app, `${expired}~2`)).get('/read'), { json: { reason: 'expired' }, setCookies: [/Max-Age=0/] })
  const jar = await opened(app, await sealData({ views: 1 }, { password: secret }))
  await jar.get('/remember')
  t.match(await jar.get('/count'), { setCookies: [/Max-Age=5000;/] }, 'persist() stays in effect after re-seals')
})

t.test('the absolute timeout counts from the first read', async t => {
  t.clock.enter()
  t.clock.travel(1.9e12)
  const app = await makeApp({ interop: 'iron-session', idleTimeout: 100, absoluteTimeout: 150 }, routes)
  const jar = await opened(app, `${await Iron.seal({ views: 1 }, { id: '1', secret }, { ...Iron.defaults, ttl: 100_000 })}~2`)
  t.equal((await jar.get('/read')).json.views, 1)
  for (const [seconds, reason] of [[80, null], [69, null], [2, 'outlived']] as const) {
    t.clock.advance(seconds * 1000)
    t.equal((await jar.get('/read')).json.reason, reason)
  }
})

t.test('any data can be exchanged in both directions', async t => {
  const sealer = createSealer({ secret, interop: 'iron-session' })
  const data = fc.dictionary(fc.string().filter(key => !['get', 'set', 'clear', 'regenerate', 'destroy', 'delete', 'touch', 'persist', 'options', 'data', 'changed', 'deleted', 'info', META].includes(key)), fc.jsonValue(), { maxKeys: 5 })
  await fc.assert(fc.asyncProperty(data, async data => {
    const plain = JSON.parse(JSON.stringify(data)) as object
    const theirs = await unsealData<Record<string, unknown>>(await sealer.seal(plain), { password: secret })
    const { [META]: meta, ...rest } = theirs
    t.ok(meta)
    t.equal(JSON.stringify(rest), JSON.stringify(plain))
    const ours = await sealer.unseal(await sealData(plain, { password: secret }))
    t.equal(ours.ok && JSON.stringify(ours.data), JSON.stringify(plain))
  }), runs(20))
})

t.test('anything that cannot be a session is rejected with its own reason', async t => {
  const app = await makeApp({ interop: 'iron-session' }, routes)
  const sealBare = async (data: unknown, id = '1', with_ = secret): Promise<string> => await Iron.seal(data, { id, secret: with_ }, { ...Iron.defaults, ttl: 60_000 })
  const cases: Array<[token: string, reason: string, cleared: number]> = [
    [`${await sealBare({ get: 1 })}~2`, 'invalid', 1],
    [`${await sealBare([1])}~2`, 'invalid', 1],
    [`${await sealBare('text')}~2`, 'invalid', 1],
    [`${await sealBare(null)}~2`, 'invalid', 1],
    [`${await sealBare({ views: 1 }, '9', olderSecret)}~2`, 'unknown-key', 0],
    [`${await sealBare({ views: 1 }, '1', olderSecret)}~2`, 'tampered', 1],
    [`${await sealBare({ [META]: { n: 'admin', i: 'x', c: 1 } })}~2`, 'wrong-name', 0],
    [await sealBare({ views: 1 }), 'foreign', 0],
    [`${await sealBare({ v: 9, n: 'session', i: 'x', c: 1, d: {} })}~2`, 'foreign', 0],
    ['nonsense~2', 'malformed', 1],
    ['~2', 'malformed', 1]
  ]
  for (const [token, reason, cleared] of cases) {
    const { json, setCookies } = await (await opened(app, token)).get('/read')
    t.same([json.reason, setCookies.length], [reason, cleared], reason)
  }
  const oddMeta = await (await opened(app, `${await sealBare({ views: 1, [META]: { n: 'session', i: '<script>', c: 'x' } })}~2`)).get('/read')
  t.match(oddMeta, { json: { views: 1, reason: null } }, 'an invalid value under our own key is ignored')
  t.equal((await (await opened(app, `${await sealBare({ views: 1 }, '9')}~2`)).get('/read')).json.views, 1, 'a plain secret opens seals with any id, as in Iron')
})

t.test('a session in our own format is read, and written in the format of iron-session from then on', async t => {
  const before = await makeApp({}, routes)
  const after = await makeApp({ interop: 'iron-session' }, routes)
  const jar = await opened(after, await before.session.seal({ views: 4 }))
  t.equal((await jar.get('/read')).json.views, 4)
  t.match(jar.cookies.get('session'), /~2$/)
  t.match(await unsealData(jar.cookies.get('session')!, { password: secret }), { views: 4 })
  const ours = await before.session.seal({ [META]: 1 } as object)
  t.same(await after.session.unseal(ours), { ok: false, reason: 'invalid' }, 'a key of ours in it could not be written')
})

t.test('setting our own key is rejected, and regenerate, destroy and chunks work as usual', async t => {
  const app = await makeApp({ interop: 'iron-session', maxCookies: 3 }, {
    ...routes, '/own': (request: FastifyRequest) => { (request.session as unknown as Record<string, unknown>)[META] = 1 }
  })
  const jar = new Jar(app)
  t.match((await jar.get('/own')).json, { code: 'FST_SESSION_RESERVED_KEY', message: /fastify-sealed-session/ })
  await jar.get(`/note?note=${'x'.repeat(6000)}`)
  t.equal(jar.cookies.size, 3)
  const stale = [...jar.cookies].slice(1)
  await jar.get('/count')
  await jar.get('/note?note=short')
  t.equal(jar.cookies.size, 1)
  for (const [name, value] of stale) jar.cookies.set(name, value)
  t.equal((await jar.get('/read')).json.views, 1, 'leftover chunks do no harm')
})

t.test('without interop, a cookie of the other package is foreign and left alone', async t => {
  for (const interop of [false, 'iron'] as const) {
    const app = await makeApp({ interop }, routes)
    const { json, setCookies } = await (await opened(app, await sealData({ views: 1 }, { password: secret }))).get('/read')
    t.same([json.reason, setCookies.length], ['foreign', 0])
    t.same(await app.session.unseal('nonsense~2'), { ok: false, reason: 'malformed' })
  }
})

t.test('interop "iron" reads plain data from any Iron implementation, with or without an id, and writes envelopes', async t => {
  const app = await makeApp({ interop: 'iron' }, routes)
  const bytes = new Uint8Array(32).map((_, nth) => nth)
  const raw = await makeApp({ interop: 'iron', secret: bytes }, routes)
  const tokens: Array<[app: FastifyInstance, token: string]> = [
    [app, await Iron.seal({ views: 1 }, secret, { ...Iron.defaults, ttl: 60_000 })],
    [app, await Iron.seal({ views: 1 }, { id: 'any', secret }, Iron.defaults)],
    [app, await Hapi.seal({ views: 1 }, secret, { ...Hapi.defaults, ttl: 60_000 })],
    [app, await Hapi.seal({ views: 1 }, { id: 'any', secret }, Hapi.defaults)],
    [raw, await Iron.seal({ views: 1 }, bytes, Iron.defaults)],
    [raw, await Hapi.seal({ views: 1 }, Buffer.from(bytes), Hapi.defaults)]
  ]
  for (const [app, token] of tokens) {
    const jar = await opened(app, token)
    const { json, setCookies } = await jar.get('/data')
    t.match(json, { data: { views: 1 }, id: /^[\w-]{22}$/ })
    t.equal(setCookies.length, 1, 'sealed again, with the id')
    const again = await jar.get('/data')
    t.same([again.json, again.setCookies], [json, []])
    const sealer = createSealer({ secret: app === raw ? bytes : secret })
    t.ok((await sealer.unseal(jar.cookies.get('session')!)).ok)
  }
  for (const data of [[1], 'text', 5, null, { destroy: 1 }]) {
    const { json } = await (await opened(app, await Iron.seal(data, secret, Iron.defaults))).get('/read')
    t.equal(json.reason, 'invalid')
  }
  const noJson = await Iron.seal('{"views":', secret, { ...Iron.defaults, encode: text => text as string })
  t.equal((await (await opened(app, noJson)).get('/read')).json.reason, 'invalid')
  const slow = await makeApp({ interop: 'iron', iron: { integrity: { iterations: 3 } } }, routes)
  const token = await Iron.seal({ views: 1 }, secret, { ...Iron.defaults, integrity: { ...Iron.defaults.integrity, iterations: 3 } })
  t.equal((await (await opened(slow, token)).get('/read')).json.views, 1)
})

t.test('all copies of a seal without an envelope are one session, which one revocation ends', async t => {
  for (const interop of ['iron', 'iron-session'] as const) {
    for (const ttl of [0, 30 * 86_400]) {
      const app = await makeApp({ interop, isRevoked: denylist(new TestStore()), idleTimeout: 1000, cacheSize: 0 }, routes)
      const bare = interop === 'iron' ? await Iron.seal({ views: 1 }, secret, { ...Iron.defaults, ttl: ttl * 1000 }) : await sealData({ views: 1 }, { password: secret, ttl })
      const jar = await opened(app, bare)
      const { json } = await jar.get('/data')
      t.equal((await (await opened(app, bare)).get('/data')).json.id, json.id)
      await jar.get('/count')
      await jar.get('/destroy')
      const later = Date.now() + 2 * 86_400_000
      await t.test('later', async t => {
        t.clock.enter()
        t.clock.travel(later)
        t.equal((await (await opened(app, bare)).get('/read')).json.reason, 'revoked', `${interop}, ttl ${ttl}`)
      })
    }
  }
})

t.test('no other spelling of a revoked seal without an envelope opens', async t => {
  const app = await makeApp({ interop: 'iron', isRevoked: denylist(new TestStore()), idleTimeout: 1000, cacheSize: 0 }, routes)
  const bare = await Iron.seal({ views: 1 }, secret, { ...Iron.defaults, ttl: 86_400_000 })
  await (await opened(app, bare)).get('/destroy')
  for (const end of ['é', 'ÿ', '=', '+']) {
    t.equal((await (await opened(app, bare)).get('/read')).json.reason, 'revoked')
    t.equal((await (await opened(app, bare.slice(0, -1) + end)).get('/read')).json.reason, 'malformed', end)
  }
})

t.test('h3: data that only resembles its sessions is not a session', async t => {
  const session = { id: 'u1', createdAt: 1, data: { views: 1 } }
  const like: Array<[interop: 'iron' | 'iron-session', data: object, reason: string | null]> = [
    ['iron', session, null],
    ['iron', { ...session, lastSeenAt: 5 }, null],
    ['iron', { ...session, user: 'ada' }, 'invalid'],
    ['iron-session', session, 'invalid'],
    ['iron-session', { ...session, [META]: { n: 'admin', i: 'x', c: 1 } }, 'wrong-name']
  ]
  for (const [interop, data, reason] of like) {
    const result = await createSealer({ secret, interop, absoluteTimeout: false }).unseal(await (interop === 'iron' ? Iron.seal(data, secret, Iron.defaults) : sealData(data, { password: secret })))
    t.equal(result.ok ? null : result.reason, reason)
  }
})

t.test('a creation time in the future counts as now, and an invalid timeout is ignored', async t => {
  const sealer = createSealer({ secret, interop: 'iron-session' })
  const before = Date.now()
  const future = await sealer.unseal(await sealData({ [META]: { n: 'session', i: 'x', c: 8e15 } }, { password: secret }))
  t.ok(future.ok && future.info.createdAt.getTime() >= before && future.info.createdAt.getTime() <= Date.now())
  for (const odd of [{ c: 1e17 }, { t: 1e12 }, { t: -1 }, { t: 'x' }]) {
    const result = await sealer.unseal(await sealData({ views: 1, [META]: { n: 'session', i: 'x', c: 1, ...odd } }, { password: secret }))
    t.match(result, { ok: true, data: { views: 1 }, info: { id: /^[\w-]{22}$/ } })
  }
})

t.test('h3: one of its sessions is adopted with its id and creation time, and it cannot read ours', async t => {
  const event = new H3().get('/', () => '') && { req: new Request('http://127.0.0.1/'), res: { headers: new Headers(), errHeaders: new Headers() }, context: {} as Record<string, unknown> }
  const config = { password: secret, name: 'session', seal: { ...Iron.defaults, ttl: 60_000 } }
  event.context.sessions = { session: { id: 'd0d6b6a2-93b4-4a86-9a17-6b9ba2a4c7ba', createdAt: 1_700_000_000_000, data: { views: 6 } } }
  const legacy = await sealSession(event as never, config as never)
  const app = await makeApp({ interop: 'iron', absoluteTimeout: false }, routes)
  const jar = await opened(app, legacy)
  t.match((await jar.get('/data')).json, { data: { views: 6 }, keys: ['views'], id: 'd0d6b6a2-93b4-4a86-9a17-6b9ba2a4c7ba', createdAt: new Date(1_700_000_000_000).toISOString() })
  t.equal((await jar.get('/count')).json.views, 7)
  const theirs = await unsealSession(event as never, config as never, jar.cookies.get('session')!) as { data?: unknown }
  t.equal(theirs.data, undefined)

  const defaults = await sealSession(event as never, { password: secret, name: 'session' } as never)
  t.equal((await (await opened(app, defaults)).get('/read')).json.reason, 'tampered', 'h3 2 derives its keys with more iterations')
  const iterations = { iron: { encryption: { iterations: 8192 }, integrity: { iterations: 8192 } } }
  const same = await makeApp({ interop: 'iron', absoluteTimeout: false, ...iterations }, routes)
  t.equal((await (await opened(same, defaults)).get('/read')).json.views, 6)
})

t.test('options that conflict are rejected', async t => {
  const wrong: Array<[options: object, message: RegExp]> = [
    [{ interop: 'h3' }, /"interop" must be false or iron or iron-session/],
    [{ interop: true }, /"interop"/],
    [{ interop: 'iron-session', iron: { integrity: { iterations: 2 } } }, /"iron" is invalid/],
    [{ interop: 'iron-session', store: new Map() }, /"store" is invalid/],
    [{ interop: 'iron', store: new Map() }, /"interop" is invalid/],
    [{ interop: 'iron-session', secret: [secret, { id: '2', secret: olderSecret }] }, /two secrets have the id "2"/]
  ]
  for (const [options, message] of wrong) await t.rejects(async () => { await makeApp(options) }, { code: 'FST_SESSION_INVALID_OPTION', message })
})
