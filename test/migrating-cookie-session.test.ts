import t from 'tap'
import { appWith, browser, follow, loginAt, newApp, noCurl, oldApp, serve } from './fixtures/migrating.js'
import type { Cookies } from './fixtures/migrating.js'
import { prove } from './fixtures/migrating-promises.js'

const name = 'cookie-session'

t.test('users of cookie-session stay logged in', async t => {
  const url = await serve(t, await oldApp(name))
  const otherKey = await serve(t, await oldApp(name, {}, code => code.replace('process.env.OLD_SECRET', '"some other secret"')))
  const [value, signature] = await loginAt(url) as [[string, string], [string, string]]
  const forged: Cookies[] = [
    [['session', '']],
    [value],
    [value, ['session.sig', '']],
    [value, ['session.sig', signature[1].slice(1)]],
    [['session', Buffer.from('{"user":{"name":"Eve"}}').toString('base64')], signature],
    await loginAt(otherKey)
  ]
  await prove(t, { app: await appWith(name), cookie: 'sid', key: 'user', login: async () => await loginAt(url), forged, ends: false })
})

t.test('several keys', async t => {
  const old = await loginAt(await serve(t, await oldApp(name)))
  const app = await appWith(name, {}, 'migrate(app', code => code.replace('[process.env.OLD_SECRET!]', '["a newer one", process.env.OLD_SECRET!]'))
  t.same((await browser(app, ...old).get('/me')).json, { name: 'Ada' })
})

t.test('the page\'s commands print what it says', { skip: noCurl }, async t => {
  const [login, me, logout] = await follow(t, name)
  t.equal(login, '{"ok":true}')
  t.match(me, /\{"name":"Ada"\}$/)
  for (const line of [/^set-cookie: sid=Fe26\.2\*/mi, /^set-cookie: session=; Max-Age=0/mi, /^set-cookie: session\.sig=; Max-Age=0/mi]) t.match(me, line)
  t.equal(me!.match(/^set-cookie/gmi)!.length, 3)
  t.equal(logout, '{"ok":true}{}')
})

t.test('the new side of the diff runs on its own', async t => {
  const app = await newApp(name)
  const jar = browser(app)
  jar.store(await app.inject({ method: 'POST', url: '/login', payload: { name: 'Ada' } }))
  t.same((await jar.get('/me')).json, { name: 'Ada' })
})
