import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import type {
  ReservedKey, ResponseCookieOptions, Session, SessionCookieOptions, SessionData, SessionInfo, SessionReason
} from '../lib/index.js'

declare module './index.js' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

declare const request: FastifyRequest
declare const session: Session<{ cart?: string[], theme: 'dark' | 'light' }>

describe('request.session', () => {
  test('has the keys that were merged into SessionData', () => {
    expect(request.session).type.toBe<Session>()
    expect(request.session.views).type.toBe<number | undefined>()
    expect(request.session.user).type.toBe<{ id: string, name: string } | undefined>()
    request.session.views = (request.session.views ?? 0) + 1
    request.session.user = { id: 'u1', name: 'Ada' }
    delete request.session.views
  })

  test('refuses unknown keys and values of another type', () => {
    // @ts-expect-error Property 'nothing' does not exist on type
    request.session.nothing = 1
    // @ts-expect-error Property 'nothing' does not exist on type
    request.session.nothing.at(0)
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    request.session.views = 'one'
    // @ts-expect-error Property 'name' is missing in type
    request.session.user = { id: 'u1' }
  })

  test('cannot be assigned or deleted itself', () => {
    // @ts-expect-error Cannot assign to 'session' because it is a read-only property
    request.session = {} as Session
    // @ts-expect-error The operand of a 'delete' operator cannot be a read-only property
    delete request.session
  })

  test('keeps its members as they are', () => {
    // @ts-expect-error Cannot assign to 'get' because it is a read-only property
    request.session.get = () => undefined
    // @ts-expect-error Cannot assign to 'info' because it is a read-only property
    request.session.info = {} as SessionInfo
    // @ts-expect-error Cannot assign to 'changed' because it is a read-only property
    request.session.changed = true
    // @ts-expect-error Cannot assign to 'deleted' because it is a read-only property
    request.session.deleted = true
  })
})

describe('get and set', () => {
  test('are typed by key', () => {
    expect(request.session.get('views')).type.toBe<number | undefined>()
    expect(session.get('theme')).type.toBe<'dark' | 'light' | undefined>()
    expect(session.set('cart', ['apple'])).type.toBe<void>()
    const key = 'cart' as 'cart' | 'theme'
    expect(session.get(key)).type.toBe<string[] | 'dark' | 'light' | undefined>()
  })

  test('have no overload that takes any key or any value', () => {
    // @ts-expect-error Argument of type '"nothing"' is not assignable to parameter of type
    session.get('nothing')
    // @ts-expect-error Argument of type 'string' is not assignable to parameter of type
    session.get('cart' as string)
    // @ts-expect-error Argument of type 'unique symbol' is not assignable to parameter of type
    session.get(Symbol.iterator)
    // @ts-expect-error Argument of type '"nothing"' is not assignable to parameter of type
    session.set('nothing', 1)
    // @ts-expect-error Type 'number' is not assignable to type 'string'
    session.set('cart', [1])
    // @ts-expect-error Argument of type '"blue"' is not assignable to parameter of type
    session.set('theme', 'blue')
    // @ts-expect-error Expected 2 arguments, but got 1
    session.set('theme')
  })
})

describe('a reserved key', () => {
  const hidden = {} as Session<{ get?: string, info?: number, level?: number }>

  test('is the name of a member', () => {
    expect<ReservedKey>().type.toBe<
      'get' | 'set' | 'clear' | 'regenerate' | 'destroy' | 'delete' | 'touch' | 'persist' | 'options' | 'data' | 'changed' |
      'deleted' | 'info'
    >()
  })

  test('is a member even where the data declares it', () => {
    expect(hidden.info).type.toBe<SessionInfo>()
    expect(hidden.get('level')).type.toBe<number | undefined>()
    expect(hidden.data()).type.toBe<{ level?: number }>()
  })

  test('can be neither read nor set as data', () => {
    // @ts-expect-error Cannot assign to 'get' because it is a read-only property
    hidden.get = 'text'
    // @ts-expect-error Argument of type '"get"' is not assignable to parameter of type '"level"'
    hidden.get('get')
    // @ts-expect-error Argument of type '"info"' is not assignable to parameter of type '"level"'
    hidden.set('info', 1)
    // @ts-expect-error Type '"get"' is not assignable to type '"level"'
    hidden.regenerate(['get'])
  })
})

describe('the members', () => {
  test('regenerate keeps known keys, in any array', () => {
    expect(session.regenerate()).type.toBe<void>()
    session.regenerate(['cart', 'theme'])
    const keep = ['cart'] as const
    session.regenerate(keep)
    // @ts-expect-error Type '"nothing"' is not assignable to type '"cart" | "theme"'
    session.regenerate(['nothing'])
    // @ts-expect-error Argument of type 'string' is not assignable to parameter of type
    session.regenerate('cart')
  })

  test('clear, destroy, delete and touch take nothing and give nothing', () => {
    expect(session.clear).type.toBe<() => void>()
    expect(session.destroy).type.toBe<() => void>()
    expect(session.delete).type.toBe<() => void>()
    expect(session.touch).type.toBe<() => void>()
    // @ts-expect-error Expected 0 arguments, but got 1
    session.destroy((_error: unknown) => {})
    // @ts-expect-error Expected 0 arguments, but got 1
    session.delete('cart')
  })

  test('persist takes seconds or false', () => {
    expect(session.persist).type.toBe<(idleTimeout: number | false) => void>()
    // @ts-expect-error Argument of type 'true' is not assignable to parameter of type 'number | false'
    session.persist(true)
    // @ts-expect-error Argument of type '"1d"' is not assignable to parameter of type 'number | false'
    session.persist('1d')
  })

  test('options takes the attributes of this response, and maxAge', () => {
    expect(session.options).type.toBe<(cookie: ResponseCookieOptions) => void>()
    expect<Exclude<keyof ResponseCookieOptions, keyof SessionCookieOptions>>().type.toBe<'maxAge'>()
    session.options({ path: '/admin', sameSite: 'strict', secure: 'auto', priority: 'high', partitioned: false, maxAge: 60 })
    // @ts-expect-error Type '"sometimes"' is not assignable to type
    session.options({ sameSite: 'sometimes' })
    // @ts-expect-error 'expires' does not exist in type 'ResponseCookieOptions'
    session.options({ expires: new Date() })
  })

  test('data gives a plain copy, without the members', () => {
    expect(session.data()).type.toBe<{ cart?: string[], theme: 'dark' | 'light' }>()
    expect(request.session.data()).type.toBeAssignableTo<SessionData>()
    // @ts-expect-error Property 'get' does not exist on type
    request.session.data().get('views')
  })

  test('info is read-only, with dates and the reasons', () => {
    const { info } = request.session
    expect(info).type.toBe<SessionInfo>()
    expect<SessionInfo>().type.toBe<{
      readonly id: string,
      readonly createdAt: Date,
      readonly expiresAt: Date,
      readonly isNew: boolean,
      readonly reason: SessionReason | null,
      readonly bound: boolean,
      readonly provenAt: Date | null
    }>()
    expect<SessionReason>().type.toBe<
      'absent' | 'malformed' | 'unknown-key' | 'tampered' | 'expired' | 'outlived' | 'wrong-name' | 'foreign' | 'revoked' |
      'invalid' | 'not-stored' | 'unproven'
    >()
    // @ts-expect-error Cannot assign to 'id' because it is a read-only property
    info.id = 'mine'
  })

  test('changed and deleted are booleans', () => {
    expect(session.changed).type.toBe<boolean>()
    expect(session.deleted).type.toBe<boolean>()
  })
})

describe('a session of any data', () => {
  const loose = {} as Session<Record<string, unknown>>

  test('takes any key, and its members keep their types', () => {
    expect(loose.anything).type.toBe<unknown>()
    expect(loose.get('anything')).type.toBe<unknown>()
    loose.set('anything', 1)
    expect(loose.info).type.toBe<SessionInfo>()
    expect(loose.data()).type.toBe<{ [key: string]: unknown }>()
  })
})
