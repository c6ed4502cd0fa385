import * as Iron from 'iron-webcrypto'
import t from 'tap'
import { createSealer } from '../lib/index.js'
import type { IronOptions } from '../lib/index.js'
import { secret } from './fixtures/app.js'

const base64: IronOptions = {
  encode: data => Buffer.from(JSON.stringify(data)).toString('base64'),
  decode: text => JSON.parse(Buffer.from(text, 'base64').toString()) as unknown
}

const parameters: Record<string, IronOptions> = {
  'more iterations': { encryption: { iterations: 3 }, integrity: { iterations: 2 } },
  'aes-128-ctr': { encryption: { algorithm: 'aes-128-ctr' } },
  'other salts': { encryption: { saltBits: 128 }, integrity: { saltBits: 64 } },
  'another codec': base64,
  'the defaults, named': { timestampSkewSec: 60 }
}

for (const [name, iron] of Object.entries(parameters)) {
  t.test(`with ${name}, seals of this package and of iron-webcrypto open in each other`, async t => {
    const options: Iron.SealOptions = {
      ...Iron.defaults,
      ...iron,
      encryption: { ...Iron.defaults.encryption, ...iron.encryption },
      integrity: { ...Iron.defaults.integrity, ...iron.integrity }
    }
    const { seal, unseal } = createSealer({ secret, iron })
    const token = await seal({ note: 'x' })
    t.match(await unseal(token), { ok: true, data: { note: 'x' } })
    const envelope = await Iron.unseal(token, secret, options) as object
    t.match(envelope, { v: 1, n: 'session', d: { note: 'x' } })
    const theirs = await Iron.seal(envelope, secret, { ...options, ttl: 60_000 })
    t.match(await unseal(theirs), { ok: true, data: { note: 'x' } })
    t.same(await unseal(await Iron.seal({ reset: 'password' }, secret, options)), { ok: false, reason: 'foreign' })
  })
}

t.test('the reasons are the same as those of the other engine', async t => {
  t.clock.enter()
  const iron = { integrity: { iterations: 2 } }
  const { seal, unseal } = createSealer({ secret, iron, idleTimeout: 100 })
  const token = await seal({ note: 'x' })
  t.same(await unseal('nonsense'), { ok: false, reason: 'malformed' })
  t.same(await unseal(token.replace(/.{43}$/, 'A'.repeat(43))), { ok: false, reason: 'tampered' })
  t.same(await createSealer({ secret: `${secret} too`, iron }).unseal(token), { ok: false, reason: 'unknown-key' })
  t.same(await createSealer({ secret, iron, sessionName: 'admin' }).unseal(token), { ok: false, reason: 'wrong-name' })
  t.clock.advance(160_000)
  t.same(await unseal(token), { ok: false, reason: 'expired' })
})

t.test('several secrets are tried for a seal without an id', async t => {
  const iron = { integrity: { iterations: 2 } }
  const options = { ...Iron.defaults, integrity: { ...Iron.defaults.integrity, iterations: 2 } }
  const older = `${secret} too`
  const envelope = await Iron.unseal(await createSealer({ secret, iron }).seal({ note: 'x' }), secret, options)
  const token = await Iron.seal(envelope, older, options)
  t.match(await createSealer({ secret: [secret, older], iron }).unseal(token), { ok: true })
  t.same(await createSealer({ secret, iron }).unseal(token), { ok: false, reason: 'tampered' })
})

t.test('a seal whose content decode rejects is malformed', async t => {
  const sealed = await createSealer({ secret, iron: { encode: () => 'no JSON' } }).seal({})
  t.same(await createSealer({ secret, iron: base64 }).unseal(sealed), { ok: false, reason: 'malformed' })
})

t.test('a byte secret works with other salts and iterations', async t => {
  const { seal, unseal } = createSealer({ secret: new Uint8Array(32).fill(9), iron: { encryption: { iterations: 2 } } })
  const token = await seal({ note: 'x' })
  t.match(await unseal(token), { ok: true, data: { note: 'x' } })
  // The MAC does not cover the last salt, and a raw key has none.
  const salted = token.split('*').map((part, at) => at === 6 ? 'deadbeef' : part).join('*')
  t.same(await unseal(salted), { ok: false, reason: 'malformed' })
})

t.test('the clock skew and offset can be configured', async t => {
  t.clock.enter()
  const start = Date.now()
  const strict = createSealer({ secret, idleTimeout: 100, iron: { timestampSkewSec: 0 } })
  const token = await strict.seal({})
  t.clock.advance(99_999)
  t.match(await strict.unseal(token), { ok: true })
  t.clock.advance(1)
  t.same(await strict.unseal(token), { ok: false, reason: 'expired' })
  t.clock.travel(start)
  const ahead = createSealer({ secret, idleTimeout: 100, iron: { localtimeOffsetMsec: 50_000 } })
  const result = await ahead.unseal(await ahead.seal({}))
  t.match(result, { ok: true, info: { createdAt: new Date(start + 50_000), expiresAt: new Date(start + 150_000) } })
})
