import { createRequire } from 'node:module'
import type { Server } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'

type Bag = Record<string, unknown>

// Without their types: each of them gives request.session a meaning of its own.
const require = createRequire(import.meta.url)
const load = (name: string): FastifyPluginCallback<Bag> => require(name) as FastifyPluginCallback<Bag>

export const secret = 'a benchmark secret of forty-two characters'
export const user = { id: 'u-1234567', name: 'Ada Lovelace' }
const cookie = { path: '/', httpOnly: true, sameSite: 'lax', secure: false } as const
const maxAge = 1_209_600

/** What every peer does with a session, in its own words. */
interface Verbs {
  login (request: FastifyRequest, reply: FastifyReply, id: string): unknown
  user (request: FastifyRequest, reply: FastifyReply): unknown
  change (request: FastifyRequest, reply: FastifyReply, views: number): unknown
}

const bag = (request: FastifyRequest): Bag => request.session as unknown as Bag
const calls = (request: FastifyRequest): Map<string, unknown> => request.session as unknown as Map<string, unknown>

const plain: Verbs = {
  login: (request, _reply, id) => { bag(request).user = { ...user, id }; bag(request).views = 1 },
  user: request => bag(request).user,
  change: (request, _reply, views) => { bag(request).views = views }
}

const methods: Verbs = {
  login: (request, _reply, id) => { calls(request).set('user', { ...user, id }); calls(request).set('views', 1) },
  user: request => calls(request).get('user'),
  change: (request, _reply, views) => { calls(request).set('views', views) }
}

/** The work of a cookie without a session: a value of the same size is parsed, and set where due. */
const value = 'x'.repeat(380)
const bare: Verbs = {
  login: (_request, reply) => { reply.setCookie('session', value, { ...cookie, maxAge }) },
  user: request => request.cookies.session === undefined ? undefined : user,
  change: (_request, reply) => { reply.setCookie('session', value, { ...cookie, maxAge }) }
}

type IronSession = Bag & { save (): Promise<void> }
const { getIronSession } = await import('iron-session')
const opened = async ({ raw }: FastifyRequest, reply: FastifyReply): Promise<IronSession> =>
  await getIronSession<Bag>(raw, reply.raw, { password: secret, cookieName: 'session', ttl: maxAge, cookieOptions: cookie }) as IronSession
const ironSession: Verbs = {
  async login (request, reply, id) {
    const session = await opened(request, reply)
    Object.assign(session, { user: { ...user, id }, views: 1 })
    await session.save()
  },
  user: async (request, reply) => (await opened(request, reply)).user,
  async change (request, reply, views) {
    const session = await opened(request, reply)
    session.views = views
    await session.save()
  }
}

type Peer = (app: FastifyInstance) => Promise<Verbs>

/** By the name that the tables show. */
export const peers: Record<string, Peer> = {
  'fastify-iron-session': async app => {
    const { default: sessionPlugin } = await import('fastify-iron-session')
    await app.register(sessionPlugin, { secret, cookie })
    return plain
  },
  '@fastify/secure-session': async app => {
    await app.register(load('@fastify/secure-session'), { key: Buffer.alloc(32, 5), cookie: { ...cookie, maxAge } })
    return methods
  },
  'Fastify + @fastify/cookie': async app => {
    await app.register(load('@fastify/cookie'))
    return bare
  },
  'iron-session': async () => ironSession,
  '@fastify/session (memory)': async app => {
    await app.register(load('@fastify/cookie'))
    await app.register(load('@fastify/session'), { secret, cookie: { ...cookie, maxAge: maxAge * 1000 }, saveUninitialized: false, rolling: false })
    return methods
  }
}

/** Starts a peer, with the routes that the rows ask for. */
export async function serve (name: string): Promise<Server> {
  const app = Fastify()
  const { login, user, change } = await peers[name]!(app)
  let views = 1
  app.get('/untouched', async () => ({ ok: true }))
  app.get('/read', async (request, reply) => ({ user: await user(request, reply) }))
  app.get('/write', async (request, reply) => {
    await change(request, reply, ++views)
    return { views }
  })
  app.get<{ Params: { id: string } }>('/login/:id', async (request, reply) => {
    await login(request, reply, request.params.id)
    return { ok: true }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server
}
