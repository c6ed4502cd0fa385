import { createRequire } from 'node:module'
import { createCipheriv, createHmac, pbkdf2Sync } from 'node:crypto'
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
const open = (engine: NodeEngine, token: string): Opened => engine.open(token)

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

t.test('a string secret is salted with 128 bits, and seals with longer and shorter salts open too', async t => {
  const engine = engineOf(keyOf('k', text))
  const [,, encryptionSalt, , , , integritySalt] = engine.seal('{}', soon()).split('*')
  t.match([encryptionSalt, integritySalt], [/^[\da-f]{32}$/, /^[\da-f]{32}$/])
  t.not(encryptionSalt, integritySalt)
  for (const bits of [64, 128, 256, 512]) {
    const { encryption, integrity, ...rest } = Webcrypto.defaults
    const token = await Webcrypto.seal({ bits }, { id: 'k', secret: text }, {
      ...rest, encryption: { ...encryption, saltBits: bits }, integrity: { ...integrity, saltBits: bits }, ttl: HOUR
    })
    t.match(open(engine, token), { ok: true, text: JSON.stringify({ bits }) })
  }
})

t.test('a token whose MAC is right opens only in the form of a seal, whether its salts are known or not', async t => {
  const familiar = engineOf(keyOf('k', text))
  const good = familiar.seal('{"note":"a text"}', soon()).split('*')
  t.match(open(familiar, good.join('*')), { ok: true })
  const integrityKey = (salt: string): Buffer => pbkdf2Sync(text, salt, 1, 32, 'sha1')
  /** Signs any parts, as somebody could who has the secret. The MAC covers the low byte of each character */
  const sign = (parts: string[]): string => {
    const signed = parts.slice(0, 6).join('*')
    const mac = createHmac('sha256', integrityKey(parts[6]!)).update(Buffer.from(signed, 'latin1')).digest('base64url')
    return `${signed}*${parts[6]}*${mac}`
  }
  const change = (at: number, by: (part: string) => string): string => sign(good.map((part, nth) => nth === at ? by(part) : part))
  const odd = {
    'base64 with a plus sign in the ciphertext': change(4, part => `+${part.slice(1)}`),
    'base64 with a slash in the IV': change(3, part => `/${part.slice(1)}`),
    'a padded ciphertext': change(4, part => `${part.slice(0, -1)}=`),
    'a foreign character': change(4, part => `${part.slice(0, 5)}!${part.slice(6)}`),
    'a foreign character more': change(4, part => `${part.slice(0, 5)}!${part.slice(5)}`),
    'a space in the IV': change(3, part => ` ${part.slice(1)}`),
    'unused bits in the ciphertext': change(4, part => part.slice(0, -1) + String.fromCharCode(part.charCodeAt(part.length - 1) + 1)),
    'unused bits in the IV': change(3, part => part.slice(0, -1) + String.fromCharCode(part.charCodeAt(21) + 1)),
    'a wide digit in the expiry': change(5, part => String.fromCharCode(part.charCodeAt(0) + 256) + part.slice(1)),
    'a wide letter in the ciphertext': change(4, part => String.fromCharCode(part.charCodeAt(0) + 256) + part.slice(1)),
    'a wide letter in a salt': change(2, part => String.fromCharCode(part.charCodeAt(0) + 256) + part.slice(1)),
    'an expiry in exponential notation': change(5, () => '1e99'),
    'an expiry with a leading zero': change(5, part => `0${part}`),
    'an expiry that starts with a zero': change(5, part => `0${part.slice(1)}`),
    'a letter in the expiry': change(5, part => `${part.slice(0, -1)}a`),
    'a negative expiry': change(5, part => `-${part}`),
    'an uppercase salt': change(2, part => part.toUpperCase().replaceAll(/\d/g, 'A')),
    'an uppercase integrity salt': change(6, part => part.toUpperCase().replaceAll(/\d/g, 'A')),
    'no ciphertext': change(4, () => ''),
    'an id with a hyphen': change(1, () => 'k-1')
  }
  for (const [name, token] of Object.entries(odd)) {
    t.equal(parseToken(token), undefined, name)
    for (const engine of [familiar, engineOf(keyOf('k', text))]) t.same(open(engine, token), { ok: false, reason: 'malformed' }, name)
  }
  // Without interop no secret opens a foreign id; with it, the id of such a seal is checked all the same.
  const loose = new NodeEngine(new Keyring([{ ...keyOf('k', text), nameless: true }], true))
  t.match(open(loose, good.join('*')), { ok: true })
  t.match(open(loose, change(1, () => 'other')), { ok: true })
  for (const id of ['k-1', 'ü', 'a b']) t.same(open(loose, change(1, () => id)), { ok: false, reason: 'malformed' }, id)
  const mac = good[7]!
  t.same(open(familiar, [...good.slice(0, 7), mac.slice(0, -1) + String.fromCharCode(mac.charCodeAt(42) + 1)].join('*')), { ok: false, reason: 'malformed' }, 'unused bits in the MAC')
})

t.test('sealed content without valid padding is malformed', async t => {
  const iv = Buffer.alloc(16)
  const ciphertext = createCipheriv('aes-256-cbc', bytes, iv).setAutoPadding(false).update(Buffer.alloc(16))
  const signed = `Fe26.2*k**${iv.toString('base64url')}*${ciphertext.toString('base64url')}*`
  const token = `${signed}**${createHmac('sha256', bytes).update(signed).digest('base64url')}`
  t.same(open(engineOf(keyOf('k', bytes)), token), { ok: false, reason: 'malformed' })
})

t.test('an epoch ends after a day or when the clock is set back, and its seals stay valid', async t => {
  t.clock.enter()
  const engine = engineOf(keyOf('k', text))
  const salts = new Set<string>()
  const tokens: string[] = []
  const seal = (): void => {
    const token = engine.seal('{}', soon() + 100 * HOUR)
    tokens.push(token)
    salts.add(token.split('*')[2]!)
  }
  seal()
  t.clock.advance(24 * HOUR - 1)
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

t.test('seals of more epochs than are remembered open, as do unusual seals of a remembered one', async t => {
  const reader = engineOf(keyOf('k', text))
  const tokens = Array.from({ length: 1100 }, (_, nth) => engineOf(keyOf('k', text)).seal(`{"n":${nth}}`, soon()))
  for (let round = 0; round < 2; round++) {
    for (const [nth, token] of tokens.entries()) {
      const opened = open(reader, token)
      if (!opened.ok || opened.text !== `{"n":${nth}}`) t.fail(String(nth))
    }
  }
  const writer = engineOf(keyOf('k', text))
  t.match(open(reader, writer.seal('{}', soon())), { ok: true })
  for (const expiresAt of [1, 253_402_300_799_999, Date.now()]) t.match(open(reader, writer.seal('{}', expiresAt)), { ok: true, expiresAt })
  const forged = writer.seal('{}', soon()).replace(/.$/, last => last === 'A' ? 'E' : 'A')
  t.same(open(reader, forged), { ok: false, reason: 'tampered' })
  const late = writer.seal('{}', soon()).replace(/\*(\d{13})\*/, (_, expiry: string) => `*${Number(expiry) + 1}*`)
  t.same(open(reader, late), { ok: false, reason: 'tampered' })
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
