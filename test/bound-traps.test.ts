import t from 'tap'
import { logTo } from './fixtures/app.js'
import { Device, makeBoundApp } from './fixtures/device.js'
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

t.test('a link from another site is answered with a page that loads itself again where the session is in a store, too', async t => {
  const device = await new Device(await makeBoundApp({ session: { store: new TestStore() } })).login()
  device.cookies.delete('session-bound')
  t.match((await device.get('/who', link)).headers, { refresh: '0;url=/./who' })
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

t.test('a proof that a browser sends at the last moment is still good when it arrives', async t => {
  t.clock.enter()
  const device = new Device(await makeBoundApp({ deviceBound: { timeout: 300 } }))
  await device.get('/login')
  const answers = [await device.register(), await device.refresh()]
  for (const { setCookies } of answers) t.match(setCookies.find(line => line.startsWith('session-bound=')), /; Max-Age=290; /)
  // What it took to reach the browser, and to come back; and the clocks of two nodes.
  t.clock.advance(290_000 + 9_999)
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('a browser that cannot bind receives the offer once an hour, and works as before', async t => {
  for (const iron of [undefined, { integrity: { iterations: 2 } }]) {
    const device = new Device(await makeBoundApp({ session: { iron } }))
    await device.get('/login')
    t.match(device.cookies.get('session-bound-offered'), /^[\w-]{22}$/)
    for (let at = 0; at < 5; at++) t.match((await device.get('/count')).json, { views: at + 1 })
    t.equal(device.offers, 1)
    device.cookies.delete('session-bound-offered')
    const { setCookies } = await device.get('/who')
    t.match(setCookies, [/^session-bound-offered=.*; Max-Age=3600; /], 'by a mere read too')
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
