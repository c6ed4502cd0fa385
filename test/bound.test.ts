import t from 'tap'
import { Device, makeBoundApp } from './fixtures/device.js'

// The life of a bound session, with a device that acts like a browser.

for (const alg of ['ES256', 'RS256'] as const) {
  for (const [engine, iron] of [['the fast engine', undefined], ['iron-webcrypto', { integrity: { iterations: 2 } }]] as const) {
    t.test(`${alg} with ${engine}: a login is bound, survives many refreshes, and ends with the logout`, async t => {
      const device = new Device(await makeBoundApp({ session: { iron } }), alg)
      t.match(await device.get('/login'), { headers: { 'secure-session-registration': /^\(ES256 RS256\);path="\/dbsc\/registration";challenge="Fe26\.2\*[^"]+"$/ } })
      t.match((await device.get('/who')).json, { user: 'u1', bound: false })

      const { status, json, setCookies } = await device.register()
      t.equal(status, 200)
      t.match(json, {
        session_identifier: /^[\w-]{22}$/,
        refresh_url: '/dbsc/refresh',
        scope: { origin: 'https://app.test', include_site: false },
        credentials: [{ type: 'cookie', name: 'session-bound', attributes: 'Path=/; HttpOnly; Secure; SameSite=Lax' }]
      })
      t.same(setCookies.map(line => line.split('=')[0]).sort(), ['session', 'session-bound', 'session-bound-offered'])
      t.notOk(device.cookies.has('session-bound-offered'))
      t.match(setCookies.find(line => line.startsWith('session-bound=')), /; Max-Age=590; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
      t.match((await device.get('/who')).json, { user: 'u1', bound: true, reason: null })

      for (let round = 0; round < 5; round++) {
        device.cookies.delete('session-bound')
        t.match((await device.get('/who')).json, { user: null, bound: false, reason: 'unproven' })
        t.equal((await device.refresh()).status, 200)
        t.match((await device.get('/who')).json, { user: 'u1', bound: true })
      }
      t.same((await device.get('/count')).json, { views: 1 })
      t.match((await device.get('/who')).json, { user: 'u1', bound: true, views: 1 }, 'bound after it was sealed anew')
      await device.get('/logout')
      t.equal(device.header(), '')
      t.equal((await device.post('/dbsc/refresh', { 'sec-secure-session-id': device.id })).status, 400)
    })
  }
}
