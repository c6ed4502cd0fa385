import { createHmac } from 'node:crypto'
import t from 'tap'
import { createSealer } from '../lib/index.js'
import { Jar, makeApp, read, secret } from './fixtures/app.js'

// Vulnerabilities published for other session packages, tried on this one.

const login = { id: 'u1', name: 'Ada' }
const routes = {
  '/login': request => { request.session.regenerate(); request.session.user = login },
  '/careless-login': request => { request.session.user = login },
  '/logout': request => { request.session.destroy() },
  '/me': request => ({ user: request.session.user ?? null, reason: request.session.info.reason, id: request.session.info.id }),
  '/touch': request => { request.session.touch() },
  '/plant': request => { request.session.note = 'planted by a stranger' },
  '/note': request => ({ note: request.session.note ?? null }),
  '/read': read
} satisfies Parameters<typeof makeApp>[1]

t.test('CVE-2024-31999: a stolen cookie cannot be renewed forever', async t => {
  t.clock.enter()
  const victim = new Jar(await makeApp({ idleTimeout: 100, absoluteTimeout: 1000 }, routes))
  await victim.get('/login')
  const thief = new Jar(victim.app)
  thief.cookies.set('session', victim.cookies.get('session')!)
  await victim.get('/logout')
  for (let seconds = 90; seconds < 1000; seconds += 90) {
    t.clock.advance(90_000)
    t.match((await thief.get('/me')).json, { user: login }, `${seconds} s: without a store, it works until its timeout`)
    await thief.get('/touch')
  }
  t.clock.advance(100_000)
  t.match((await thief.get('/me')).json, { user: null, reason: 'outlived' })
})

t.test('CVE-2024-35220: recomputing the age of a session does not restore an expired one', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100 }, { ...routes, '/persist': request => { request.session.persist(1000); request.session.touch() } })
  const jar = new Jar(app)
  await jar.get('/login')
  const stale = jar.cookies.get('session')!
  t.clock.advance(161_000)
  for (const url of ['/touch', '/persist', '/read', '/me']) {
    jar.cookies.set('session', stale)
    await jar.get(url)
    t.match((await jar.get('/me')).json, { user: null })
  }
  // Another app with the same secret and a longer timeout does not restore it either: the expiry is in the seal.
  const longer = new Jar(await makeApp({ idleTimeout: 1e6 }, routes))
  longer.cookies.set('session', stale)
  t.match((await longer.get('/me')).json, { user: null, reason: 'expired' })
})

t.test('CVE-2022-25896, CVE-2023-29019: a login does not log in a session that was planted before it', async t => {
  const attacker = new Jar(await makeApp({}, routes))
  await attacker.get('/plant')
  const planted = attacker.cookies.get('session')!
  const victim = new Jar(attacker.app)
  victim.cookies.set('session', planted)
  const before = (await victim.get('/me')).json.id
  await victim.get('/login')
  t.match((await victim.get('/me')).json, { user: login })
  t.not((await victim.get('/me')).json.id, before)
  t.match((await attacker.get('/me')).json, { user: null, id: before })
  // The data is in the cookie, not under an id, so a login without regenerate() does not change the planted cookie either.
  victim.cookies.set('session', planted)
  await victim.get('/careless-login')
  t.match((await attacker.get('/me')).json, { user: null })
})

t.test('CVE-2023-29020: data that was planted before the login does not survive it', async t => {
  const jar = new Jar(await makeApp({}, routes))
  await jar.get('/plant')
  await jar.get('/login')
  t.same((await jar.get('/note')).json, { note: null })
})

t.test('CVE-2026-39324: there is no fallback to a decoder without authentication', async t => {
  const jar = new Jar(await makeApp({}, routes))
  const data = { user: { id: 'admin', name: 'Admin' }, views: 1 }
  const json = JSON.stringify(data)
  const base64 = (text: string): string => Buffer.from(text).toString('base64url')
  const envelope = `{"v":1,"n":"session","i":"AAAAAAAAAAAAAAAAAAAAAA","c":${Date.now()},"d":${json}}`
  const signature = (text: string): string => createHmac('sha256', secret).update(text).digest('base64url')
  const forged = [
    json, encodeURIComponent(json), base64(json), envelope, base64(envelope),
    `${base64(json)}.${signature(base64(json))}`, `${encodeURIComponent(json)}.${signature(json)}`,
    `${base64('{"alg":"none"}')}.${base64(json)}.`, `s:${base64(json)}`, `j:${json}`, `v:1:${base64(json)}`,
    `Fe26.2**${'0'.repeat(64)}*${'A'.repeat(22)}*${base64(envelope)}**${'0'.repeat(64)}*${'A'.repeat(43)}`,
    `Fe26.2*****${base64(envelope)}***`
  ]
  for (const value of forged) {
    jar.cookies.set('session', value)
    const { json } = await jar.get('/me')
    t.match(json, { user: null, reason: /malformed|tampered/ })
  }
})

t.test('CVE-2023-30861: the response tells shared caches about the cookie when the session is read, renewed, set or cleared', async t => {
  t.clock.enter()
  const jar = new Jar(await makeApp({ idleTimeout: 100 }, routes))
  t.match((await jar.get('/me')).headers, { vary: 'Cookie' }, 'read')
  t.match((await jar.get('/login')).headers, { vary: 'Cookie', 'cache-control': 'private, no-cache' }, 'set')
  t.clock.advance(60_000)
  const renewed = await jar.get('/me')
  t.equal(renewed.setCookies.length, 1)
  t.match(renewed.headers, { vary: 'Cookie', 'cache-control': 'private, no-cache' }, 'renewed by a read')
  t.match((await jar.get('/logout')).headers, { vary: 'Cookie', 'cache-control': 'private, no-cache' }, 'cleared')
})

t.test('a cookie with an unusual name is not taken for one with a prefix', async t => {
  const app = await makeApp({ cookieName: '__Host-session', cookie: { secure: true } }, routes)
  const pair = await app.session.cookie({ user: login })
  t.match((await app.inject({ url: '/me', headers: { cookie: pair } })).json(), { user: login })
  const value = pair.slice('__Host-session='.length)
  // Browsers set all of these without checking the prefix's attributes: Unicode spaces, other cases,
  // no name at all, quoting and the attributes of RFC 2965.
  const odd = [
    '\xa0__Host-session', '\x85__Host-session', 'â\x80\x80__Host-session', 'ï»¿__Host-session', '\x0b__Host-session', '\x0c__Host-session',
    '__host-session', '__HOST-SESSION', '=__Host-session', '"__Host-session"', '$Version=1,__Host-session', ',__Host-session',
    '__Host-session ', '__Host-session\t', 'x=1,__Host-session', '__Host-session.1', '__Host-session[0]', '%5F_Host-session', 'session', '__Secure-session'
  ]
  for (const name of odd) {
    const { user } = (await app.inject({ url: '/me', headers: { cookie: `${name}=${value}` } })).json() as { user: unknown }
    t.equal(user, null, JSON.stringify(name))
  }
})

t.test('keys of a session do not pollute a prototype', async t => {
  const jar = new Jar(await makeApp({}, {
    ...routes,
    '/pollute': request => {
      const bag = request.session as unknown as Record<string, unknown>
      const key = '__proto__'
      bag[key] = { polluted: 'by assignment' }
      request.session.set('constructor' as never, { prototype: { polluted: 'by set' } } as never)
      request.session.any = JSON.parse('{"__proto__":{"polluted":"nested"}}') as unknown
    },
    '/look': request => ({ polluted: ({} as { polluted?: unknown }).polluted ?? null, keys: Object.keys(request.session), nested: Object.keys(request.session.any as object) })
  }))
  await jar.get('/pollute')
  t.same((await jar.get('/look')).json, { polluted: null, keys: ['__proto__', 'constructor', 'any'], nested: ['__proto__'] })
  const { seal, unseal } = createSealer({ secret })
  const opened = await unseal(await seal(JSON.parse('{"__proto__":{"polluted":1}}') as object))
  t.ok(opened.ok && Object.hasOwn(opened.data, '__proto__') && !('polluted' in opened.data))
})

t.test('a secret id such as __proto__ is a plain id', async t => {
  const token = await createSealer({ secret }).seal({})
  const [, ...rest] = token.split('*')
  for (const id of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const { unseal } = createSealer({ secret: { id: 'known', secret } })
    t.same(await unseal(['Fe26.2', id, ...rest.slice(1)].join('*')), { ok: false, reason: 'unknown-key' })
    const named = createSealer({ secret: [{ id, secret }] })
    t.match(await named.unseal(await named.seal({ views: 1 })), { ok: true, data: { views: 1 } })
  }
})
