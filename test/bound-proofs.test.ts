import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { parseProof, stringOf } from '../lib/bound/jws.js'
import { algorithmOf, bytesOf, hasSigned, shorten } from '../lib/bound/key.js'
import { Device, makeBoundApp } from './fixtures/device.js'
import type { SignedBy } from './fixtures/device.js'

// RFC 7515, appendix A.2 and A.3
const payload = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
const rsa = {
  jwk: {
    kty: 'RSA',
    n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
    e: 'AQAB'
  },
  input: `eyJhbGciOiJSUzI1NiJ9.${payload}`,
  signature: 'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'
}
const ec = {
  jwk: { kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' },
  input: `eyJhbGciOiJFUzI1NiJ9.${payload}`,
  signature: 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
}
// RFC 7517, appendix A.1
const keys = [
  ['ES256', { kty: 'EC', crv: 'P-256', x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4', y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM', use: 'enc', kid: '1' }, 44],
  ['RS256', {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29'
  }, 342]
] as const

t.test('the signatures of RFC 7515 are valid, and changed ones are not', t => {
  for (const [algorithm, { jwk, input, signature }] of [['RS256', rsa], ['ES256', ec]] as const) {
    const key = shorten(jwk, algorithm)!
    t.equal(algorithmOf(key), algorithm)
    const bytes = bytesOf(signature)!
    t.equal(hasSigned(key, input, bytes), true, algorithm)
    t.equal(hasSigned(key, `${input}A`, bytes), false)
    for (const at of [0, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      t.equal(hasSigned(key, input, changed), false)
    }
    for (const wrong of [Buffer.alloc(0), bytes.subarray(1), Buffer.concat([bytes, Buffer.of(0)]), Buffer.alloc(bytes.length)]) {
      t.equal(hasSigned(key, input, wrong), false, `${wrong.length} bytes`)
    }
  }
  t.equal(hasSigned(shorten(ec.jwk, 'ES256')!, rsa.input, bytesOf(rsa.signature)!), false)
  t.equal(hasSigned(shorten(rsa.jwk, 'RS256')!, ec.input, bytesOf(ec.signature)!), false)
  t.end()
})

t.test('the keys of RFC 7517 are encoded compactly', t => {
  for (const [algorithm, jwk, length] of keys) {
    const short = shorten(jwk, algorithm)
    t.match(short, /^[\w-]+$/)
    t.equal(short!.length, length)
  }
  t.end()
})

t.test('keys that do not fit the algorithm are rejected', t => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const odd = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  for (const [algorithm, jwk] of [
    ['ES256', undefined], ['ES256', null], ['ES256', 'a key'], ['ES256', {}], ['ES256', rsa.jwk], ['ES256', p384], ['ES256', ed],
    ['ES256', { ...ec.jwk, crv: 'secp256k1' }], ['ES256', { ...ec.jwk, x: ec.jwk.y }], ['ES256', { ...ec.jwk, x: 'AA' }], ['ES256', { ...ec.jwk, y: `${ec.jwk.y}=` }],
    ['ES256', { ...ec.jwk, x: 1 }], ['ES256', { ...ec.jwk, d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI' }],
    ['RS256', ec.jwk], ['RS256', small], ['RS256', odd], ['RS256', { ...rsa.jwk, n: undefined }], ['RS256', { ...rsa.jwk, e: 'AQ' }], ['RS256', { ...rsa.jwk, n: `${rsa.jwk.n}=` }],
    ['RS256', { ...rsa.jwk, n: Buffer.alloc(256, 0x7f).toString('base64url') }], ['RS256', { ...rsa.jwk, n: Buffer.alloc(256, 0x80).toString('base64url') }],
    ['RS256', { ...rsa.jwk, n: Buffer.alloc(513, 0xff).toString('base64url') }]
  ] as const) {
    t.equal(shorten(jwk, algorithm), undefined, JSON.stringify(jwk))
  }
  t.equal(shorten({ ...rsa.jwk, n: Buffer.alloc(512, 0xff).toString('base64url') }, 'RS256')!.length, 683)
  t.end()
})

const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const head = { typ: 'dbsc+jwt', alg: 'ES256' }
const good = `${encode(head)}.${encode({ jti: 'c' })}.${encode('s')}`

/** Not a proof, whatever the signature */
const formless: Record<string, string> = {
  empty: '',
  'one segment': 'a',
  'two segments': good.split('.').slice(0, 2).join('.'),
  'four segments': `${good}.${encode('s')}`,
  'padding in the signature': `${good}=`,
  'base64, not base64url': `${encode(head)}.${encode({ jti: 'c' })}.++//`,
  'base64url that is not canonical': `${encode(head)}.${encode({ jti: 'c' })}.QR`,
  'a header that is no JSON': `${encode('{')}.${encode({ jti: 'c' })}.${encode('s')}`,
  'a header that is no object': `${encode([])}.${encode({ jti: 'c' })}.${encode('s')}`,
  'a header that is null': `${encode(null)}.${encode({ jti: 'c' })}.${encode('s')}`,
  'a payload that is no object': `${encode(head)}.${encode('"c"')}.${encode('s')}`,
  'no challenge': `${encode(head)}.${encode({})}.${encode('s')}`,
  'a challenge that is no string': `${encode(head)}.${encode({ jti: 1 })}.${encode('s')}`,
  'a jwk that is no object': `${encode({ ...head, jwk: 'key' })}.${encode({ jti: 'c' })}.${encode('s')}`,
  'a jwk that is an array': `${encode({ ...head, jwk: [] })}.${encode({ jti: 'c' })}.${encode('s')}`,
  'too long': `${encode(head)}.${encode({ jti: 'c', more: 'x'.repeat(4096) })}.${encode('s')}`
}

t.test('a string that is not a proof is rejected when it is parsed', t => {
  t.same(parseProof(good), { algorithm: 'ES256', jwk: undefined, challenge: 'c', input: good.slice(0, good.lastIndexOf('.')), signature: Buffer.from('s') })
  for (const [what, text] of Object.entries(formless)) t.equal(parseProof(text), undefined, what)
  for (const header of [{ typ: 'JWT' }, { typ: undefined }, { alg: 'none' }, { alg: 'HS256' }, { alg: 'PS256' }, { alg: undefined }, { crit: ['exp'] }]) {
    t.equal(parseProof(`${encode({ ...head, ...header })}.${encode({ jti: 'c' })}.${encode('s')}`), undefined, JSON.stringify(header))
  }
  t.match(parseProof(`${encode({ ...head, kid: 'x' })}.${encode({ jti: 'c', iat: 1 })}.${encode('s')}`), { challenge: 'c' }, 'what is not known is ignored')
  t.end()
})

t.test('header strings are parsed with and without quotation marks', t => {
  t.equal(stringOf('"a.b"'), 'a.b')
  t.equal(stringOf('a.b'), 'a.b')
  for (const wrong of [undefined, [], ['a'], '', '"a', 'a"', '"a", "b"', 'a, b', 'a b', '"a\\"b"']) t.equal(stringOf(wrong), undefined, String(wrong))
  t.equal(stringOf('""'), '')
  t.end()
})

/** Correctly signed, but not what was requested: the responses to a registration and to a refresh */
const hostile: Array<[what: string, by: SignedBy, registration: string, refresh: string]> = [
  ['alg none', { alg: 'none' }, 'malformed', 'malformed'],
  ['HS256', { alg: 'HS256' }, 'malformed', 'malformed'],
  ['another typ', { typ: 'JWT' }, 'malformed', 'malformed'],
  ['crit', { header: { crit: ['b64'], b64: false } }, 'malformed', 'malformed'],
  ['the other algorithm', { alg: 'RS256' }, 'key', 'malformed'],
  ['another key', { signWith: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }, 'signature', 'signature'],
  ['another curve', { signWith: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey }, 'signature', 'signature'],
  ['no challenge of ours', { jti: 'x' }, 'challenge', 'challenge'],
  ['a challenge that is a seal of something else', { jti: 'Fe26.2**' }, 'challenge', 'challenge']
]

t.test('hostile proofs are rejected with a reason, and never with a 5xx', async t => {
  const app = await makeBoundApp()
  for (const [what, by, registration, refresh] of hostile) {
    const device = new Device(app)
    await device.get('/login')
    const { status, json } = await device.register(device.proof(device.challenge, { jwk: device.jwk, ...by }))
    t.match({ status, json }, { status: 400, json: { refused: registration } }, `${what}, registration`)
    t.match((await device.get('/who')).json, { user: 'u1', bound: false })
    await device.register()
    const answer = await device.refresh(device.proof(await device.ask(), by))
    t.match(answer, refresh === 'challenge' ? { status: 403, headers: { 'secure-session-challenge': /./ } } : { status: 400, json: { refused: refresh } }, `${what}, refresh`)
    t.same(answer.setCookies, [])
    t.match((await device.get('/who')).json, { user: 'u1', bound: true }, 'the session is as it was')
  }
})

t.test('a request without a valid proof is rejected with a reason', async t => {
  const app = await makeBoundApp()
  const device = new Device(app)
  await device.get('/login')
  const bad = [...Object.values(formless), '"', '"a', 'a b', 'é', '{}', 'null', '.', '..', '...', '__proto__']
  for (const text of bad) t.match(await device.register(text), { status: 400, json: { refused: 'malformed' } })
  t.match(await device.post('/dbsc/registration'), { status: 400, json: { refused: 'malformed' } }, 'no header at all')
  await device.register()
  for (const text of bad) t.match(await device.refresh(text), { status: 400, json: { refused: 'malformed' } })
  t.match((await device.get('/who')).json, { user: 'u1', bound: true })
})

t.test('a refresh does not accept a new key', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const thief = new Device(device.app)
  const challenge = await device.ask()
  t.match(await device.refresh(thief.proof(challenge, { jwk: thief.jwk })), { status: 400, json: { refused: 'malformed' } })
  t.match(await device.refresh(device.proof(challenge, { jwk: device.jwk })), { status: 400, json: { refused: 'malformed' } }, 'not even its own')
})

t.test('a registration requires a valid key', async t => {
  const device = new Device(await makeBoundApp())
  await device.get('/login')
  t.match(await device.register(device.proof(device.challenge)), { status: 400, json: { refused: 'malformed' } })
  t.match(await device.register(device.proof(device.challenge, { jwk: {} })), { status: 400, json: { refused: 'key' } })
  t.match(await device.register(device.proof(device.challenge, { jwk: new Device(device.app).jwk })), { status: 400, json: { refused: 'signature' } })
})

t.test('bodies are not read, whatever their size and type', async t => {
  const device = await new Device(await makeBoundApp()).login()
  for (const [type, body] of [['application/json', '{'], ['text/html', 'x'], ['application/json', `"${'x'.repeat(2 ** 21)}"`]]) {
    const answer = await device.app.inject({
      method: 'POST', url: '/dbsc/refresh', headers: { cookie: device.header(), 'sec-secure-session-id': device.id, 'content-type': type! }, payload: body!
    })
    t.equal(answer.statusCode, 403)
    t.ok(answer.headers['secure-session-challenge'])
  }
})

t.test('none of the seals can be used as another one', async t => {
  const app = await makeBoundApp()
  const device = new Device(app)
  await device.get('/login')
  const registration = device.challenge
  const unbound = device.cookies.get('session')!
  await device.register()
  const [session, proof, refresh] = [device.cookies.get('session')!, device.cookies.get('session-bound')!, await device.ask()]

  for (const other of [session, unbound, proof, registration]) {
    t.match(await device.refresh(device.proof(other)), { status: 403 }, 'a refresh answers its own challenges only')
  }
  for (const other of [session, unbound, registration, refresh]) {
    device.cookies.set('session-bound', other)
    t.match((await device.get('/who')).json, { reason: 'unproven' }, 'no proof')
  }
  for (const other of [proof, registration, refresh]) {
    t.match((await device.get('/who', { cookie: `session=${other}` })).json, { reason: 'foreign' }, 'no session')
  }
  const later = new Device(app)
  later.cookies.set('session', unbound)
  for (const other of [session, unbound, proof, refresh]) {
    t.match(await later.register(later.proof(other, { jwk: later.jwk })), { status: 400, json: { refused: 'challenge' } }, 'no registration')
  }
})

t.test('a challenge or a proof of another session, name or secret is rejected', async t => {
  const app = await makeBoundApp()
  const [device, other] = [await new Device(app).login(), await new Device(app).login()]
  t.equal((await device.refresh(device.proof(await other.ask()))).status, 403)
  device.cookies.set('session-bound', other.cookies.get('session-bound')!)
  t.match((await device.get('/who')).json, { reason: 'unproven' })
  const [fresh, next] = [new Device(app), new Device(app)]
  await fresh.get('/login')
  await next.get('/login')
  t.match(await fresh.register(fresh.proof(next.challenge, { jwk: fresh.jwk })), { status: 400, json: { refused: 'challenge' } })
})

t.test('challenges expire to the second', async t => {
  t.clock.enter()
  const device = new Device(await makeBoundApp({ deviceBound: { challengeTimeout: 10 } }))
  await device.get('/login')
  t.clock.advance(10_000)
  t.match(await device.register(), { status: 400, json: { refused: 'challenge' } })
  t.clock.advance(3_600_000)
  device.cookies.delete('session-bound-offered')
  await device.get('/who')
  t.clock.advance(9_999)
  t.equal((await device.register()).status, 200)
  const proof = device.proof(await device.ask())
  t.clock.advance(10_000)
  t.equal((await device.refresh(proof)).status, 403)
})
