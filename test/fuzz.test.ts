import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { createSealer, errors } from '../lib/index.js'
import { PLUGIN_NAMES, parseSessionOptions } from '../lib/options/options.js'
import { NodeEngine } from '../lib/seal/engine-node.js'
import { Keyring } from '../lib/seal/keyring.js'
import { MacKey } from '../lib/seal/primitives.js'
import { secret } from './fixtures/app.js'
import { runs } from './fixtures/fuzz.js'

const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true })

t.test('any options are accepted or rejected with a coded error, and never changed', async t => {
  const names = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...PLUGIN_NAMES) }, fc.string())
  const plausible = fc.constantFrom<unknown>(secret, true, false, 1, 60, 'lax', 'auto', {}, { path: '/' }, { secure: true }, '__Host-x', [secret])
  let taken = 0
  let refused = 0
  fc.assert(fc.property(fc.dictionary(names, fc.oneof(anything, plausible), { maxKeys: 4, noNullPrototype: true }), given => {
    const options = { secret, ...given }
    const before = inspect(options, { depth: 9 })
    try {
      parseSessionOptions(options as never)
      taken++
    } catch (error) {
      if (!Object.values(errors).some(known => error instanceof known)) throw error
      if ((error as Error).message.includes(secret)) throw new Error('the secret is shown')
      refused++
    }
    if (inspect(options, { depth: 9 }) !== before) throw new Error('the options were changed')
  }), runs(3000))
  t.ok(taken > 50 && refused > 50, `${taken} accepted, ${refused} rejected`)
})

t.test('any data is restored unchanged or rejected with a coded error', async t => {
  const { seal, unseal } = createSealer({ secret })
  let sealed = 0
  let refused = 0
  await fc.assert(fc.asyncProperty(fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.dictionary(fc.string(), anything)), async data => {
    let token
    try {
      token = await seal(data)
    } catch (error) {
      const { FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY } = errors
      if (!(error instanceof FST_SESSION_NOT_SERIALIZABLE || error instanceof FST_SESSION_RESERVED_KEY)) throw error
      refused++
      return
    }
    sealed++
    const opened = await unseal(token)
    if (!opened.ok) throw new Error(opened.reason)
    if (JSON.stringify(opened.data) !== JSON.stringify(data)) throw new Error('it came back as something else')
  }), runs(2000))
  t.ok(sealed > 500 && refused > 50, `${sealed} sealed, ${refused} rejected`)
})

t.test('no combination of parts of sealed tokens opens, except the tokens themselves', async t => {
  const { seal, unseal } = createSealer({ secret: [secret, { id: 'old', secret: `old ${secret}` }] })
  const older = createSealer({ secret: { id: 'old', secret: `old ${secret}` } })
  const tokens = [await seal({ views: 1 }), await seal({ views: 2 }), await older.seal({ views: 3 }), await seal({}, { idleTimeout: 5 })]
  const parts = tokens.map(token => token.split('*'))
  const pick = (at: number): fc.Arbitrary<string> => fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...parts.map(part => part[at]!)) },
    fc.constantFrom('', '0', 'A', 'Fe26.2', '__proto__'),
    fc.string({ unit: 'binary-ascii', maxLength: 4 })
  )
  let opened = 0
  await fc.assert(fc.asyncProperty(fc.tuple(...[0, 1, 2, 3, 4, 5, 6, 7].map(pick)), async some => {
    const token = some.join('*')
    const result = await unseal(token)
    if (result.ok !== tokens.includes(token)) throw new Error(`${result.ok} for ${token}`)
    if (result.ok) opened++
  }), runs(5000))
  t.comment(`${opened} were unchanged tokens`)
})

t.test('an engine that knows the keys of a token opens exactly what one that does not know them opens', async t => {
  const raw = new Uint8Array(32).fill(7)
  const keyring = new Keyring([{ id: 'a', encryption: secret, integrity: raw }, { id: 'b', encryption: raw, integrity: raw }])
  const known = new NodeEngine(keyring)
  const odd = fc.constantFrom('', '*', '+', '/', '=', ' ', '\n', 'A', 'é', '\u0141', '\u2603', '😀', '0', '.')
  const changes = fc.array(fc.record({ at: fc.nat(), length: fc.constantFrom(0, 1, 1, 2, 3, 22, 43), odd, part: fc.nat(7) }), { maxLength: 2 })
  // Somebody who has the secret can sign anything.
  fc.assert(fc.property(fc.string(), changes, fc.boolean(), fc.boolean(), (text, changes, isSigned, isAtEnd) => {
    const token = known.seal(text, Date.now())
    const parts = token.split('*')
    for (const { at, length, odd, part } of changes) {
      const old = parts[part]!
      const start = isAtEnd ? Math.max(0, old.length - length) : at % (old.length + 1)
      parts[part] = old.slice(0, start) + odd.padEnd(isAtEnd ? length : 0, 'A') + old.slice(start + length)
    }
    const signed = parts.slice(0, 6).join('*')
    if (isSigned && Buffer.byteLength(signed) === signed.length) parts[7] = new MacKey(raw).mac(signed)
    const changed = parts.join('*')
    if (!known.open(token).ok) throw new Error('the token itself')
    const [one, other] = [known.open(changed), new NodeEngine(keyring).open(changed)]
    if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error(`${JSON.stringify(one)} and ${JSON.stringify(other)} of ${changed}`)
  }), runs(3000))
  t.pass()
})
