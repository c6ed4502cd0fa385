import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { Device, makeBoundApp } from './fixtures/device.js'
import { TestStore } from './fixtures/stores.js'

// What an attacker can do, and for how long: one test for each row of the table in docs/device-bound.md.

const unproven = { user: null, bound: false, reason: 'unproven' }
const alone = (): Partial<SessionOptions> => ({})
const withStore = (): Partial<SessionOptions> => ({ store: new TestStore() })
const withList = (): Partial<SessionOptions> => ({ isRevoked: denylist(new TestStore()) })

t.test('the session cookie alone is useless', async t => {
  for (const options of [alone, withStore, withList]) {
    const device = await new Device(await makeBoundApp({ session: options() })).login()
    const thief = device.stolen('session')
    t.match((await thief.get('/who')).json, unproven)
    const { app } = thief
    t.same(await app.session.unseal(thief.cookies.get('session')!), { ok: false, reason: 'unproven' }, 'app.session.unseal() does not open it either')
    await thief.get('/count')
    await thief.get('/renew')
    t.match((await thief.get('/who')).json, { user: null })
  }
})

t.test('both cookies work until the proof expires, at most `timeout`', async t => {
  t.clock.enter()
  const device = await new Device(await makeBoundApp({ deviceBound: { timeout: 300 } })).login()
  const thief = device.stolen('session', 'session-bound')
  t.match((await thief.get('/who')).json, { user: 'u1' })
  t.clock.advance(299_999)
  await thief.get('/touch')
  t.match((await thief.get('/who')).json, { user: 'u1' }, 'using it does not extend it')
  t.clock.advance(1)
  t.match((await thief.get('/who')).json, unproven)
})

t.test('after the logout, both cookies work no longer than that without a store, and not at all with one', async t => {
  t.clock.enter()
  const device = await new Device(await makeBoundApp({ deviceBound: { timeout: 300 } })).login()
  const thief = device.stolen('session', 'session-bound')
  await device.get('/logout')
  t.match((await thief.get('/who')).json, { user: 'u1' })
  t.clock.advance(300_000)
  t.match((await thief.get('/who')).json, unproven)
  for (const [options, reason] of [[withStore, 'not-stored'], [withList, 'revoked']] as const) {
    const device = await new Device(await makeBoundApp({ session: options() })).login()
    const thief = device.stolen('session', 'session-bound')
    await device.get('/logout')
    t.match((await thief.get('/who')).json, { user: null, reason })
  }
})

t.test('a thief with both cookies who requests a refresh cannot sign the challenge', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const thief = device.stolen('session', 'session-bound')
  const challenge = await thief.ask()
  t.ok(challenge)
  t.match(await thief.refresh(thief.proof(challenge)), { status: 400, json: { refused: 'signature' }, setCookies: [] })
  t.match(await thief.register(thief.proof(challenge, { jwk: thief.jwk })), { status: 400, json: { refused: 'already-bound' } })
})

t.test('an intercepted signature and the session cookie work for one more `timeout`, within `challengeTimeout`', async t => {
  t.clock.enter()
  const device = await new Device(await makeBoundApp({ deviceBound: { timeout: 300, challengeTimeout: 60 } })).login()
  const thief = device.stolen('session')
  const proof = device.proof(await device.ask())
  await device.refresh(proof)
  t.clock.advance(59_999)
  t.equal((await thief.refresh(proof)).status, 200)
  t.match((await thief.get('/who')).json, { user: 'u1' })
  t.clock.advance(1)
  t.equal((await thief.refresh(proof)).status, 403)
  t.clock.advance(300_000)
  t.match((await thief.get('/who')).json, unproven)
})

t.test('with a store or a denylist, an intercepted signature is useless, because each is accepted once', async t => {
  for (const options of [withStore, withList]) {
    const device = new Device(await makeBoundApp({ session: options() }))
    await device.get('/login')
    const registration = device.proof(device.challenge, { jwk: device.jwk })
    const before = device.stolen('session')
    const unbound = before.cookies.get('session')!
    const registered = await Promise.all([device.register(registration), before.register(registration)])
    t.match(registered, [{ status: 200 }, { status: 400, json: { refused: 'used' } }])
    before.cookies.set('session', unbound)
    t.match(await before.register(registration), { status: 400, json: { refused: 'already-bound' } })
    const thief = device.stolen('session')
    const proof = device.proof(await device.ask())
    const answers = await Promise.all([device.refresh(proof), thief.refresh(proof), thief.refresh(proof)])
    t.same(answers.map(({ status }) => status).sort(), [200, 403, 403])
    t.ok(answers.filter(({ status }) => status === 403).every(({ headers }) => headers['secure-session-challenge']), 'a browser that sends one again is asked anew')
    t.equal((await device.refresh()).status, 200)
  }
})

t.test('a cookie that was copied before the registration works until it expires', async t => {
  t.clock.enter()
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  const thief = device.stolen('session')
  await device.register()
  t.clock.advance(86_400_000)
  t.match((await thief.get('/who')).json, { user: 'u1', bound: false })
})

t.test('with a store or a denylist, a cookie that was copied before the registration works for one minute', async t => {
  t.clock.enter()
  for (const options of [withStore, withList]) {
    const device = new Device(await makeBoundApp({ session: options() }))
    await device.get('/login')
    const thief = device.stolen('session')
    await device.register()
    t.clock.advance(60_000)
    const before = thief.cookies.get('session')!
    t.match((await thief.get('/who')).json, { user: 'u1', bound: true }, 'requests that are under way go on')
    thief.cookies.set('session', before)
    t.clock.advance(1)
    t.match((await thief.get('/who')).json, unproven)
    t.match((await device.get('/who')).json, { user: 'u1', bound: true })
    t.match(await thief.register(), { status: 400, json: { refused: 'already-bound' } })
    const late = device.stolen('session-bound')
    late.cookies.set('session', before)
    t.match((await late.get('/who')).json, { user: 'u1', bound: true }, 'a write that was under way has put the older cookie back')
    t.not(late.cookies.get('session'), before, 'and the next request bound it again')
    device.cookies.set('session', before)
    device.cookies.delete('session-bound')
    t.equal((await device.refresh()).status, 200, 'or a refresh, where the proof has expired meanwhile')
    t.match((await device.get('/who')).json, { user: 'u1', bound: true })
  }
})

t.test('who has a cookie from before the registration cannot make it last within that minute, or with a proof', async t => {
  t.clock.enter()
  for (const options of [withStore, withList]) {
    for (const names of [['session'], ['session', 'session-bound']]) {
      for (const act of ['/renew', '/touch', '/count', 'register']) {
        const device = new Device(await makeBoundApp({ session: options() }))
        await device.get('/login')
        const before = device.cookies.get('session')!
        await device.register()
        const thief = device.stolen(...names)
        thief.cookies.set('session', before)
        thief.challenge = device.challenge
        await thief.get('/who')
        if (act === 'register') t.match(await thief.register(), { status: 400, json: { refused: 'already-bound' } })
        else await thief.get(act)
        t.equal(thief.offers, 0)
        t.clock.advance(600_000)
        t.match((await thief.get('/who')).json, { user: null, bound: false }, `${names.join()} ${act}`)
        t.equal((await thief.refresh()).status, 400)
      }
    }
  }
})

t.test('a cookie from before the registration passes for no recent proof', async t => {
  const app = await makeBoundApp({
    session: withList(), after: app => { app.get('/proven', async ({ session }) => ({ provenAt: session.info.provenAt?.getTime() })) }
  })
  const device = new Device(app)
  await device.get('/login')
  const thief = device.stolen('session')
  await device.register()
  t.same((await thief.get('/proven')).json, { provenAt: 0 })
})

t.test('a session is bound even if the list cannot record the registration', async t => {
  const store = new TestStore()
  const device = new Device(await makeBoundApp({ session: { isRevoked: denylist(store) } }))
  await device.get('/login')
  let sets = 0
  store.before.set('set', () => { if (++sets === 2) throw new Error('down') })
  t.equal((await device.register()).status, 200)
  t.equal(sets, 2)
  t.match((await device.get('/who')).json, { bound: true })
})

t.test('malware at the login or on the device can do everything, because the first key that registers is bound', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  const malware = device.stolen('session')
  t.equal((await malware.register(malware.proof(device.challenge, { jwk: malware.jwk }))).status, 200)
  t.match((await malware.get('/who')).json, { user: 'u1', bound: true })
})

t.test('with `required`, a session that is not bound in time is unproven', async t => {
  t.clock.enter()
  const device = new Device(await makeBoundApp({ deviceBound: { required: 30 } }))
  await device.get('/login')
  t.clock.advance(30_000)
  t.match((await device.get('/who')).json, { user: 'u1', bound: false })
  t.clock.advance(1)
  t.match((await device.get('/who')).json, unproven)
  t.match(await device.register(), { status: 400, json: { refused: 'no-session' } })
  const bound = await new Device(device.app).login()
  const anonymous = new Device(device.app)
  await anonymous.get('/count')
  t.clock.advance(31_000)
  t.match((await bound.get('/who')).json, { user: 'u1', bound: true })
  t.match((await anonymous.get('/who')).json, { views: 1, reason: null }, 'others are not asked for')
})
