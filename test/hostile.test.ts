import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { makeApp, read } from './fixtures/app.js'

const engines = { 'node:crypto': {}, 'iron-webcrypto': { iron: { integrity: { iterations: 2 } } } }

for (const [engine, options] of Object.entries(engines)) {
  t.test(`any Cookie header whatever gives 200 and an empty session with a reason, with ${engine}`, async t => {
    const app = await makeApp({ maxCookies: 4, ...options }, { '/': read })
    const token = (await app.session.cookie({ views: 1 })).slice('session='.length)
    const parts = token.split('*')
    const values = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 200 }),
      fc.constantFrom('', '*******', 'Fe26.2*******', 'null', '{}', '%00', '"', `${token}~2`, `"${token}"`, token.toUpperCase(), 'A'.repeat(8000)),
      fc.array(fc.constantFrom(...parts, '', '__proto__', '0', '9'.repeat(400), '='), { minLength: 8, maxLength: 8 }).map(some => some.join('*')),
      fc.tuple(fc.nat(token.length - 1), fc.string({ maxLength: 3 })).map(([at, text]) => token.slice(0, at) + text + token.slice(at + 1))
    )
    const names = fc.constantFrom('session', 'session', 'session.1', 'session.7', 'session.8', '__proto__', 'sessio')
    const headers = fc.array(fc.tuple(names, values), { minLength: 1, maxLength: 6 }).map(pairs => pairs.map(pair => pair.join('=')).join('; '))
    let rejected = 0
    await fc.assert(fc.asyncProperty(headers, async cookie => {
      if (cookie.includes(`=${token};`) || cookie.endsWith(`=${token}`)) return
      const response = await app.inject({ url: '/', headers: { cookie } })
      const { views, reason } = response.json() as { views: unknown, reason: string | null }
      if (response.statusCode !== 200 || views !== null || reason === null) throw new Error(`${response.statusCode} ${response.body}`)
      if (reason !== 'absent') rejected++
    }), { numRuns: 1500, seed: 20260101 })
    t.ok(rejected > 500, `${rejected} were rejected, not merely absent`)
  })
}

t.test('bytes above ASCII on a real connection are no session either', async t => {
  const app = await makeApp({}, { '/': read })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.end(Buffer.from('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: session=\xff\xfeFe26.2*\xc3*; session=\x80\r\n\r\n', 'latin1'))
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  t.match(answer, /^HTTP\/1\.1 200/)
  t.match(answer, '"reason":"malformed"')
  t.match(answer, /set-cookie: session=; Max-Age=0/)
})
