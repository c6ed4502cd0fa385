import fc from 'fast-check'
import * as Iron from 'iron-webcrypto'
import t from 'tap'
import { encode } from '../lib/seal/envelope.js'
import { createSealer } from '../lib/index.js'
import type { Sealer, SealerOptions } from '../lib/index.js'
import { fingerprint, Keyring } from '../lib/seal/keyring.js'
import { NodeEngine } from '../lib/seal/engine-node.js'
import { secret } from './fixtures/app.js'

const make = (options: Partial<SealerOptions> = {}): Sealer => createSealer({ secret, ...options })
const engine = new NodeEngine(new Keyring([{ id: fingerprint(secret, secret), encryption: secret, integrity: secret }]))
const sealText = (text: string): string => engine.seal(text, Date.now() + 60_000)

t.test('sealed data is restored as a new object each time', async t => {
  const { seal, unseal } = make()
  const data = { note: 'x', any: { list: [1, { deep: null }] } }
  const token = await seal(data)
  for (let n = 0; n < 3; n++) {
    const result = await unseal(token)
    if (!result.ok) return t.fail(result.reason)
    t.same(result.data, data)
    ;(result.data.any as { list: unknown[] }).list.push('mine')
    t.ok(Object.isFrozen(result.info))
    t.match(result.info, { isNew: false, reason: null, id: /^[\w-]{22}$/ })
  }
})

t.test('a cached token does not make another one with the same MAC valid', async t => {
  const { seal, unseal } = make()
  const token = await seal({ note: 'x' })
  for (let n = 0; n < 3; n++) t.match(await unseal(token), { ok: true })
  const later = token.replace(/\*(\d{13})\*/, (_, expiry: string) => `*${Number(expiry) + 1}*`)
  t.not(later, token)
  t.same(await unseal(later), { ok: false, reason: 'tampered' })
  t.match(await unseal(token), { ok: true })
})

t.test('keys such as __proto__ are kept as plain data', async t => {
  const { seal, unseal } = make({ cacheSize: 0 })
  const data = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"toString":"x"}') as object
  const result = await unseal(await seal(data))
  if (!result.ok) return t.fail(result.reason)
  t.same(Object.keys(result.data), ['__proto__', 'constructor', 'toString'])
  t.equal((result.data as { admin?: boolean }).admin, undefined)
})

t.test('a seal expires after its idle timeout and a minute of skew, cached or not', async t => {
  t.clock.enter()
  for (const cacheSize of [0, 1, 1000]) {
    const { seal, unseal } = make({ idleTimeout: 100, cacheSize })
    const [token, longer] = [await seal({}), await seal({}, { idleTimeout: 200 })]
    t.match(await unseal(token), { ok: true })
    t.clock.advance(159_999)
    t.match(await unseal(token), { ok: true })
    t.clock.advance(1)
    t.same(await unseal(token), { ok: false, reason: 'expired' })
    t.match(await unseal(longer), { ok: true })
  }
})

t.test('a seal is rejected as outlived after the absolute timeout, and as expired after both timeouts', async t => {
  t.clock.enter()
  const { seal, unseal } = make({ idleTimeout: 100, absoluteTimeout: 100 })
  const token = await seal({}, { idleTimeout: 1000 })
  t.clock.advance(99_999)
  t.match(await unseal(token), { ok: true })
  t.clock.advance(1)
  t.same(await unseal(token), { ok: false, reason: 'outlived' })
  t.clock.advance(1_000_000)
  t.same(await unseal(token), { ok: false, reason: 'expired' })
})

t.test('a seal without an expiry ends with the absolute timeout, or never', async t => {
  const text = encode('"session"', { id: 'x', createdAt: Date.now(), idle: undefined, text: '{}', stored: false })
  const token = await Iron.seal(JSON.parse(text), secret, Iron.defaults)
  const capped = await make({ absoluteTimeout: 100 }).unseal(token)
  t.equal(capped.ok && capped.info.expiresAt.getTime() - capped.info.createdAt.getTime(), 100_000)
  const endless = await make({ absoluteTimeout: false }).unseal(token)
  t.equal(endless.ok && endless.info.expiresAt.getTime(), 8.64e15)
})

t.test('a seal of the same secret that is not a session is foreign', async t => {
  const { unseal } = make()
  const envelope = { v: 1, n: 'session', i: 'x', c: 1, d: {} }
  const texts = [
    '', 'no JSON', '{}', '[]', 'null', '{"reset":"password"}', '{"a":1,"d":{}}', '{"v":1,"n":"session","i":"x","c":1,"d":',
    '{"v":1,"n":"session","i":"x","c":1,"d":{}]', '{"v":1,"n":"session","i":"x","c":1,"d":[]}',
    ...[{ v: 2 }, { n: 1 }, { i: 1 }, { c: '1' }, { t: 'x' }, { d: null }, { d: 1 }].map(change => JSON.stringify({ ...envelope, ...change, d: undefined }).replace(/}$/, `,"d":${JSON.stringify({ ...envelope, ...change }.d)}}`))
  ]
  for (const text of texts) t.same(await unseal(sealText(text)), { ok: false, reason: 'foreign' }, text)
  t.same(await unseal(await Iron.seal({ user: 1 }, secret, Iron.defaults)), { ok: false, reason: 'foreign' })
})

t.test('an envelope with another order of keys or other spaces opens too', async t => {
  const createdAt = Date.now()
  for (const text of [
    JSON.stringify({ d: { note: 'x' }, c: createdAt, i: 'id', n: 'session', t: 60, v: 1 }),
    JSON.stringify({ v: 1, n: 'session', i: 'id', c: createdAt, t: false, d: { note: 'x' } }, undefined, 2)
  ]) t.match(await make().unseal(sealText(text)), { ok: true, data: { note: 'x' }, info: { id: 'id', createdAt: new Date(createdAt) } })
})

t.test('a session with another name and data that would hide a member are rejected', async t => {
  t.same(await make().unseal(await make({ sessionName: 'admin' }).seal({})), { ok: false, reason: 'wrong-name' })
  const text = encode('"session"', { id: 'x', createdAt: Date.now(), idle: 60, text: '{"get":1}', stored: false })
  t.same(await make().unseal(sealText(text)), { ok: false, reason: 'invalid' })
  const odd = make({ sessionName: 'a","d":{"x":"' })
  t.match(await odd.unseal(await odd.seal({ note: ',"d":{}' })), { ok: true, data: { note: ',"d":{}' } })
})

t.test('no string makes unseal() throw', async t => {
  const { seal, unseal } = make()
  const token = await seal({ note: 'x' })
  const strings = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.array(fc.constantFrom(...token.split('*'), '', '*', 'Fe26.2', '~2', '0'), { maxLength: 10 }).map(parts => parts.join('*')),
    fc.tuple(fc.nat(token.length), fc.string()).map(([at, text]) => token.slice(0, at) + text + token.slice(at + 1))
  )
  await fc.assert(fc.asyncProperty(strings, async text => {
    const result = await unseal(text)
    if (result.ok && text !== token) throw new Error('opened')
  }), { numRuns: 2000, seed: 20260101 })
  for (const value of [undefined, null, 1, {}, []]) {
    t.same(await unseal(value as unknown as string), { ok: false, reason: 'malformed' })
  }
})

t.test('data that cannot be a session is not sealed', async t => {
  const { seal } = make()
  for (const value of [undefined, null, 1, 'x', [], () => {}]) {
    await t.rejects(seal(value as object), { code: 'FST_SESSION_NOT_SERIALIZABLE' })
  }
  await t.rejects(seal({ any: new Date() }), { code: 'FST_SESSION_NOT_SERIALIZABLE', message: /"any" is an instance of Date/ })
  await t.rejects(seal({ get: 1 } as object), { code: 'FST_SESSION_RESERVED_KEY' })
  await t.rejects(seal({}, { idleTimeout: -1 }), { code: 'FST_SESSION_INVALID_OPTION' })
})

t.test('options are validated when the sealer is created', async t => {
  t.throws(() => createSealer({ secret: undefined }), { code: 'FST_SESSION_SECRET_MISSING' })
  t.throws(() => createSealer({ secret, cookie: {} } as SealerOptions), { code: 'FST_SESSION_INVALID_OPTION', message: /"cookie" is unknown/ })
})
