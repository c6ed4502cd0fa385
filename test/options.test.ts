import { randomBytes } from 'node:crypto'
import Keyv from 'keyv'
import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { parseSealerOptions, parseSessionOptions } from '../lib/options/options.js'
import { olderSecret, secret } from './fixtures/app.js'

t.test('the defaults are those of the README', async t => {
  t.match(parseSessionOptions({ secret }), {
    sessionName: 'session',
    cookieName: 'session',
    idleTimeout: 1_209_600,
    absoluteTimeout: 7_776_000,
    rolling: true,
    persistent: true,
    maxCookies: 1,
    cacheSize: 4000,
    cacheHeaders: true,
    iron: undefined,
    store: undefined,
    storage: 'cookie',
    storeTimeout: 5,
    isRevoked: undefined
  })
  t.equal(parseSessionOptions({ secret, store: new Keyv() }).storage, 'store')
})

t.test('given options are used', async t => {
  const options = {
    secret,
    sessionName: 'admin',
    cookieName: 'sid',
    idleTimeout: 1,
    absoluteTimeout: false as const,
    rolling: false,
    persistent: false,
    maxCookies: 8,
    cacheSize: 0,
    cacheHeaders: false,
    prefix: '/x',
    logLevel: 'warn',
    logSerializers: {}
  }
  const { prefix, logLevel, logSerializers, secret: _, ...rest } = options
  t.match(parseSessionOptions(options), rest)
})

t.test('an error for a wrong value names the option, the given value and the accepted values', async t => {
  const cases: Array<[options: object, option: string]> = [
    [{ sessionName: '' }, 'sessionName'],
    [{ sessionName: 5 }, 'sessionName'],
    [{ sessionName: {} }, 'sessionName'],
    [{ cookieName: 5 }, 'cookieName'],
    [{ cookie: 'x' }, 'cookie'],
    [{ cookie: null }, 'cookie'],
    [{ idleTimeout: null }, 'idleTimeout'],
    [{ idleTimeout: 0 }, 'idleTimeout'],
    [{ idleTimeout: '60' }, 'idleTimeout'],
    [{ idleTimeout: Infinity }, 'idleTimeout'],
    [{ absoluteTimeout: -1 }, 'absoluteTimeout'],
    [{ absoluteTimeout: true }, 'absoluteTimeout'],
    [{ absoluteTimeout: NaN }, 'absoluteTimeout'],
    [{ rolling: 1 }, 'rolling'],
    [{ persistent: 'no' }, 'persistent'],
    [{ store: null }, 'store'],
    [{ store: 'redis://127.0.0.1' }, 'store'],
    [{ store: { get () {}, set () {} } }, 'store'],
    [{ storage: 'store' }, 'storage'],
    [{ storage: 'overflow' }, 'storage'],
    [{ storage: 'disk' }, 'storage'],
    [{ storage: 'cookie', store: new Keyv() }, 'storage'],
    [{ storeTimeout: 0 }, 'storeTimeout'],
    [{ storeTimeout: 3601 }, 'storeTimeout'],
    [{ storeTimeout: '5' }, 'storeTimeout'],
    [{ isRevoked: true }, 'isRevoked'],
    [{ isRevoked: null }, 'isRevoked'],
    [{ isRevoked: { check () {} } }, 'isRevoked'],
    [{ maxCookies: 0 }, 'maxCookies'],
    [{ maxCookies: 9 }, 'maxCookies'],
    [{ maxCookies: 1.5 }, 'maxCookies'],
    [{ cacheSize: -1 }, 'cacheSize'],
    [{ cacheHeaders: [] }, 'cacheHeaders'],
    [{ interop: 'h3' }, 'interop'],
    [{ schema: {} }, 'schema'],
    [{ ttl: 5 }, 'ttl'],
    [{ iron: 'x' }, 'iron'],
    [{ iron: [] }, 'iron'],
    [{ iron: { ttl: 5 } }, 'iron.ttl'],
    [{ iron: { encryption: 1 } }, 'iron.encryption'],
    [{ iron: { encryption: { algorithm: 'des' } } }, 'iron.encryption.algorithm'],
    [{ iron: { integrity: { algorithm: 'md5' } } }, 'iron.integrity.algorithm'],
    [{ iron: { integrity: { iterations: 0 } } }, 'iron.integrity.iterations'],
    [{ iron: { encryption: { saltBits: 100 } } }, 'iron.encryption.saltBits'],
    [{ iron: { encryption: { minPasswordlength: 99 } } }, 'iron.encryption.minPasswordlength'],
    [{ iron: { encryption: { salt: 'x' } } }, 'iron.encryption.salt'],
    [{ iron: { timestampSkewSec: -1 } }, 'iron.timestampSkewSec'],
    [{ iron: { localtimeOffsetMsec: 0.5 } }, 'iron.localtimeOffsetMsec'],
    [{ iron: { encode: 'x' } }, 'iron.encode'],
    [{ secret: new Uint8Array(32).fill(1), iron: { encryption: { algorithm: 'aes-128-ctr' } } }, 'iron.encryption.algorithm']
  ]
  for (const [options, option] of cases) {
    t.throws(() => parseSessionOptions({ secret, ...options } as SessionOptions), { code: 'FST_SESSION_INVALID_OPTION', message: `"${option}"` }, option)
  }
  for (const options of [undefined, null, 'x', []]) t.throws(() => parseSessionOptions(options as never), { code: 'FST_SESSION_INVALID_OPTION' })
  t.throws(() => parseSessionOptions({ secret, idleTimeout: -5 }), { message: 'Option "idleTimeout" must be a number of seconds above 0; got -5' })
  t.throws(() => parseSessionOptions({ secret, sessionName: (() => {}) as never }), { message: 'got a function' })
  t.throws(() => parseSessionOptions({ secret, rolling: 'y'.repeat(100) as never }), { message: /got a string of 100 characters$/ })
})

t.test('a secret that can be guessed is rejected, whatever its length', async t => {
  const weak: Array<[secret: string | Uint8Array, flaw: string]> = [
    ['a'.repeat(32), 'a repetition of one character'],
    ['0'.repeat(64), 'a repetition of one character'],
    ['ab12'.repeat(16), 'a repetition of 4 characters'],
    ['😀'.repeat(40), 'a repetition of one character'],
    ['a secret with minimum length of 32 characters', 'an example from documentation'],
    [' complex_password_at_least_32_characters_long\n', 'an example from documentation'],
    [Buffer.alloc(32), 'bytes that are all zero']
  ]
  for (const [value, flaw] of weak) {
    const message = `Option "secret" is too weak: it must not be guessable; got ${flaw}. \`npx fastify-sealed-session keygen\` generates a strong one`
    t.throws(() => parseSealerOptions({ secret: value }), { code: 'FST_SESSION_SECRET_WEAK', message })
    t.throws(() => parseSealerOptions({ secret: [secret, { id: 'old', secret: value }] }), { code: 'FST_SESSION_SECRET_WEAK', message: '"secret[1].secret"' })
  }
  for (let n = 0; n < 200; n++) {
    t.doesNotThrow(() => parseSealerOptions({ secret: randomBytes(32).toString('hex') }))
    t.doesNotThrow(() => parseSealerOptions({ secret: randomBytes(24).toString('base64url') }))
    t.doesNotThrow(() => parseSealerOptions({ secret: randomBytes(32) }))
  }
})

t.test('a secret that is missing, weak or of another type is rejected without being shown', async t => {
  const short = 'only-25-characters-secret'
  const cases: Array<[secret: unknown, code: string, option: string]> = [
    [undefined, 'MISSING', 'secret'], [null, 'MISSING', 'secret'], ['', 'MISSING', 'secret'], [[], 'MISSING', 'secret'],
    [[undefined, secret], 'MISSING', 'secret[0]'], [[secret, ''], 'MISSING', 'secret[1]'], [{ id: 'a', secret: '' }, 'MISSING', 'secret.secret'], [{ id: 'a' }, 'MISSING', 'secret.secret'],
    [{ encryption: secret }, 'MISSING', 'secret.integrity'], [{ integrity: secret }, 'MISSING', 'secret.encryption'],
    [{ encryption: secret, integrity: short }, 'WEAK', 'secret.integrity'],
    [short, 'WEAK', 'secret'], [[secret, short], 'WEAK', 'secret[1]'], [{ id: 'a', secret: short }, 'WEAK', 'secret.secret'],
    [new Uint8Array(31), 'WEAK', 'secret'], [Buffer.alloc(33), 'WEAK', 'secret']
  ]
  for (const [value, code, option] of cases) {
    t.throws(() => parseSealerOptions({ secret: value as string }), { code: `FST_SESSION_SECRET_${code}`, message: `"${option}"` })
  }
  for (const value of [12345678901234567890123456789012n, 4711, true]) {
    t.throws(() => parseSealerOptions({ secret: value as never }), { code: 'FST_SESSION_INVALID_OPTION', message: new RegExp(`got a ${typeof value}$`) })
  }
  const invalid: unknown[] = [5, true, { secret }, { id: 'a b', secret }, { id: '', secret }, { id: 5, secret }, { id: 'a', secret, key: 1 },
    { id: 'a', secret: 5 }, { id: 'a', secret, integrity: secret }, new Uint16Array(32), [secret, secret], [{ id: 'a', secret }, { id: 'a', secret: olderSecret }]]
  for (const value of invalid) t.throws(() => parseSealerOptions({ secret: value as string }), { code: 'FST_SESSION_INVALID_OPTION', message: /"secret/ })
  for (const value of [short, [short], { id: 'x y', secret: short }, { id: 'a', secret: short, extra: short }, [secret, secret]]) {
    try {
      parseSealerOptions({ secret: value as string })
      t.fail('accepted')
    } catch (error) {
      const { message, stack } = error as Error
      t.notMatch(message + stack + JSON.stringify(error), /only-25|a secret for tests/)
    }
  }
})

t.test('the caller\'s objects are neither changed nor kept', async t => {
  const bytes = new Uint8Array(32).fill(1)
  const iron = Object.freeze({ encryption: Object.freeze({ iterations: 2, saltBits: undefined as never }) })
  const config = parseSealerOptions(Object.freeze({ secret: Object.freeze([bytes, Object.freeze({ id: 'a', secret })]) as never, iron }))
  bytes.fill(2)
  t.same(config.keyring.newest.encryption, new Uint8Array(32).fill(1))
  t.same(config.iron, { encryption: { iterations: 2 } })
  t.not(config.iron, iron)
  t.equal(parseSealerOptions({ secret, iron: {} }).iron, undefined)
  t.equal(parseSealerOptions({ secret, iron: { encode: undefined } as never }).iron, undefined)
})

t.test('ids derived from a secret are the same everywhere and differ between secrets', async t => {
  const ids = (...secrets: Array<string | Uint8Array>): string[] => parseSealerOptions({ secret: secrets }).keyring.all.map(({ id }) => id)
  const [one, two, three] = ids(secret, olderSecret, new Uint8Array(32).fill(1))
  t.match(one, /^[\da-f]{10}$/)
  t.equal(new Set([one, two, three]).size, 3)
  t.same(ids(olderSecret), [two])
  t.notMatch(Buffer.from(secret).toString('hex'), one)
})
