import { createRequire } from 'node:module'
import { pbkdf2Sync } from 'node:crypto'
import fc from 'fast-check'
import * as Webcrypto from 'iron-webcrypto'
import t from 'tap'
import { fingerprint, Keyring } from '../lib/seal/keyring.js'
import type { Key } from '../lib/seal/keyring.js'
import { NodeEngine } from '../lib/seal/engine-node.js'
import { parseToken } from '../lib/seal/token.js'
import type { Opened } from '../lib/seal/engine.js'

const Hapi = createRequire(import.meta.url)('@hapi/iron') as typeof Webcrypto
const HOUR = 3_600_000
const text = 'a secret for tests that is long enough'
const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7)
const soon = (): number => Date.now() + HOUR

const keyOf = (id: string, secret: string | Uint8Array): Key => ({ id, encryption: secret, integrity: secret })
const engineOf = (...keys: [Key, ...Key[]]): NodeEngine => new NodeEngine(new Keyring(keys))
const open = (engine: NodeEngine, token: string): Opened => {
  const parsed = parseToken(token)
  return parsed === undefined ? { ok: false, reason: 'malformed' } : engine.open(parsed)
}

t.test('keys are derived as in RFC 6070', async t => {
  t.equal(pbkdf2Sync('password', 'salt', 1, 20, 'sha1').toString('hex'), '0c60c80f961f0e71f3a9b524af6012062fe037a6')
  t.equal(pbkdf2Sync('password', 'salt', 4096, 20, 'sha1').toString('hex'), '4b007901b765489abead49d926f721d065a429c1')
})

for (const [kind, secret] of Object.entries({ text, bytes })) {
  for (const id of ['given', fingerprint(secret, secret)]) {
    const engine = engineOf(keyOf(id, secret))
    // @hapi/iron needs a Buffer, iron-webcrypto accepts any Uint8Array.
    const theirs = typeof secret === 'string' ? secret : Buffer.from(secret)

    t.test(`seals with a ${kind} secret are interchangeable with iron-webcrypto and @hapi/iron (id ${id})`, async t => {
      // @hapi/iron rejects a key __proto__ and reads -0 as 0; neither is about sealing.
      const payloads = fc.dictionary(fc.string().filter(key => key !== '__proto__'), fc.jsonValue())
      await fc.assert(fc.asyncProperty(payloads, async payload => {
        const json = JSON.stringify(payload)
        if (json.includes('__proto__')) return
        const data = JSON.parse(json) as object
        const token = engine.seal(json, soon())
        for (const iron of [Webcrypto, Hapi]) {
          const opened = await iron.unseal(token, theirs, iron.defaults)
          if (JSON.stringify(opened) !== json) throw new Error('theirs')
          const byId = await iron.unseal(token, { [id]: theirs }, iron.defaults)
          if (JSON.stringify(byId) !== json) throw new Error('theirs, by id')
          for (const password of [theirs, { id, secret: theirs }]) {
            const sealed = await iron.seal(data, password, { ...iron.defaults, ttl: HOUR })
            const ours = open(engine, sealed)
            if (!ours.ok || ours.text !== json) throw new Error('ours')
          }
        }
      }), { numRuns: 40, seed: 20260101 })
      t.pass()
    })
  }
}

t.test('a known id selects its secret, no id means any secret, and an unknown id means none', async t => {
  const [one, two] = [keyOf('one', text), keyOf('two', `${text} too`)]
  const both = engineOf(two, one)
  t.match(open(both, engineOf(one).seal('{}', soon())), { ok: true, key: one })
  t.match(open(both, engineOf(two).seal('{}', soon())), { ok: true, key: two })
  t.same(open(engineOf(two), engineOf(one).seal('{}', soon())), { ok: false, reason: 'unknown-key' })
  t.same(open(engineOf({ ...two, id: 'one' }), engineOf(one).seal('{}', soon())), { ok: false, reason: 'tampered' })
  const bare = await Webcrypto.seal({}, text, Webcrypto.defaults)
  t.match(open(both, bare), { ok: true, key: one, expiresAt: Infinity })
  t.same(open(engineOf(two), bare), { ok: false, reason: 'tampered' })
})

t.test('an id such as __proto__ finds a secret only if one has that id', async t => {
  for (const id of ['__proto__', 'constructor', 'toString']) {
    const token = engineOf(keyOf(id, text)).seal('{}', soon())
    t.same(open(engineOf(keyOf('other', text)), token), { ok: false, reason: 'unknown-key' })
    t.match(open(engineOf(keyOf(id, text)), token), { ok: true })
  }
})

t.test('a token with a changed, missing or added character does not open', async t => {
  for (const secret of [text, bytes]) {
    const engine = engineOf(keyOf('k', secret))
    const token = engine.seal('{"views":1}', soon())
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      for (const changed of [token.slice(0, at) + other + token.slice(at + 1), token.slice(0, at) + token.slice(at + 1),
        token.slice(0, at) + other + token.slice(at), token.slice(0, at)]) {
        const { ok, reason } = open(engine, changed) as { ok: boolean, reason: string }
        if (ok || !['malformed', 'tampered', 'unknown-key'].includes(reason)) t.fail(`${at}: ${changed}`)
      }
    }
  }
  t.pass()
})

t.test('parts of two tokens do not mix', async t => {
  const one = engineOf(keyOf('k', text)).seal('{"n":1}', soon()).split('*')
  const two = engineOf(keyOf('k', text)).seal('{"n":2}', soon() + 1).split('*')
  for (let part = 2; part < 8; part++) {
    const mixed = one.map((value, at) => at === part ? two[part]! : value).join('*')
    t.same(open(engineOf(keyOf('k', text)), mixed), { ok: false, reason: 'tampered' }, String(part))
  }
})

t.test('only a string secret uses salts', async t => {
  const raw = engineOf(keyOf('k', bytes))
  const parts = raw.seal('{}', soon()).split('*')
  t.equal(parts[2], '')
  t.same(open(raw, parts.map((part, at) => at === 6 ? 'ab' : part).join('*')), { ok: false, reason: 'malformed' }, 'the MAC does not cover it')
  t.same(open(raw, parts.map((part, at) => at === 2 ? 'ab' : part).join('*')), { ok: false, reason: 'malformed' })
  t.same(open(engineOf(keyOf('k', text)), parts.join('*')), { ok: false, reason: 'malformed' })
})

t.test('sealed content without valid padding is malformed', async t => {
  const { createCipheriv, createHmac } = await import('node:crypto')
  const iv = Buffer.alloc(16)
  const ciphertext = createCipheriv('aes-256-cbc', bytes, iv).setAutoPadding(false).update(Buffer.alloc(16))
  const signed = `Fe26.2*k**${iv.toString('base64url')}*${ciphertext.toString('base64url')}*`
  const token = `${signed}**${createHmac('sha256', bytes).update(signed).digest('base64url')}`
  t.same(open(engineOf(keyOf('k', bytes)), token), { ok: false, reason: 'malformed' })
})

t.test('an epoch ends after an hour or when the clock is set back, and its seals stay valid', async t => {
  t.clock.enter()
  const engine = engineOf(keyOf('k', text))
  const salts = new Set<string>()
  const tokens: string[] = []
  const seal = (): void => {
    const token = engine.seal('{}', soon() + 10 * HOUR)
    tokens.push(token)
    salts.add(token.split('*')[2]!)
  }
  seal()
  t.clock.advance(HOUR - 1)
  seal()
  t.equal(salts.size, 1)
  t.clock.advance(1)
  seal()
  t.equal(salts.size, 2)
  t.clock.travel(Date.now() - 1)
  seal()
  t.equal(salts.size, 3)
  for (const token of tokens) t.match(open(engine, token), { ok: true, text: '{}' })
})

t.test('an epoch ends after 2^20 seals', async t => {
  const engine = engineOf(keyOf('k', text))
  const expiry = soon()
  const first = engine.seal('{}', expiry)
  let last = first
  for (let n = 1; n < 2 ** 20; n++) last = engine.seal('{}', expiry)
  const saltOf = (token: string): string => token.split('*')[2]!
  t.equal(saltOf(last), saltOf(first))
  const next = engine.seal('{}', expiry)
  t.not(saltOf(next), saltOf(first))
  for (const token of [first, last, next]) t.match(open(engine, token), { ok: true })
})
