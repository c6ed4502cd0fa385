import { createRequire } from 'node:module'
import { sealData } from 'iron-session'
import * as Webcrypto from 'iron-webcrypto'
import t from 'tap'
import { createSealer } from '../lib/index.js'
import type { SealerOptions, SecretValue } from '../lib/index.js'
import { Jar, makeApp, olderSecret, read, secret } from './fixtures/app.js'

const Hapi = createRequire(import.meta.url)('@hapi/iron') as typeof Webcrypto
const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7)
const otherBytes = Uint8Array.from({ length: 32 }, (_, at) => at * 3 + 1)

const pairs: Record<string, { encryption: SecretValue, integrity: SecretValue }> = {
  'two strings': { encryption: secret, integrity: olderSecret },
  'two raw keys': { encryption: bytes, integrity: otherBytes },
  'a raw key for encryption': { encryption: bytes, integrity: secret },
  'a raw key for integrity': { encryption: secret, integrity: bytes }
}
const engines: Record<string, Pick<SealerOptions, 'iron'>> = {
  'the fast engine': {},
  'iron-webcrypto': { iron: { localtimeOffsetMsec: 0 } }
}

/** @hapi/iron takes a Buffer where iron-webcrypto takes any Uint8Array. */
const buffered = (value: SecretValue): SecretValue => typeof value === 'string' ? value : Buffer.from(value)

for (const [engine, options] of Object.entries(engines)) {
  for (const [kind, pair] of Object.entries(pairs)) {
    const theirs = { encryption: buffered(pair.encryption), integrity: buffered(pair.integrity) }

    t.test(`${engine}, ${kind}: seals open in iron-webcrypto and @hapi/iron, and theirs here`, async t => {
      for (const id of ['k1', undefined]) {
        const { seal } = createSealer({ secret: { id, ...pair }, ...options })
        const { unseal } = createSealer({ secret: { id, ...pair }, interop: 'iron', ...options })
        for (const iron of [Webcrypto, Hapi]) {
          const token = await seal({ note: 'x' })
          t.match(await iron.unseal(token, { [token.split('*')[1]!]: theirs }, iron.defaults), { d: { note: 'x' } })
          await t.rejects(iron.unseal(token, { [token.split('*')[1]!]: { encryption: theirs.integrity, integrity: theirs.encryption } }, iron.defaults))
          const sealed = await iron.seal({ note: 'y' }, { id: 'k1', ...theirs }, { ...iron.defaults, ttl: 60_000 })
          t.match(await unseal(sealed), { ok: true, data: { note: 'y' } })
          t.match(await unseal(await seal({ note: 'z' })), { ok: true, data: { note: 'z' } })
        }
      }
    })

    t.test(`${engine}, ${kind}: each half counts`, async t => {
      const token = await createSealer({ secret: { id: 'k1', ...pair }, ...options }).seal({ note: 'x' })
      for (const half of ['encryption', 'integrity'] as const) {
        const value = typeof pair[half] === 'string' ? `${secret} of another app` : new Uint8Array(32).fill(7)
        const { ok } = await createSealer({ secret: { id: 'k1', ...pair, [half]: value }, ...options }).unseal(token)
        t.equal(ok, false, half)
      }
    })
  }
}

t.test('a pair without an id has a derived one, which depends on both halves', async t => {
  const idOf = async (given: SealerOptions['secret']): Promise<string> => (await createSealer({ secret: given }).seal({})).split('*')[1]!
  const ids = await Promise.all([
    { encryption: secret, integrity: olderSecret }, { encryption: olderSecret, integrity: secret }, { encryption: secret, integrity: bytes }, secret
  ].map(idOf))
  t.equal(new Set(ids).size, 4)
  for (const id of ids) t.match(id, /^[\da-f]{10}$/)
  t.equal(await idOf({ encryption: secret, integrity: secret }), ids[3], 'two equal halves are a plain secret')
})

t.test('a pair and a plain secret rotate into each other', async t => {
  const pair = { encryption: `${secret} 1`, integrity: `${secret} 2` }
  const token = await createSealer({ secret }).seal({ note: 'x' })
  const app = await makeApp({ secret: [pair, secret] }, { '/': read })
  const jar = new Jar(app)
  jar.cookies.set('session', token)
  t.equal((await jar.get('/')).json.reason, null)
  t.match(await createSealer({ secret: pair }).unseal(jar.cookies.get('session')!), { ok: true, data: { note: 'x' } })
})

t.test('with interop iron-session a pair is an error, because iron-session has one password for an id', async t => {
  const pair = { encryption: secret, integrity: olderSecret }
  for (const given of [pair, { id: '1', ...pair }, [secret, pair]]) {
    t.throws(() => createSealer({ secret: given, interop: 'iron-session' }), { code: 'FST_SESSION_INVALID_OPTION', message: /iron-session has one password for an id/ })
  }
  await t.rejects(sealData({ note: 'x' }, { password: { 1: pair } as never }), { message: 'Empty password' }, 'it cannot seal with one')
})

t.test('undefined after the first secret is skipped', async t => {
  const token = await createSealer({ secret: olderSecret }).seal({ note: 'x' })
  for (const given of [[secret, undefined, olderSecret], [secret, olderSecret, undefined], [secret, undefined, undefined, { id: 'a', secret: olderSecret }, olderSecret]]) {
    if (given.length === 5) t.throws(() => createSealer({ secret: [...given, undefined, olderSecret] }), { message: /two secrets have the id/ })
    t.match(await createSealer({ secret: given }).unseal(token), { ok: true, data: { note: 'x' } })
  }
  t.throws(() => createSealer({ secret: [undefined, secret] }), { code: 'FST_SESSION_SECRET_MISSING', message: /"secret\[0\]"/ })
  t.throws(() => createSealer({ secret: [secret, undefined, 'short'] }), { code: 'FST_SESSION_SECRET_WEAK', message: /"secret\[2\]"/ })
  const numbered = await createSealer({ secret: [secret, undefined], interop: 'iron-session' }).seal({})
  t.equal(numbered.split('*')[1], '1', 'it has no number either')
})
