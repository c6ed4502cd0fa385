import Iron from '@hapi/iron'
import { sealData, unsealData } from 'iron-session'
import { sealData as sealData9, unsealData as unsealData9 } from 'iron-session-9'
import t from 'tap'
import { createSealer } from '../lib/index.js'
import { appWith, browser, follow, loginAt, newApp, noCurl, OLD, oldApp, serve } from './fixtures/migrating.js'
import type { Cookies } from './fixtures/migrating.js'
import { prove } from './fixtures/migrating-promises.js'

const name = 'iron-session'
const DAY = 24 * 60 * 60 * 1000
const password = OLD.OLD_PASSWORD
const weak = 'complex_password_at_least_32_characters_long'
const asVersion9 = (code: string): string => code.replace('from \'iron-session\'', 'from \'iron-session-9\'')
/** How the early versions sealed: the data in `persistent`, and no `~2` behind the seal. */
const sealEarly = async (data: object): Promise<string> => await Iron.seal({ persistent: data }, { id: '1', secret: password }, Iron.defaults)

for (const [version, edit] of [[8, (code: string) => code], [9, asVersion9]] as const) {
  t.test(`users of iron-session ${version} stay logged in`, async t => {
    const url = await serve(t, await oldApp(name, {}, edit))
    const otherPassword = await serve(t, await oldApp(name, {}, code => edit(code).replace('process.env.OLD_PASSWORD', '"some other password, which is long enough"')))
    const forged: Cookies[] = ['', 'x', 'Fe26.2*1****', 'Fe26.1*1*a*b*c*d*e*f~2', '~2'].map(value => [['app-session', value]])
    forged.push(await loginAt(otherPassword))
    const app = await appWith(name, {}, 'migrate(app', edit)
    await prove(t, { app, cookie: 'sid', key: 'user', login: async () => await loginAt(url), forged, ends: DAY + 100_000 })
  })

  t.test(`a cookie that is shared with iron-session ${version}`, async t => {
    const url = await serve(t, await oldApp(name, {}, edit))
    const jar = browser(await appWith(name, {}, 'interop'), ...await loginAt(url))
    const first = await jar.get('/me')
    t.same(first.json, { name: 'Ada' })
    t.match(first.setCookies, [/^app-session=Fe26\.2\*1\*[^;]*~2;/], 'gets one new value')
    const headers = { cookie: jar.header() }
    t.same(await (await fetch(`${url}/me`, { headers })).json(), { name: 'Ada' }, 'which iron-session reads')
    t.same((await jar.get('/me')).setCookies, [])
  })
}

t.test('a weak password', async t => {
  t.throws(() => createSealer({ secret: weak, interop: 'iron-session' }), { code: 'FST_SESSION_SECRET_WEAK' }, 'is rejected where the cookie is shared')

  for (const seal of [sealData, sealData9]) {
    const old = await seal({ user: { name: 'Ada' } }, { password: weak })
    const app = await appWith(name, {}, 'migrate(app', code => code.replace('process.env.OLD_PASSWORD!', `'${weak}'`))
    t.same((await browser(app, ['app-session', old]).get('/me')).json, { name: 'Ada' }, 'is no obstacle for a move')
  }

  const changed = { 1: weak, 2: password }
  const { seal, unseal } = createSealer<{ user: string }>({ secret: { id: '2', secret: password }, interop: 'iron-session' })
  for (const [sealOld, unsealOld] of [[sealData, unsealData], [sealData9, unsealData9]] as const) {
    t.match(await unseal(await sealOld({ user: 'Ada' }, { password: changed })), { ok: true, data: { user: 'Ada' } }, 'is changed as the page says')
    t.match(await unsealOld(await seal({ user: 'Ada' }), { password: changed }), { user: 'Ada' }, 'in both directions')
  }
  t.match(await unseal(await sealData({ user: 'Ada' }, { password: weak })), { ok: false }, 'and its last cookies must have expired')
})

t.test('a seal without ~2', async t => {
  const early = await sealEarly({ user: { name: 'Ada' } })
  t.same(await unsealData(early, { password }), { user: { name: 'Ada' } }, 'is read by version 8')
  t.notHas(await unsealData9(early, { password }), { user: {} }, 'is not read by version 9')
  t.same(await createSealer({ secret: password, interop: 'iron-session' }).unseal(early), { ok: false, reason: 'foreign' }, 'is foreign where the cookie is shared')
  t.same((await browser(await appWith(name), ['app-session', early]).get('/me')).json, { name: 'Ada' }, 'can be moved')
})

t.test('a key that is reserved here is renamed on the way', async t => {
  const app = await appWith(name)
  app.get('/keys', async request => Object.keys(request.session))
  const old = await sealData({ user: { name: 'Ada' }, data: { a: 1 }, constructor: 'plain' }, { password })
  t.same((await browser(app, ['app-session', old]).get('/keys')).json, ['user', 'profile', 'constructor'])
})

t.test('a shared session is foreign once interop is off', async t => {
  const shared = await createSealer<{ user: string }>({ secret: password, interop: 'iron-session' }).seal({ user: 'Ada' })
  t.same(await createSealer({ secret: password }).unseal(shared), { ok: false, reason: 'foreign' })
})

t.test('the page\'s commands print what it says', { skip: noCurl }, async t => {
  const [login, me, logout] = await follow(t, name)
  t.equal(login, '{"ok":true}')
  t.match(me, /\{"name":"Ada"\}$/)
  t.match(me, /^set-cookie: sid=Fe26\.2\*/mi)
  t.match(me, /^set-cookie: app-session=; Max-Age=0/mi)
  t.equal(me!.match(/^set-cookie/gmi)!.length, 2)
  t.equal(logout, '{"ok":true}{}')
})

t.test('the new side of the diff runs on its own', async t => {
  const app = await newApp(name)
  const jar = browser(app)
  jar.store(await app.inject({ method: 'POST', url: '/login', payload: { name: 'Ada' } }))
  t.same((await jar.get('/me')).json, { name: 'Ada' })
})
