import t from 'tap'
import { createSealer, denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { Jar, logTo, makeApp, olderSecret, read, secret } from './fixtures/app.js'
import { Device, makeBoundApp, offerIn, when } from './fixtures/device.js'
import { Deferred } from './fixtures/gates.js'
import { TestStore } from './fixtures/stores.js'

// What can go wrong with device-bound sessions in unusual situations.

const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const unproven = { user: null, reason: 'unproven', bound: false }

t.test('a link from another site with an expired proof gets a page that reloads itself without a script', async t => {
  const device = await new Device(await makeBoundApp()).login()
  t.match((await device.get('/who', link)).json, { user: 'u1' }, 'not while the proof lasts')
  device.cookies.delete('session-bound')
  for (const headers of [link, { ...link, 'sec-fetch-site': 'same-site' }]) {
    const { status, headers: answered, body, setCookies } = await device.get('/who', headers)
    t.equal(status, 200)
    t.match(answered, { refresh: '0;url=/./who', 'cache-control': 'no-store', 'content-type': 'text/html; charset=utf-8' })
    t.notMatch(body, /script/)
    t.same(setCookies, [])
  }
  for (const url of ['//evil.test/who', '/who?a=%0d%0ab;url=https://evil.test', '/\\\\evil.test']) {
    const { refresh } = (await device.get(url, link)).headers as { refresh: string }
    t.equal(new URL(refresh.slice('0;url='.length), 'https://app.test/').host, 'app.test', 'no other host, whatever the path')
  }
  for (const headers of [
    { ...link, 'sec-fetch-site': 'same-origin' }, { ...link, 'sec-fetch-site': 'none' }, { ...link, 'sec-fetch-mode': 'cors' },
    { ...link, 'sec-fetch-dest': 'image' }, { ...link, 'secure-session-skipped': 'quota_exceeded;session_identifier="x"' }, {}
  ]) {
    t.match((await device.get('/who', headers as Record<string, string>)).json, unproven, JSON.stringify(headers))
  }
})

t.test('a link from another site is not delayed if there is no bound session', async t => {
  const device = new Device(await makeBoundApp({ after: app => { app.get('/off', { config: { session: false } }, async () => 'off') } }))
  t.match((await device.get('/who', link)).json, { user: null, reason: 'absent' })
  await device.get('/login')
  t.match((await device.get('/who', link)).json, { user: 'u1' })
  await device.register()
  device.cookies.delete('session-bound')
  t.equal((await device.get('/off', link)).body, 'off', 'nor on a route without sessions')
})

t.test('reload: false leaves links from other sites to the app', async t => {
  const device = await new Device(await makeBoundApp({ deviceBound: { reload: false } })).login()
  device.cookies.delete('session-bound')
  t.match((await device.get('/who', link)).json, unproven)
})

t.test('an OIDC callback from another site offers nothing, and the next page does', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login', link)
  t.equal(device.offers, 0)
  t.ok(device.cookies.has('session'))
  await device.get('/who', { ...link, 'sec-fetch-site': 'same-site' })
  t.equal(device.offers, 0)
  await device.get('/who', { ...link, 'sec-fetch-site': 'same-origin' })
  t.equal(device.offers, 1)
  t.equal((await device.register()).status, 200)
})

t.test('binding is offered for a typed address, and if the browser does not send where a request comes from', async t => {
  for (const headers of [{}, { 'sec-fetch-site': 'none' }] as Array<Record<string, string>>) {
    const device = new Device(await makeBoundApp())
    await device.get('/login', headers)
    t.equal(device.offers, 1)
  }
})

t.test('a node without the option says foreign to a bound session, and leaves its cookie', async t => {
  const device = await new Device(await makeBoundApp()).login()
  for (const options of [{}, { interop: 'iron' }] as Array<Partial<SessionOptions>>) {
    const older = new Jar(await makeApp(options, { '/read': read }))
    older.cookies.set('session', device.cookies.get('session')!)
    const { json, setCookies } = await older.get('/read')
    t.same(json, { views: null, reason: 'foreign' })
    t.same(setCookies, [])
  }
  t.same(await createSealer({ secret }).unseal(device.cookies.get('session')!), { ok: false, reason: 'foreign' })
})

t.test('a node of version 0.1 reads neither a bound session nor any of the other seals', async t => {
  const device = await new Device(await makeBoundApp()).login()
  // What that version takes for an envelope.
  const known = /^\{"v":1,"n":("(?:[^"\\]|\\.)*"),"i":"([\w-]+)","c":(\d+)(?:,"t":(false|[\d.e+-]+))?(?:,"e":(\d+))?,"d":(?=\{|null\}$)/
  const Iron = await import('iron-webcrypto')
  for (const token of [device.cookies.get('session')!, device.cookies.get('session-bound')!, device.challenge, await device.ask()]) {
    const sealed = await Iron.unseal(token, secret, { ...Iron.defaults, decode: text => text }) as string
    t.notMatch(sealed, known)
    const keys = Object.keys(JSON.parse(sealed) as object)
    for (const key of ['v', 'n', 'i', 'c', 'd']) t.ok(keys.includes(key), 'so that with interop: iron it is no bare data either')
  }
})

t.test('an unproven session is empty, keeps its cookie, and is never overwritten', async t => {
  const lines: Array<Record<string, unknown>> = []
  const device = await new Device(await makeBoundApp({ server: logTo(lines) })).login()
  const kept = device.cookies.get('session')
  device.cookies.delete('session-bound')
  for (const url of ['/who', '/count', '/touch']) {
    const { setCookies, headers } = await device.get(url)
    t.same(setCookies, [], url)
    t.equal(headers['secure-session-registration'], undefined)
  }
  t.same((await device.get('/count')).json, { views: 1 }, 'it starts empty each time')
  t.ok(lines.some(({ level, msg }) => level === 40 && /Call regenerate\(\) at a login/.test(String(msg))), 'and that is said')
  t.equal(device.cookies.get('session'), kept)
  await device.refresh()
  t.match((await device.get('/who')).json, { user: 'u1', views: null, bound: true })
})

t.test('an unproven session can be replaced by regenerate(), and ended by destroy()', async t => {
  for (const end of ['/login', '/logout', '/anew']) {
    const device = await new Device(await makeBoundApp()).login()
    const [before] = [device.cookies.get('session')]
    device.cookies.delete('session-bound')
    await device.get(end)
    t.not(device.cookies.get('session'), before)
    t.match((await device.get('/who')).json, { user: end === '/login' ? 'u1' : null, bound: false, reason: end === '/login' ? null : 'absent' })
  }
})

t.test('regenerate() drops the binding, and binding is offered for the new session', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const { id } = device
  await device.get('/login')
  t.equal(device.offers, 2)
  t.match((await device.get('/who')).json, { user: 'u1', bound: false })
  t.equal((await device.register()).status, 200)
  t.not(device.id, id)
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
  await device.get('/anew')
  t.equal(device.header(), '', 'the proof goes with its session')
})

t.test('regenerate(keep) keeps the binding, so a thief cannot get an unbound session', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const thief = device.stolen('session', 'session-bound')
  await thief.get('/renew')
  t.not(thief.cookies.get('session'), device.cookies.get('session'))
  t.match((await thief.get('/who')).json, { user: 'u1', bound: true })
  thief.cookies.delete('session-bound')
  t.match((await thief.get('/who')).json, unproven)
  await device.get('/renew')
  device.cookies.delete('session-bound')
  t.equal((await device.refresh()).status, 200, 'the device goes on')
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('a proof expires to the second, without the 60 seconds of clock skew', async t => {
  t.clock.enter()
  const device = await new Device(await makeBoundApp({ deviceBound: { timeout: 300 } })).login()
  t.clock.advance(299_999)
  t.match((await device.get('/who')).json, { user: 'u1' })
  t.clock.advance(1)
  t.match((await device.get('/who')).json, unproven)
})

t.test('a browser that cannot bind receives the offer once an hour, and works as before', async t => {
  for (const iron of [undefined, { integrity: { iterations: 2 } }]) {
    const device = new Device(await makeBoundApp({ session: { iron } }))
    await device.get('/login')
    t.match(device.cookies.get('session-bound'), /^offered\.[\w-]{22}$/)
    for (let at = 0; at < 5; at++) t.match((await device.get('/count')).json, { views: at + 1 })
    t.equal(device.offers, 1)
    device.cookies.delete('session-bound')
    const { setCookies } = await device.get('/who')
    t.match(setCookies, [/^session-bound=offered.*; Max-Age=3600; /], 'by a mere read too')
    t.equal(device.offers, 2)
    await device.get('/login')
    t.equal(device.offers, 3, 'and again with a new login')
  }
})

t.test('binding is offered only over HTTPS, for sessions with data that `when` selects', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/count')
  await device.get('/who')
  t.equal(device.offers, 0)
  await device.get('/login', { 'x-forwarded-proto': 'http' })
  t.equal(device.offers, 0)
  await device.get('/untouched')
  t.equal(device.offers, 0, 'nor where the session is not read')
  await device.get('/logout')
  t.equal(device.offers, 0)
})

t.test('behind a proxy that terminates TLS, nothing is offered without trustProxy', async t => {
  const device = new Device(await makeBoundApp({ server: { trustProxy: false } }))
  await device.get('/login')
  t.equal(device.offers, 0)
  const trusted = new Device(await makeBoundApp({ server: { trustProxy: true } }))
  await trusted.get('/login', { 'x-forwarded-host': 'public.test' })
  t.match((await trusted.register(undefined, { 'x-forwarded-host': 'public.test' })).json, { scope: { origin: 'https://public.test' } })
})

t.test('a registration or refresh that a script sends is rejected', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  for (const mode of ['cors', 'same-origin', 'navigate', 'websocket', '']) {
    const { status, json } = await device.register(undefined, { 'sec-fetch-mode': mode })
    t.match({ status, json }, { status: 400, json: { refused: 'script' } }, mode)
  }
  t.match((await device.get('/who')).json, { bound: false })
  await device.register()
  const proof = device.proof(await device.ask())
  t.equal((await device.post('/dbsc/refresh', { 'sec-fetch-mode': 'cors', 'sec-secure-session-id': device.id, 'secure-session-response': proof })).status, 400)
})

t.test('headers are accepted with and without quotation marks', async t => {
  for (const mark of ['', '"']) {
    const device = new Device(await makeBoundApp())
    const quoted = (value: string): string => mark + value + mark
    await device.get('/login')
    t.equal((await device.register(quoted(device.proof(device.challenge, { jwk: device.jwk })))).status, 200)
    const proof = device.proof(await device.ask({ 'sec-secure-session-id': quoted(device.id) }))
    t.equal((await device.post('/dbsc/refresh', { 'sec-secure-session-id': quoted(device.id), 'secure-session-response': quoted(proof) })).status, 200)
  }
})

t.test('a registration and a write that are under way at once: the session is offered again, and bound in the end', async t => {
  for (const session of [{}, { isRevoked: denylist(new TestStore()) }]) {
    const gate = new Deferred()
    const reached = new Deferred()
    const device = new Device(await makeBoundApp({
      session,
      after: app => {
        app.get('/slow', async ({ session }) => {
          session.note = 'slow'
          reached.resolve()
          await gate.promise
          return {}
        })
      }
    }))
    await device.get('/login')
    const slow = device.get('/slow')
    await reached.promise
    await device.register()
    t.match((await device.get('/who')).json, { bound: true })
    gate.resolve()
    await slow
    t.match((await device.get('/who')).json, { user: 'u1', bound: false }, 'nobody is logged out')
    t.equal(device.offers, 2)
    const { id } = device
    t.equal((await device.register()).status, 200)
    t.equal(device.id, id, 'under the same name, so that the browser replaces its key')
    t.match((await device.get('/who')).json, { user: 'u1', bound: true })
  }
})

t.test('two tabs: each refresh is good by itself, and a second registration does not take over', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  const [first, second] = [device.proof(device.challenge, { jwk: device.jwk }), device.proof(device.challenge, { jwk: new Device(device.app).jwk })]
  t.equal((await device.register(first)).status, 200)
  t.match((await device.register(second)), { status: 400, json: { refused: 'already-bound' } })
  const proofs = [device.proof(await device.ask()), device.proof(await device.ask())]
  for (const { status } of await Promise.all(proofs.map(async proof => await device.refresh(proof)))) t.equal(status, 200)
  t.match((await device.get('/who')).json, { bound: true })
})

t.test('secrets that change keep the binding, the proof and the challenges', async t => {
  for (const iron of [undefined, { integrity: { iterations: 2 } }]) {
    const device = new Device(await makeBoundApp({ session: { secret: olderSecret, iron } }))
    await device.get('/login')
    const later = await makeBoundApp({ session: { secret: [secret, olderSecret], iron } })
    const moved = Object.assign(new Device(later), { keys: device.keys, challenge: device.challenge })
    for (const [name, value] of device.cookies) moved.cookies.set(name, value)
    t.equal((await moved.register()).status, 200)
    t.match((await moved.get('/who')).json, { user: 'u1', bound: true })
    moved.cookies.delete('session-bound')
    t.equal((await moved.refresh()).status, 200)
  }
})

t.test('a restart, and other nodes with the same secret, change nothing', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const there = Object.assign(new Device(await makeBoundApp()), { keys: device.keys, id: device.id, cookies: device.cookies })
  t.match((await there.get('/who')).json, { user: 'u1', bound: true })
  const proof = device.proof(await device.ask())
  device.cookies.delete('session-bound')
  t.equal((await there.refresh(proof)).status, 200, 'a challenge of one node is answered at another')
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('a node that does not know the secret yet keeps the binding: 503, not an end', async t => {
  const device = await new Device(await makeBoundApp({ session: { secret: { id: 'new', secret } } })).login()
  const old = await makeBoundApp({ session: { secret: { id: 'old', secret: olderSecret } } })
  const there = Object.assign(new Device(old), { keys: device.keys, id: device.id, cookies: device.cookies })
  const answer = await there.post('/dbsc/refresh', { 'sec-secure-session-id': device.id })
  t.match(answer, { status: 503, json: { refused: 'unknown-session' }, setCookies: [] })
})

t.test('the browser\'s binding of an earlier session ends; that of the present one stays', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const earlier = device.id
  await device.get('/login')
  await device.register()
  t.match(await device.post('/dbsc/refresh', { 'sec-secure-session-id': earlier }), { status: 400, json: { refused: 'not-bound' } })
  t.match(await device.post('/dbsc/refresh'), { status: 400, json: { refused: 'not-bound' } })
  t.equal((await device.refresh()).status, 200)
})

t.test('another session cookie of the name, unproven, does not shut out the one that is proven', async t => {
  const app = await makeBoundApp()
  const [attacker, device] = [await new Device(app).login(), await new Device(app).login()]
  const cookie = `session=${attacker.cookies.get('session')!}; session-bound=${attacker.cookies.get('session')!}; ${device.header()}; session-bound=x`
  t.match((await device.get('/who', { cookie })).json, { user: 'u1', bound: true })
  t.match((await device.get('/who', { cookie: `${attacker.stolen('session').header()}; ${device.stolen('session').header()}` })).json, unproven)
})

t.test('switched off by `when: () => false`, sessions that are bound stay so, and no other is', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const off = Object.assign(new Device(await makeBoundApp({ deviceBound: { when: () => false } })), { keys: device.keys, id: device.id, cookies: device.cookies })
  t.match((await off.get('/who')).json, { user: 'u1', bound: true })
  t.equal((await off.refresh()).status, 200)
  const other = new Device(off.app)
  await other.get('/login')
  t.equal(other.offers, 0)
})

t.test('a `when` that throws costs the offer, not the answer', async t => {
  const lines: Array<Record<string, unknown>> = []
  const device = new Device(await makeBoundApp({ server: logTo(lines), deviceBound: { when: () => { throw new Error('oops') } } }))
  t.equal((await device.get('/login')).status, 200)
  t.equal(device.offers, 0)
  t.ok(lines.some(({ level, msg }) => level === 50 && /deviceBound\.when has failed/.test(String(msg))))
})

t.test('`when` cannot change the session', async t => {
  const app = await makeBoundApp({ deviceBound: { required: 10, when: data => { delete data.user; data.note = 'changed'; return true } } })
  const device = new Device(app)
  await device.get('/login')
  t.equal(offerIn(await device.get('/login')) === undefined, false)
  t.match((await device.get('/who')).json, { user: 'u1' })
  t.equal(when({}, {} as never), false)
})
