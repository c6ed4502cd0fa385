import t from 'tap'
import { appWith, browser, follow, loginAt, newApp, noCurl, oldApp, pageOf, serve } from './fixtures/migrating.js'
import type { Cookies } from './fixtures/migrating.js'
import { prove } from './fixtures/migrating-promises.js'

const name = 'secure-session'
const DAY = 24 * 60 * 60 * 1000

t.test('users of @fastify/secure-session stay logged in', async t => {
  const url = await serve(t, await oldApp(name))
  const otherKey = await serve(t, await oldApp(name, {}, code => code.replace('Buffer.from(process.env.OLD_KEY, \'base64\')', 'Buffer.alloc(32, 8)')))
  const forged: Cookies[] = ['', 'x', ';', encodeURIComponent('AAAA;AAAA')].map(value => [['session', value]])
  forged.push(await loginAt(otherKey))
  await prove(t, { app: await appWith(name), cookie: 'sid', key: 'profile', login: async () => await loginAt(url), forged, ends: DAY + 1000 })
})

t.test('the key "data" of secure-session\'s README is reserved, and renamed on the way', async t => {
  const old = await loginAt(await serve(t, await oldApp(name)))
  const app = await appWith(name)
  app.get('/keys', async request => Object.keys(request.session))
  t.same((await browser(app, ...old).get('/keys')).json, ['profile'])

  const jar = browser(await appWith(name, {}, 'migrate(app', code => code.replace('rename: { data: \'profile\' }', '')), ...old)
  const { status, json } = await jar.get('/me')
  t.match([status, json], [500, { code: 'FST_SESSION_RESERVED_KEY' }], 'without the rename it is an error')
  t.same([...jar.cookies], old, 'and the old session stays')
})

t.test('signed cookies of secure-session', async t => {
  const signed = (code: string): string => code.replace('cookie: { path: \'/\'', 'cookie: { signed: true, path: \'/\'')
  // An edit of a program that registers @fastify/cookie with a secret of the app's own, first of all.
  const withOwn = (code: string): string => signed(code).replace(
    'await app.register(secureSession', 'await app.register((await import(\'@fastify/cookie\')).default, { secret: \'the secret of cookies\' })\n$&')
  for (const [kind, edit] of [['with the secret of the app', withOwn], ['with the secret that the old plugin derives', signed]] as const) {
    await t.test(kind, async t => {
      const old = await loginAt(await serve(t, await oldApp(name, {}, edit)))
      t.match(old, [['session', /\./]])
      const jar = browser(await appWith(name, {}, 'migrate(app', edit), ...old)
      t.same((await jar.get('/me')).json, { name: 'Ada' })
      t.same([...jar.cookies.keys()], ['sid'])
    })
  }
  await t.test('cannot be opened if the new plugin comes first', async t => {
    const old = await loginAt(await serve(t, await oldApp(name, {}, signed)))
    const newFirst = (code: string): string => {
      const [registration] = /^await app\.register\(secureSession.*?^\}\)\n/ms.exec(code)!
      return signed(code.replace(registration, '').replace('migrate(app', `${registration}$&`))
    }
    const { status, body } = await browser(await appWith(name, {}, 'migrate(app', newFirst), ...old).get('/me')
    t.equal(status, 500)
    t.match(body, 'fastify.unsignCookie is not a function')
    t.match(pageOf(name), '`fastify.unsignCookie is not a function`')
  })
})

t.test('the page\'s commands print what it says', { skip: noCurl }, async t => {
  const [login, me, logout] = await follow(t, name)
  t.equal(login, '{"ok":true}')
  t.match(me, /\{"name":"Ada"\}$/)
  t.match(me, /^set-cookie: sid=Fe26\.2\*/mi)
  t.match(me, /^set-cookie: session=; Max-Age=0/mi)
  t.equal(me!.match(/^set-cookie/gmi)!.length, 2)
  t.equal(logout, '{"ok":true}{}')
})

t.test('the new side of the diff runs on its own', async t => {
  const app = await newApp(name)
  const jar = browser(app)
  jar.store(await app.inject({ method: 'POST', url: '/login', payload: { name: 'Ada' } }))
  t.same((await jar.get('/me')).json, { name: 'Ada' })
})
