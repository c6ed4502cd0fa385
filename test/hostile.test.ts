import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { makeApp, read } from './fixtures/app.js'
import { runs, times } from './fixtures/fuzz.js'

const engines = { 'node:crypto': {}, 'iron-webcrypto': { iron: { integrity: { iterations: 2 } } } }

const names = fc.constantFrom('session', 'session', 'session.1', 'session.7', 'session.8', '__proto__', 'sessio')

/** Cookie headers with everything except the token itself. */
function hostileHeaders (token: string, text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const parts = token.split('*')
  const values = fc.oneof(
    text,
    fc.constantFrom('', '*******', 'Fe26.2*******', 'null', '{}', '%00', '"', `${token}~2`, `"${token}"`, token.toUpperCase(), 'A'.repeat(8000)),
    fc.array(fc.constantFrom(...parts, '', '__proto__', '0', '9'.repeat(400), '='), { minLength: 8, maxLength: 8 }).map(some => some.join('*')),
    fc.tuple(fc.nat(token.length - 1), fc.string({ maxLength: 3 })).map(([at, text]) => token.slice(0, at) + text + token.slice(at + 1))
  )
  return fc.array(fc.tuple(names, values), { minLength: 1, maxLength: 6 })
    .map(pairs => pairs.map(pair => pair.join('=')).join('; '))
    .filter(header => !header.includes(`=${token};`) && !header.endsWith(`=${token}`))
}

for (const [engine, options] of Object.entries(engines)) {
  t.test(`any Cookie header results in 200 and an empty session with a reason, with ${engine}`, { timeout: 0 }, async t => {
    const app = await makeApp({ maxCookies: 4, ...options }, { '/': read })
    const token = (await app.session.cookie({ views: 1 })).slice('session='.length)
    const headers = hostileHeaders(token, fc.string({ unit: 'binary-ascii', maxLength: 200 }))
    let rejected = 0
    await fc.assert(fc.asyncProperty(headers, async cookie => {
      const response = await app.inject({ url: '/', headers: { cookie } })
      const { views, reason } = response.json() as { views: unknown, reason: string | null }
      if (response.statusCode !== 200 || views !== null || reason === null) throw new Error(`${response.statusCode} ${response.body}`)
      if (reason !== 'absent') rejected++
    }), runs(1500))
    t.ok(rejected > 500, `${rejected} were rejected, not merely absent`)
  })
}

t.test('10,000 hostile cookies over real connections: each response is 200, and none opens a session', { timeout: 0 }, async t => {
  const app = await makeApp({ maxCookies: 8 }, { '/': read })
  const token = (await app.session.cookie({ views: 1 })).slice('session='.length)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const { port } = app.server.address() as AddressInfo
  // Every byte that an HTTP parser lets through in a header.
  const byte = fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff }), fc.constant(9)).map(code => String.fromCharCode(code))
  const printable = /[^\t\x20-\x7e\x80-\xff]/g
  const headers = fc.sample(hostileHeaders(token, fc.string({ unit: byte, maxLength: 200 })), { ...runs(1), numRuns: times(10_000) })
    // Node itself rejects more than 16 KB of headers.
    .map(header => header.replace(printable, '?').slice(0, 15_000))
  const each = 250
  for (let at = 0; at < headers.length; at += each) {
    const some = headers.slice(at, at + each)
    const requests = some.map((header, nth) =>
      `GET / HTTP/1.1\r\nhost: x\r\ncookie: ${header}\r\n${nth === some.length - 1 ? 'connection: close\r\n' : ''}\r\n`)
    const socket = connect(port, '127.0.0.1')
    socket.write(Buffer.from(requests.join(''), 'latin1'))
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status)
    if (statuses.length !== some.length || statuses.some(status => status !== '200')) t.same(statuses, some.map(() => '200'))
    if (answer.includes('"reason":null') || /"views":(?!null)/.test(answer)) t.fail('a session was opened')
  }
  t.pass()
})

t.test('non-ASCII bytes on a real connection do not open a session either', async t => {
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
