import t from 'tap'
import Fastify from 'fastify'
import Iron from '@hapi/iron'
import sessionPlugin from '../lib/index.js'
import type { DeviceBoundOptions, SessionOptions } from '../lib/index.js'
import { secret } from './fixtures/app.js'
import { Device, makeBoundApp, when } from './fixtures/device.js'

const refuse = async (deviceBound: unknown, message: RegExp, options: Partial<SessionOptions> = {}): Promise<void> => {
  await t.rejects(makeBoundApp({ session: { ...options, deviceBound: deviceBound as DeviceBoundOptions } }), { message }, JSON.stringify(deviceBound))
}

t.test('an error at boot names a wrong option', async () => {
  for (const wrong of [null, true, 'yes', []]) await refuse(wrong, /"deviceBound" must be an object/)
  for (const wrong of [undefined, true, 'user', {}]) await refuse({ when: wrong }, /"deviceBound\.when" must be a function/)
  for (const wrong of [299, 86_401, 300.5, '600', NaN, null]) await refuse({ when, timeout: wrong }, /"deviceBound\.timeout" must be a whole number from 300 to 86400/)
  for (const wrong of [9, 301, '60', null]) await refuse({ when, challengeTimeout: wrong }, /"deviceBound\.challengeTimeout" must be a whole number from 10 to 300/)
  for (const wrong of ['', 'dbsc', '/', '/dbsc/', '/a b', '/a"b', '/:id', '/*', '/ä', 1, null]) await refuse({ when, path: wrong }, /"deviceBound\.path" must be a path such as/)
  for (const wrong of [0, -1, 1.5, '30', true, null]) await refuse({ when, required: wrong }, /"deviceBound\.required" must be a whole number/)
  await refuse({ when, reload: 'no' }, /"deviceBound\.reload" must be true or false/)
  await refuse({ when, cookieName: 'a b' }, /cookie name "a b" is invalid/)
  await refuse({ when, cookieName: 1 }, /"cookieName" must be/)
  await refuse({ when, cookieName: 'session' }, /"deviceBound\.cookieName" is invalid/)
  await refuse({ when, timeOut: 600 }, /"deviceBound\.timeOut" is unknown. Did you mean timeout/)
})

t.test('options that browsers do not support throw at boot', async () => {
  await refuse({ when }, /"deviceBound" is invalid: browsers bind no cookie that is partitioned/, { cookie: { partitioned: true } })
  await refuse({ when }, /"deviceBound" is invalid: browsers bind cookies over HTTPS only/, { cookie: { secure: false } })
  await refuse({ when }, /"deviceBound" is invalid: iron-session/, { interop: 'iron-session' })
  await refuse({ when }, /"deviceBound" is invalid: a cookie with cookie\.domain/, { cookie: { domain: 'example.com' } })
  await refuse({ when }, /"deviceBound\.path" is invalid: cookie\.path keeps the session's cookie from \/dbsc/, { cookie: { path: '/app' } })
})

t.test('a cookie of the proof that browsers would drop is invalid at boot', async t => {
  const deviceBound = (cookieName: string): DeviceBoundOptions => ({ when, path: '/app/dbsc', cookieName })
  await refuse(deviceBound('__Host-proof'), /cookie name "__Host-proof" is invalid: its prefix requires cookie\.path/, { cookie: { path: '/app' } })
  await t.resolves(makeBoundApp({ deviceBound: deviceBound('__Secure-proof'), session: { cookie: { path: '/app' } } }))
  await t.resolves(makeBoundApp({ deviceBound: deviceBound('__Host-proof') }))
})

t.test('routes and cookies that are already used throw at boot', async t => {
  const twice = async (first: Partial<SessionOptions>, second: Partial<SessionOptions>): Promise<void> => {
    const app = Fastify()
    await app.register(sessionPlugin, { secret, deviceBound: { when }, ...first })
    await app.register(sessionPlugin, { secret, sessionName: 'admin', deviceBound: { when, path: '/other' }, ...second })
    await app.ready()
  }
  await t.rejects(twice({}, { deviceBound: { when } }), { message: /there is a route at \/dbsc\/registration already/ })
  await t.rejects(twice({}, { cookieName: 'session-bound' }), { message: /the cookie name "session-bound"/ })
  await t.rejects(twice({}, { cookieName: 'session-bound-offered' }), { message: /the cookie name "session-bound-offered"/ })
  await t.rejects(twice({}, { deviceBound: { when, path: '/other', cookieName: 'session' } }), { message: /the cookie name "session"/ })
  await t.rejects(twice({}, { deviceBound: { when, path: '/other', cookieName: 'admin.1' } }), { message: /the cookie name "admin\.1"/ })
  await twice({}, {})
})

t.test('a prefix with parameters throws at boot, and one without does not', async t => {
  for (const [prefix, isGood] of [['/t/:tenant', false], ['/app', true], ['/app/', true]] as const) {
    const app = Fastify()
    app.register(async scope => { await scope.register(sessionPlugin, { secret, deviceBound: { when } }) }, { prefix })
    if (isGood) {
      await app.ready()
      t.ok(app.hasRoute({ method: 'POST', url: '/app/dbsc/refresh' }))
    } else {
      await t.rejects(async () => await app.ready(), { code: 'FST_SESSION_INVALID_OPTION', message: /prefix of its scope has parameters/ })
    }
  }
})

t.test('the caller\'s options stay as they are', async t => {
  const deviceBound = Object.freeze({ when, required: 60, cookieName: 'proof', path: '/a/b', timeout: 300, challengeTimeout: 10, reload: false })
  const device = new Device(await makeBoundApp({ session: { deviceBound } }))
  device.path = '/a/b'
  await device.login()
  t.match([...device.cookies.keys()], ['session', 'proof'])
  t.match((await device.get('/who')).json, { bound: true })
})

t.test('other data that was sealed with the secret is not a proof', async t => {
  const device = await new Device(await makeBoundApp()).login()
  for (const value of ['text', null, [], 1, {}, { v: 'bound' }, { v: 'bound', n: 'admin', i: 'x', c: 1, d: 'proof' }]) {
    device.cookies.set('session-bound', await Iron.seal(value, secret, { ...Iron.defaults, ttl: 60_000 }))
    t.match((await device.get('/who')).json, { reason: 'unproven' }, JSON.stringify(value))
  }
  const Webcrypto = await import('iron-webcrypto')
  device.cookies.set('session-bound', await Webcrypto.seal('no JSON', secret, { ...Webcrypto.defaults, ttl: 60_000, encode: text => text as string }))
  t.match((await device.get('/who')).json, { reason: 'unproven' }, 'no JSON')
})
