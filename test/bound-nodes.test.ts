import Iron from '@hapi/iron'
import t from 'tap'
import { createSealer, denylist } from '../lib/index.js'
import type { DeviceBoundOptions, SessionOptions } from '../lib/index.js'
import { Jar, logTo, makeApp, olderSecret, read, secret } from './fixtures/app.js'
import { Device, makeBoundApp, offerIn, when } from './fixtures/device.js'
import { Deferred } from './fixtures/gates.js'
import { TestStore } from './fixtures/stores.js'

// Bound sessions on nodes of other versions and secrets, and where requests overlap.

const unproven = { user: null, reason: 'unproven', bound: false }

t.test('on a node without the option, a bound session is foreign and keeps its cookie', async t => {
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

t.test('a node of version 0.1 accepts neither a bound session nor the other seals', async t => {
  const device = await new Device(await makeBoundApp()).login()
  // What that version takes for an envelope.
  const known = /^\{"v":1,"n":("(?:[^"\\]|\\.)*"),"i":"([\w-]+)","c":(\d+)(?:,"t":(false|[\d.e+-]+))?(?:,"e":(\d+))?,"d":(?=\{|null\}$)/
  const Webcrypto = await import('iron-webcrypto')
  for (const token of [device.cookies.get('session')!, device.cookies.get('session-bound')!, device.challenge, await device.ask()]) {
    const sealed = await Webcrypto.unseal(token, secret, { ...Webcrypto.defaults, decode: text => text }) as string
    t.notMatch(sealed, known)
    const keys = Object.keys(JSON.parse(sealed) as object)
    for (const key of ['v', 'n', 'i', 'c', 'd']) t.ok(keys.includes(key), 'so that with interop: iron it is no bare data either')
  }
})

t.test('if a write overwrites a registration, the session is bound in the end', async t => {
  for (const session of [{ isRevoked: undefined }, { isRevoked: denylist(new TestStore()) }]) {
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
    t.match((await device.get('/who')).json, { user: 'u1', bound: session.isRevoked !== undefined }, 'nobody is logged out')
    t.equal(device.offers, session.isRevoked === undefined ? 2 : 1)
    const { id } = device
    if (session.isRevoked === undefined) {
      t.equal((await device.register()).status, 200)
      t.equal(device.id, id, 'under the same name, so that the browser replaces its key')
    } else {
      t.match(await device.register(), { status: 400, json: { refused: 'already-bound' } }, 'the list knows its key')
    }
    t.match((await device.get('/who')).json, { user: 'u1', bound: true })
  }
})

t.test('a read that is under way at the registration does not take the proof away', async t => {
  const gate = new Deferred()
  const device = new Device(await makeBoundApp({
    after: app => {
      app.get('/slow', async ({ session }) => {
        await gate.promise
        return { user: session.user }
      })
    }
  }))
  // Nothing is offered here, so that the next requests are sent without a sign of an offer.
  await device.get('/login', { 'sec-fetch-site': 'cross-site' })
  const slow = device.get('/slow')
  await device.get('/who')
  await device.register()
  gate.resolve()
  await slow
  t.equal(device.offers, 2)
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
  t.match(await device.register(), { status: 400, json: { refused: 'already-bound' } })
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('two tabs can both refresh, and a second registration does not replace the first', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  const [first, second] = [device.proof(device.challenge, { jwk: device.jwk }), device.proof(device.challenge, { jwk: new Device(device.app).jwk })]
  t.equal((await device.register(first)).status, 200)
  t.match((await device.register(second)), { status: 400, json: { refused: 'already-bound' } })
  const proofs = [device.proof(await device.ask()), device.proof(await device.ask())]
  for (const { status } of await Promise.all(proofs.map(async proof => await device.refresh(proof)))) t.equal(status, 200)
  t.match((await device.get('/who')).json, { bound: true })
})

t.test('a rotation of secrets keeps the binding, the proof and the challenges', async t => {
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

t.test('a binding survives restarts and works on all nodes with the same secret', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const there = Object.assign(new Device(await makeBoundApp()), { keys: device.keys, id: device.id, cookies: device.cookies })
  t.match((await there.get('/who')).json, { user: 'u1', bound: true })
  const proof = device.proof(await device.ask())
  device.cookies.delete('session-bound')
  t.equal((await there.refresh(proof)).status, 200, 'a challenge of one node is answered at another')
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('a node that does not know the secret yet returns 503 and keeps the binding', async t => {
  const device = await new Device(await makeBoundApp({ session: { secret: { id: 'new', secret } } })).login()
  const old = await makeBoundApp({ session: { secret: { id: 'old', secret: olderSecret } } })
  const there = Object.assign(new Device(old), { keys: device.keys, id: device.id, cookies: device.cookies })
  const answer = await there.post('/dbsc/refresh', { 'sec-secure-session-id': device.id })
  t.match(answer, { status: 503, json: { refused: 'unknown-session' }, setCookies: [] })
})

t.test('the browser\'s binding of an earlier session ends, and that of the present one stays', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const earlier = device.id
  await device.get('/login')
  await device.register()
  t.match(await device.post('/dbsc/refresh', { 'sec-secure-session-id': earlier }), { status: 400, json: { refused: 'not-bound' } })
  t.match(await device.post('/dbsc/refresh'), { status: 400, json: { refused: 'not-bound' } })
  t.equal((await device.refresh()).status, 200)
})

t.test('an unproven session in another cookie of the same name does not hide the proven one', async t => {
  const app = await makeBoundApp()
  const [attacker, device] = [await new Device(app).login(), await new Device(app).login()]
  const cookie = `session=${attacker.cookies.get('session')!}; session-bound=${attacker.cookies.get('session')!}; ${device.header()}; session-bound=x`
  t.match((await device.get('/who', { cookie })).json, { user: 'u1', bound: true })
  t.match((await device.get('/who', { cookie: `${attacker.stolen('session').header()}; ${device.stolen('session').header()}` })).json, unproven)
})

t.test('another session cookie of the name, which comes first, does not end a binding', async t => {
  const app = await makeBoundApp()
  const device = await new Device(app).login()
  const other = await new Device(app).login()
  const unbound = new Device(app)
  await unbound.get('/login')
  for (const cookies of [[other.cookies.get('session')], [unbound.cookies.get('session')], [other.cookies.get('session'), unbound.cookies.get('session')]]) {
    const cookie = [...cookies, device.cookies.get('session')].map(value => `session=${value}`).join('; ')
    const proof = device.proof(await device.ask({ cookie }))
    t.equal((await device.post('/dbsc/refresh', { cookie, 'sec-secure-session-id': device.id, 'secure-session-response': proof })).status, 200)
  }
  const cookie = `session=${other.cookies.get('session')}`
  t.match(await device.post('/dbsc/refresh', { cookie, 'sec-secure-session-id': device.id }), { status: 400, json: { refused: 'not-bound' } })
})

t.test('with `when: () => false`, bound sessions stay bound, and no others are bound', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const off = Object.assign(new Device(await makeBoundApp({ deviceBound: { when: () => false } })), { keys: device.keys, id: device.id, cookies: device.cookies })
  t.match((await off.get('/who')).json, { user: 'u1', bound: true })
  t.equal((await off.refresh()).status, 200)
  const other = new Device(off.app)
  await other.get('/login')
  t.equal(other.offers, 0)
})

t.test('if `when` throws, only the offer is missing from the response', async t => {
  const lines: Array<Record<string, unknown>> = []
  const device = new Device(await makeBoundApp({ server: logTo(lines), deviceBound: { when: () => { throw new Error('oops') } } }))
  t.equal((await device.get('/login')).status, 200)
  t.equal(device.offers, 0)
  t.ok(lines.some(({ level, msg }) => level === 50 && /deviceBound\.when has failed/.test(String(msg))))
})

t.test('a `when` that returns a promise chooses nothing, and is an error', async t => {
  const lines: Array<Record<string, unknown>> = []
  for (const when of [async () => true, async () => { throw new Error('no') }] as unknown as Array<DeviceBoundOptions['when']>) {
    const device = new Device(await makeBoundApp({ deviceBound: { when }, server: logTo(lines) }))
    t.equal((await device.get('/login')).status, 200)
    t.equal(device.offers, 0)
    t.match(lines.at(-2), { level: 50, err: { code: 'FST_SESSION_INVALID_OPTION' } })
    const listed = new Device(await makeBoundApp({ deviceBound: { when }, session: { isRevoked: denylist(new TestStore()) } }))
    await listed.get('/login')
    t.match(await listed.get('/who'), { status: 500, json: { code: 'FST_SESSION_INVALID_OPTION' } })
  }
})

t.test('`when` cannot change the session', async t => {
  const app = await makeBoundApp({ deviceBound: { required: 10, when: data => { delete data.user; data.note = 'changed'; return true } } })
  const device = new Device(app)
  await device.get('/login')
  t.equal(offerIn(await device.get('/login')) === undefined, false)
  t.match((await device.get('/who')).json, { user: 'u1' })
  t.equal(when({}, {} as never), false)
})

t.test('an envelope whose version does not match its binding is foreign', async t => {
  const app = await makeBoundApp()
  const key = 'A'.repeat(44)
  for (const envelope of [
    { v: 2, n: 'session', i: 'an-id', c: Date.now(), d: { views: 1 } }, { v: 1, n: 'session', i: 'an-id', c: Date.now(), b: `x.${key}`, d: { views: 1 } },
    { v: 2, n: 'session', i: 'an-id', c: Date.now(), b: 'x', d: { views: 1 } }, { v: 2, n: 'session', i: 'an-id', c: Date.now(), b: { id: 'x', key }, d: { views: 1 } }
  ]) {
    const cookie = `session=${await Iron.seal(envelope, secret, { ...Iron.defaults, ttl: 60_000 })}`
    t.match((await new Device(app).get('/who', { cookie })).json, { views: null, reason: 'foreign' }, JSON.stringify(envelope))
  }
})
