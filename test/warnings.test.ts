import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, logTo, makeApp, olderSecret, read, secret } from './fixtures/app.js'

type Lines = Array<Record<string, unknown>>

/** Runs in an environment, and puts the old one back. */
async function within (environment: string | undefined, run: () => Promise<void>): Promise<void> {
  const { NODE_ENV } = process.env
  const set = (value: string | undefined): void => { if (value === undefined) delete process.env.NODE_ENV; else process.env.NODE_ENV = value }
  set(environment)
  try {
    await run()
  } finally {
    set(NODE_ENV)
  }
}

const routes = { '/count': count, '/read': read }

for (const environment of ['production', 'development', undefined]) {
  t.test(`NODE_ENV ${environment}: a secure cookie over plain HTTP is warned of once`, async t => {
    await within(environment, async () => {
      const lines: Lines = []
      const app = await makeApp({ cookie: { secure: true } }, routes, { ...logTo(lines, 'warn'), trustProxy: true })
      await app.inject({ url: '/count', headers: { 'x-forwarded-proto': 'https' } })
      await app.inject('/read')
      t.same(lines, [], 'neither over HTTPS, nor where no cookie is set')
      for (let n = 0; n < 3; n++) await app.inject('/count')
      t.match(lines, [{
        level: 40,
        sessionName: 'session',
        msg: 'A secure session cookie was set over plain HTTP. If a proxy terminates TLS, set Fastify\'s trustProxy; otherwise browsers will ' +
          'not store the cookie, localhost excepted'
      }])
      t.equal(lines.length, 1)
    })
  })

  for (const secure of ['auto', true, false] as const) {
    t.test(`NODE_ENV ${environment}, secure ${secure}: X-Forwarded-Proto from a hop that is not trusted is warned of once`, async t => {
      await within(environment, async () => {
        for (const trustProxy of [false, '10.0.0.1']) {
          const lines: Lines = []
          const app = await makeApp({ cookie: { secure } }, routes, { ...logTo(lines, 'warn'), trustProxy })
          for (const proto of ['https', 'http, HTTPS ', 'https']) await app.inject({ url: '/count', headers: { 'x-forwarded-proto': proto } })
          t.match(lines, [{ level: 40, sessionName: 'session', msg: /^X-Forwarded-Proto says https, but Fastify does not trust .*set Fastify's trustProxy$/ }])
          t.equal(lines.length, 1)
        }
      })
    })
  }
}

t.test('a trusted hop, one that says http, and a plain cookie over plain HTTP are nothing to warn of', async t => {
  const lines: Lines = []
  const trusting = await makeApp({}, routes, { ...logTo(lines, 'warn'), trustProxy: true })
  for (const proto of ['https', 'http', 'https, http']) await trusting.inject({ url: '/count', headers: { 'x-forwarded-proto': proto } })
  const direct = await makeApp({}, routes, logTo(lines, 'warn'))
  for (const headers of [{}, { 'x-forwarded-proto': 'http' }, { 'x-forwarded-proto': 'httpsx' }]) await direct.inject({ url: '/count', headers })
  t.same(lines, [])
})

for (const [kind, options] of Object.entries<Partial<SessionOptions>>({ 'the fast engine': {}, 'iron-webcrypto': { iron: { integrity: { iterations: 2 } } } })) {
  t.test(`${kind}: twenty cookies in a row of an unknown secret are warned of once`, async t => {
    const lines: Lines = []
    const app = await makeApp(options, routes, logTo(lines, 'warn'))
    const stranger = await makeApp({ ...options, secret: olderSecret })
    const get = async (cookie: string, times: number): Promise<void> => {
      for (let n = 0; n < times; n++) await new Jar(app).get('/read', { cookie })
    }
    const [unknown, other, good] = [await stranger.session.cookie({ views: 1 }), await stranger.session.cookie({ views: 2 }), await app.session.cookie({ views: 1 })]
    await get(unknown, 19)
    await get(good, 1)
    await get(`${unknown}; ${other}`, 19)
    await get('session=malformed', 5)
    t.same(lines, [], 'a cookie that opens starts the count again, and a request counts once')
    await get(unknown, 1)
    const line = { level: 40, sessionName: 'session', reason: 'unknown-key', msg: /^20 session cookies in a row were sealed with a secret that is not configured here/ }
    t.match(lines, [line])
    await get(unknown, 30)
    await get(good, 1)
    await get(unknown, 30)
    t.equal(lines.length, 1)
    t.notMatch(JSON.stringify(lines), unknown.slice(20, 60))
  })
}

t.test('the message for a session that is too large mentions the store', async t => {
  const app = await makeApp({}, { '/large': request => { request.session.note = 'x'.repeat(5000) } })
  t.match((await new Jar(app).get('/large')).json, { code: 'FST_SESSION_TOO_LARGE', message: /raise maxCookies, or keep it in a store \(options "store" and "storage"\)$/ })
})

t.test('sameSite is taken in any case, in the options and for one response', async t => {
  for (const sameSite of ['Strict', 'STRICT', 'strict'] as const) {
    const app = await makeApp({ secret, cookie: { sameSite: sameSite as 'Strict' } }, {
      ...routes, '/lax': request => { request.session.views = 1; request.session.options({ sameSite: 'Lax' }) }
    })
    t.match((await new Jar(app).get('/count')).setCookies, [/; SameSite=Strict/])
    t.match((await new Jar(app).get('/lax')).setCookies, [/; SameSite=Lax/])
  }
  await t.rejects(async () => { await makeApp({ cookie: { sameSite: 'None', secure: false } }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /"cookie\.secure"/ })
  await t.rejects(async () => { await makeApp({ cookie: { sameSite: 'Loose' as 'Lax' } }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /got "Loose"$/ })
})
