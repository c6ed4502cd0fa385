import Fastify from 'fastify'
import type {
  FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, FastifyTypeProvider, onRequestHookHandler,
  preHandlerHookHandler
} from 'fastify'
import fp from 'fastify-plugin'
import type { ChannelListener } from 'node:diagnostics_channel'
import { describe, expect, test } from 'tstyche'
import sessionPlugin, { createSealer, errors, getSession, sessionPlugin as named } from '../lib/index.js'
import type {
  ListedSession, Sealer, Session, SessionData, SessionEvents, SessionInfo, SessionManager, SessionReason, Unsealed, UserSessions
} from '../lib/index.js'

declare module './index.js' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

interface AdminData { level?: number }

declare module 'fastify' {
  interface FastifyRequest { readonly admin: Session<AdminData> }
  interface FastifyInstance { admin: SessionManager<AdminData> }
}

const secret = process.env.SESSION_SECRET
const app = Fastify()
declare const request: FastifyRequest
declare const reply: FastifyReply

describe('app.session', () => {
  test('seals, unseals and makes a cookie of the data', () => {
    expect(app.session).type.toBe<SessionManager>()
    expect(app.session.seal({ views: 1 })).type.toBe<Promise<string>>()
    expect(app.session.seal({}, { idleTimeout: 60 })).type.toBe<Promise<string>>()
    expect(app.session.unseal('token')).type.toBe<Promise<Unsealed>>()
    expect(app.session.cookie({ user: { id: 'u1', name: 'Ada' } })).type.toBe<Promise<string>>()
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    app.session.seal({ views: 'one' })
    // @ts-expect-error 'nothing' does not exist in type
    app.session.cookie({ nothing: 1 })
    // @ts-expect-error 'ttl' does not exist in type
    app.session.seal({}, { ttl: 60 })
    // @ts-expect-error Argument of type 'undefined' is not assignable to parameter of type 'string'
    app.session.unseal(undefined)
  })

  test('unseal tells what is there by ok', async () => {
    const result = await app.session.unseal('token')
    expect(result.ok).type.toBe<boolean>()
    // @ts-expect-error Property 'data' does not exist on type
    String(result.data)
    if (result.ok) {
      expect(result.data.views).type.toBe<number | undefined>()
      expect(result.info).type.toBe<SessionInfo>()
      // @ts-expect-error Property 'reason' does not exist on type
      String(result.reason)
    } else {
      expect(result.reason).type.toBe<SessionReason>()
    }
  })

  test('of lists and ends the sessions of a user, typed by the data', () => {
    const sessions = app.session.of('u1')
    expect(sessions).type.toBe<UserSessions>()
    expect(sessions.list()).type.toBe<Promise<Array<ListedSession<SessionData>>>>()
    expect<ListedSession['data']>().type.toBe<{ user?: { id: string, name: string }, views?: number }>()
    expect(app.admin.of('u1').list()).type.toBe<Promise<Array<ListedSession<AdminData>>>>()
    expect(sessions.end('id')).type.toBe<Promise<boolean>>()
    expect(sessions.endAll()).type.toBe<Promise<number>>()
    expect(sessions.endAll({ except: request.session.info.id })).type.toBe<Promise<number>>()
    // @ts-expect-error Argument of type 'undefined' is not assignable to parameter of type 'string'
    app.session.of(undefined)
    // @ts-expect-error has no properties in common
    sessions.endAll('id')
    // @ts-expect-error 'excpet' does not exist in type 'EndAllOptions'
    sessions.endAll({ excpet: 'id' })
  })

  test('signal gives an AbortSignal', () => {
    expect(app.session.signal(request)).type.toBe<AbortSignal>()
    expect(app.session.signal(request, { every: 10 })).type.toBe<AbortSignal>()
    // @ts-expect-error Type 'string' is not assignable to type 'number'
    app.session.signal(request, { every: '10' })
  })

  test('commit gives the Set-Cookie values', () => {
    expect(app.session.commit(request, reply)).type.toBe<Promise<string[]>>()
    // @ts-expect-error Expected 2 arguments, but got 1
    app.session.commit(request)
  })
})

describe('without a request', () => {
  test('createSealer gives seal and unseal, and takes no option of cookies', () => {
    const sealer = createSealer({ secret, sessionName: 'admin', idleTimeout: 60, absoluteTimeout: false, cacheSize: 0, iron: {} })
    expect(sealer).type.toBe<Sealer>()
    expect<keyof Sealer>().type.toBe<'seal' | 'unseal'>()
    expect(sealer.unseal('token')).type.toBe<Promise<Unsealed>>()
    // @ts-expect-error 'cookieName' does not exist in type 'SealerOptions'
    createSealer({ secret, cookieName: 'sid' })
    // @ts-expect-error Property 'secret' is missing in type '{}'
    createSealer({})
  })

  test('getSession gives the session of any request', () => {
    expect(getSession(request)).type.toBe<Session>()
    // @ts-expect-error is not assignable to parameter of type 'FastifyRequest
    getSession(app)
  })

  test('errors are keyed by their codes, and narrow what was caught', () => {
    expect<keyof typeof errors>().type.toBe<
      'FST_SESSION_NOT_REGISTERED' | 'FST_SESSION_SECRET_MISSING' | 'FST_SESSION_SECRET_WEAK' | 'FST_SESSION_INVALID_OPTION' |
      'FST_SESSION_COOKIE_NAME' | 'FST_SESSION_TOO_LARGE' | 'FST_SESSION_NOT_SERIALIZABLE' | 'FST_SESSION_RESERVED_KEY' |
      'FST_SESSION_STORE'
    >()
    const caught: unknown = new Error('any')
    if (caught instanceof errors.FST_SESSION_STORE) {
      expect(caught).type.toBeAssignableTo<FastifyError>()
      expect(caught.code).type.toBe<string>()
      expect(caught.statusCode).type.toBe<number | undefined>()
    }
    // @ts-expect-error Cannot assign to 'FST_SESSION_STORE' because it is a read-only property
    errors.FST_SESSION_STORE = errors.FST_SESSION_TOO_LARGE
  })

  test('the events of the diagnostics channels are named and typed', () => {
    expect<keyof SessionEvents>().type.toBe<'loaded' | 'rejected' | 'saved' | 'destroyed' | 'bound'>()
    const listener: ChannelListener = message => {
      const { reason, sessionName, request } = message as SessionEvents['rejected']
      expect(reason).type.toBe<SessionReason>()
      expect(sessionName).type.toBe<string>()
      expect(request).type.toBe<FastifyRequest>()
    }
    expect(listener).type.toBeAssignableTo<ChannelListener>()
  })
})

describe('a second session', () => {
  test('has its own data and manager', () => {
    app.register(sessionPlugin, { secret, sessionName: 'admin', cookieName: 'admin_sid' })
    app.get('/admin', async request => {
      expect(request.admin.level).type.toBe<number | undefined>()
      request.admin.set('level', 2)
      // @ts-expect-error Property 'views' does not exist on type
      request.admin.views = 1
      // @ts-expect-error Property 'level' does not exist on type
      request.session.level = 1
      // @ts-expect-error Type 'string' is not assignable to type 'number'
      await app.admin.seal({ level: 'high' })
    })
  })
})

describe('a route', () => {
  test('takes no part with session: false, and nothing else stands there', () => {
    app.get('/health', { config: { session: false } }, async request => ({ off: request.routeOptions.config.session }))
    // @ts-expect-error Type '{ session: true; }' is not assignable to type 'never'
    app.get('/true', { config: { session: true } }, async () => 'never')
    expect(request.routeOptions.config.session).type.toBe<false | undefined>()
  })

  test('keeps the types that it gives to its request', () => {
    app.post<{ Body: { name: string }, Querystring: { page?: number }, Params: { id: string }, Reply: { views: number } }>(
      '/:id', async (request, reply) => {
        expect(request.body).type.toBe<{ name: string }>()
        expect(request.query).type.toBe<{ page?: number }>()
        expect(request.params).type.toBe<{ id: string }>()
        expect(request.session).type.toBe<Session>()
        expect(getSession(request)).type.toBe<Session>()
        await app.session.commit(request, reply)
        return { views: request.session.views ?? 0 }
      })
  })

  test('keeps what a type provider infers from its schema', () => {
    interface ConstProvider extends FastifyTypeProvider {
      validator: this['schema'] extends { type: 'object', properties: infer Properties }
        ? { [Key in keyof Properties]: Properties[Key] extends { const: infer Value } ? Value : unknown }
        : unknown
    }
    const typed = app.withTypeProvider<ConstProvider>()
    typed.register(sessionPlugin, { secret })
    const body = { type: 'object', properties: { kind: { const: 'login' } } } as const
    typed.post('/typed', { schema: { body, querystring: body } }, async (request, reply) => {
      expect(request.body.kind).type.toBe<'login'>()
      expect(request.query.kind).type.toBe<'login'>()
      expect(request.session).type.toBe<Session>()
      await typed.session.commit(request, reply)
      return getSession(request).views
    })
  })
})

describe('wherever a request is', () => {
  test('hooks have its session', () => {
    const load: onRequestHookHandler = (request, _reply, done) => {
      expect(request.session).type.toBe<Session>()
      done()
    }
    const guard: preHandlerHookHandler = async (request, reply) => {
      if (request.session.user === undefined) return reply.code(401).send()
      expect(request.session.user).type.toBe<{ id: string, name: string }>()
    }
    app.addHook('onRequest', load)
    app.get('/private', { preHandler: [guard] }, async request => request.session.user)
    app.addHook('onSend', async request => { expect(request.session.changed).type.toBe<boolean>() })
    app.setErrorHandler((_error, request) => { expect(request.session).type.toBe<Session>() })
    app.setNotFoundHandler(request => { expect(request.session).type.toBe<Session>() })
  })

  test('scopes and plugins have it, and app.session', () => {
    const scope: FastifyPluginAsync<{ greeting: string }> = async (app, { greeting }) => {
      await app.register(sessionPlugin, { secret })
      expect(app.session).type.toBe<SessionManager>()
      app.get('/', async request => `${greeting} ${request.session.user?.name}`)
    }
    app.register(scope, { prefix: '/scope', greeting: 'Hello' })
    app.register(fp(async (app: FastifyInstance) => { expect(app.session).type.toBe<SessionManager>() }, { name: 'mine' }))
    expect(named).type.toBe<typeof sessionPlugin>()
  })

  test('servers of every kind take the plugin', () => {
    Fastify({ http2: true }).register(sessionPlugin, { secret }).get('/', async request => request.session.views)
    Fastify({ https: {} }).register(sessionPlugin, { secret }).get('/', async request => request.session.views)
    const { log: loggerInstance } = Fastify()
    Fastify({ loggerInstance }).register(sessionPlugin, { secret }).get('/', async request => request.session.views)
  })
})
