import { type } from 'arktype'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import Keyv from 'keyv'
import { describe, expect, test } from 'tstyche'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import * as v from 'valibot'
import { z } from 'zod'
import sessionPlugin, { createSealer, denylist, fromExpressStore } from '../lib/index.js'
import type {
  DeviceBoundOptions, RevocationList, SealerOptions, Secret, SessionCookieOptions, SessionInfo, SessionOptions, SessionStore, StandardSchema
} from '../lib/index.js'

const app = Fastify()
const secret = process.env.SESSION_SECRET
const bytes = new Uint8Array(32)
const expressStore = new expressSession.MemoryStore()

/** Options as a call takes them: names that are unknown are refused. */
declare function take (options: SessionOptions): void

describe('options', () => {
  test('are known by name, and all but the secret may be left out or undefined', () => {
    expect<keyof SessionOptions>().type.toBe<
      'secret' | 'sessionName' | 'idleTimeout' | 'absoluteTimeout' | 'interop' | 'schema' | 'iron' | 'cacheSize' | 'cookieName' |
      'cookie' | 'rolling' | 'persistent' | 'maxCookies' | 'store' | 'storage' | 'storeTimeout' | 'isRevoked' | 'userOf' | 'maxSessions' | 'deviceBound' |
      'cacheHeaders'
    >()
    expect<keyof SealerOptions>().type.toBe<
      'secret' | 'sessionName' | 'idleTimeout' | 'absoluteTimeout' | 'interop' | 'schema' | 'iron' | 'cacheSize'
    >()
    expect<{ secret: undefined }>().type.toBeAssignableTo<SessionOptions>()
    expect<{ secret: string } & { [Name in Exclude<keyof SessionOptions, 'secret'>]: undefined }>()
      .type.toBeAssignableTo<SessionOptions>()
    expect<{ idleTimeout: 60 }>().type.not.toBeAssignableTo<SessionOptions>()
  })

  test('deviceBound needs a function that chooses sessions by their data and their request', () => {
    take({ secret, deviceBound: { when: (data, request) => request.protocol === 'https' && Object.keys(data).length > 0 } })
    take({ secret, deviceBound: { when: () => true, timeout: 300, challengeTimeout: 30, path: '/bind', cookieName: 'proof', reload: false, required: 60 } })
    expect<{ timeout: 300 }>().type.not.toBeAssignableTo<DeviceBoundOptions>()
    expect<{ when: () => string }>().type.not.toBeAssignableTo<DeviceBoundOptions>()
    expect<{ when: () => true, required: true }>().type.not.toBeAssignableTo<DeviceBoundOptions>()
  })

  test('userOf gets the data, and returns a string or undefined', () => {
    take({ secret, userOf: data => data.user?.id, maxSessions: 5 })
    // @ts-expect-error Type 'number | undefined' is not assignable to type 'string | undefined'
    take({ secret, userOf: data => data.views })
    // @ts-expect-error Type 'Promise<string>' is not assignable to type 'string'
    take({ secret, userOf: async () => 'u1' })
  })

  test('are refused where they are misspelt or of another type', () => {
    // @ts-expect-error 'idleTimout' does not exist in type 'SessionOptions'. Did you mean to write 'idleTimeout'?
    take({ secret, idleTimout: 60 })
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    take({ secret, idleTimeout: '1d' })
    // @ts-expect-error Type 'true' is not assignable to type 'number | false | undefined'
    take({ secret, absoluteTimeout: true })
    // @ts-expect-error Type 'number' is not assignable to type 'boolean | undefined'
    take({ secret, rolling: 1 })
  })

  test('are checked in register, where those of Fastify may stand beside them', () => {
    app.register(sessionPlugin, { secret, prefix: '/app', logLevel: 'warn', logSerializers: {} })
    app.register(sessionPlugin, () => ({ secret }))
    // @ts-expect-error No overload matches this call
    app.register(sessionPlugin, { secret, idleTimout: 60 })
    // @ts-expect-error No overload matches this call
    app.register(sessionPlugin, { secret, cookie: { maxAge: 60 } })
    // @ts-expect-error No overload matches this call
    app.register(sessionPlugin, { idleTimeout: 60 })
  })
})

describe('secret', () => {
  test('is text, bytes, either with an id, or a list of them', () => {
    take({ secret: 'text' })
    take({ secret: Buffer.alloc(32) })
    take({ secret: { id: 'k1', secret: bytes } })
    take({ secret: ['text', bytes, { id: 'k2', secret: 'text' }] })
    take({ secret: ['text', bytes] as const })
    take({ secret: ['text', process.env.OLD_SECRET] })
    take({ secret: { encryption: 'text', integrity: bytes } })
    expect<Secret>().type.toBe<
      string | Uint8Array | { id: string, secret: string | Uint8Array } |
      { id?: string | undefined, encryption: string | Uint8Array, integrity: string | Uint8Array }
    >()
  })

  test('is nothing else', () => {
    // @ts-expect-error Type 'number' is not assignable to type
    take({ secret: 1 })
    // @ts-expect-error Type 'null' is not assignable to type
    take({ secret: null })
    // @ts-expect-error Type '{ encryption: string; }' is not assignable to type
    take({ secret: { encryption: 'text' } })
    // @ts-expect-error Type '{ secret: string; }' is not assignable to type
    take({ secret: { secret: 'text' } })
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    take({ secret: { id: 1, secret: 'text' } })
  })
})

describe('cookie', () => {
  test('takes the attributes, and no lifetime', () => {
    expect<keyof SessionCookieOptions>().type.toBe<
      'domain' | 'path' | 'httpOnly' | 'sameSite' | 'secure' | 'priority' | 'partitioned'
    >()
    take({ secret, cookie: { path: '/', httpOnly: true, sameSite: 'none', secure: 'auto', domain: undefined } })
    // @ts-expect-error 'maxAge' does not exist in type 'SessionCookieOptions'
    take({ secret, cookie: { maxAge: 60 } })
    // @ts-expect-error 'expires' does not exist in type 'SessionCookieOptions'
    take({ secret, cookie: { expires: new Date() } })
    // @ts-expect-error 'signed' does not exist in type 'SessionCookieOptions'
    take({ secret, cookie: { signed: true } })
    take({ secret, cookie: { sameSite: 'Lax' } })
    // @ts-expect-error Type '"lax "' is not assignable to type
    take({ secret, cookie: { sameSite: 'lax ' } })
  })
})

describe('store', () => {
  test('is a Keyv as it is, or an object of the same methods', () => {
    take({ secret, store: new Keyv() })
    take({ secret, store: new Keyv<string>({ namespace: 'sessions' }) })
    const entries = new Map<string, string>()
    take({
      secret,
      store: {
        get: async id => entries.get(id),
        set: async (id, value, ttlMs) => entries.set(id, `${value}${ttlMs.toFixed()}`),
        delete: async id => entries.delete(id)
      }
    })
    // @ts-expect-error Property 'delete' is missing in type
    take({ secret, store: { get: async () => undefined, set: async () => {} } })
    // @ts-expect-error Property 'delete' is missing in type 'MemoryStore'
    take({ secret, store: expressStore })
    // @ts-expect-error is not assignable to type
    take({ secret, store: new Map() })
  })

  test('is made of the stores of express-session', () => {
    const client: unknown = undefined
    expect(fromExpressStore(new RedisStore({ client }))).type.toBe<SessionStore>()
    expect(fromExpressStore(new (connectPgSimple(expressSession))())).type.toBe<SessionStore>()
    expect(fromExpressStore(expressStore)).type.toBe<SessionStore>()
    take({ secret, store: fromExpressStore(expressStore) })
    // @ts-expect-error Argument of type 'Keyv
    fromExpressStore(new Keyv())
  })

  test('is used as storage says', () => {
    expect<SessionOptions['storage']>().type.toBe<'cookie' | 'store' | 'overflow' | undefined>()
    // @ts-expect-error Type '"redis"' is not assignable to type
    take({ secret, storage: 'redis' })
  })
})

describe('isRevoked', () => {
  test('is a function that is given info and perhaps a request, or a list', () => {
    take({
      secret,
      isRevoked: (info, request) => {
        expect(info).type.toBe<SessionInfo>()
        expect(request).type.toBe<FastifyRequest | undefined>()
        return info.createdAt.getTime() < 0
      }
    })
    take({ secret, isRevoked: async ({ id }) => id === '' })
    take({ secret, isRevoked: { check: async () => false, revoke: info => { expect(info.expiresAt).type.toBe<Date>() } } })
    expect(denylist(new Keyv())).type.toBe<RevocationList>()
    take({ secret, isRevoked: denylist(fromExpressStore(expressStore)) })
  })

  test('answers with a boolean, and a list can revoke', () => {
    // @ts-expect-error Type 'string' is not assignable to type
    take({ secret, isRevoked: () => 'no' })
    // @ts-expect-error Property 'revoke' is missing in type
    take({ secret, isRevoked: { check: () => false } })
    // @ts-expect-error Type 'true' is not assignable to type
    take({ secret, isRevoked: true })
  })
})

describe('interop and iron', () => {
  test('interop is off, iron or iron-session', () => {
    expect<SessionOptions['interop']>().type.toBe<false | 'iron' | 'iron-session' | undefined>()
    // @ts-expect-error Type 'true' is not assignable to type
    take({ secret, interop: true })
    // @ts-expect-error Type '"h3"' is not assignable to type
    take({ secret, interop: 'h3' })
  })

  test('iron takes parts of the parameters, but no ttl', () => {
    take({ secret, iron: { encryption: { algorithm: 'aes-128-ctr' }, integrity: { iterations: 2 }, timestampSkewSec: 30 } })
    // @ts-expect-error 'ttl' does not exist in type 'IronOptions'
    take({ secret, iron: { ttl: 60 } })
    // @ts-expect-error Type '"sha512"' is not assignable to type '"sha256"'
    take({ secret, iron: { integrity: { algorithm: 'sha512' } } })
  })
})

describe('schema', () => {
  test('is one of zod, valibot or arktype, or any of the Standard Schema', () => {
    expect(z.object({ views: z.int() })).type.toBeAssignableTo<StandardSchema>()
    expect(v.object({ views: v.pipe(v.number(), v.integer()) })).type.toBeAssignableTo<StandardSchema>()
    expect(type({ views: 'number.integer' })).type.toBeAssignableTo<StandardSchema>()
    take({ secret, schema: z.object({ views: z.int().default(0) }) })
    take({ secret, schema: v.object({ views: v.optional(v.number(), 0) }) })
    take({ secret, schema: type({ 'views?': 'number' }) })
    createSealer({ secret, schema: z.record(z.string(), z.unknown()) })
  })

  test('is written around what TypeBox compiles', () => {
    const compiled = Compile(Type.Object({ views: Type.Integer() }))
    take({
      secret,
      schema: {
        '~standard': {
          version: 1,
          vendor: 'typebox',
          validate: value => compiled.Check(value) ? { value } : { issues: compiled.Errors(value) }
        }
      }
    })
  })

  test('is no JSON schema, and no function', () => {
    // @ts-expect-error Property ''~standard'' is missing in type
    take({ secret, schema: Type.Object({ views: Type.Integer() }) })
    // @ts-expect-error 'type' does not exist in type 'StandardSchema'
    take({ secret, schema: { type: 'object' } })
    // @ts-expect-error is not assignable to type 'StandardSchema'
    take({ secret, schema: (value: unknown) => value })
  })
})
