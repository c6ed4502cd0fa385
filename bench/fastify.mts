import { createRequire } from 'node:module'
import type { Server } from 'node:http'
import KeyvRedis from '@keyv/redis'
import type pgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import type { Store as ExpressStore } from 'express-session'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import type { SessionOptions, SessionStore } from 'fastify-sealed-session'
import { Redis } from 'ioredis'
import Keyv from 'keyv'
import pg from 'pg'
import { createClient } from 'redis'
import { cookie, cookieName, maxAge, secret, user, value } from './peers.mjs'
import type { User, Variation } from './peers.mjs'

type Bag = Record<string, unknown>
type RedisClient = ReturnType<typeof createClient>

// Without their types: each of them gives request.session a meaning of its own.
const require = createRequire(import.meta.url)
function load<Exports = FastifyPluginCallback<Bag>> (name: string): Exports { return require(name) as Exports }

/** What every peer does with a session, in its own words, the cheapest that its documentation shows. */
interface Verbs {
  login (request: FastifyRequest, reply: FastifyReply, user: User): unknown
  read (request: FastifyRequest, reply: FastifyReply): unknown
  write (request: FastifyRequest, reply: FastifyReply, views: number): unknown
}

/** The answer of a visit, for peers that have no session to ask */
const visit = { user, views: 1 }
const bare: Verbs = { login () {}, read: () => visit, write () {} }

/** The work of a cookie without a session: a value of the same size is parsed, and set where due. */
const setCookie = (reply: FastifyReply): void => { reply.setCookie(cookieName, value, { ...cookie, maxAge }) }
const cookieAlone: Verbs = {
  login: (_request, reply) => setCookie(reply),
  read: request => request.cookies[cookieName] === undefined ? {} : visit,
  write: (_request, reply) => setCookie(reply)
}

const bag = (request: FastifyRequest): Bag & { regenerate (): unknown } => request.session as never
const properties: Verbs = {
  async login (request, _reply, user) {
    await bag(request).regenerate()
    bag(request).user = user
    bag(request).views = 1
  },
  read: request => ({ user: bag(request).user, views: bag(request).views }),
  write (request, _reply, views) { bag(request).views = views }
}

const map = (request: FastifyRequest): Map<string, unknown> => request.session as never
const methods: Verbs = {
  login (request, _reply, user) {
    map(request).set('user', user)
    map(request).set('views', 1)
  },
  read: request => ({ user: map(request).get('user'), views: map(request).get('views') }),
  write (request, _reply, views) { map(request).set('views', views) }
}

type IronSession = Bag & { save (): Promise<void> }
async function ironSession (): Promise<Verbs> {
  const { getIronSession } = await import('iron-session')
  const options = { password: secret, cookieName, ttl: maxAge, cookieOptions: cookie }
  const open = async ({ raw }: FastifyRequest, reply: FastifyReply): Promise<IronSession> =>
    await getIronSession<Bag>(raw, reply.raw, options) as IronSession
  return {
    async login (request, reply, user) {
      const session = await open(request, reply)
      session.user = user
      session.views = 1
      await session.save()
    },
    async read (request, reply) {
      const session = await open(request, reply)
      return { user: session.user, views: session.views }
    },
    async write (request, reply, views) {
      const session = await open(request, reply)
      session.views = views
      await session.save()
    }
  }
}

// By its own name, as users import it: what is timed is what is published.
const us = async () => await import('fastify-sealed-session')

async function ours (
  app: FastifyInstance, { secrets = 1, cacheSize }: Variation, store?: SessionStore, userOf?: SessionOptions['userOf']
): Promise<Verbs> {
  await app.register((await us()).default, {
    secret: Array.from({ length: secrets }, (_, nth) => `${secret} ${nth}`), cookie: { secure: 'auto' }, store, userOf, cacheSize
  })
  return properties
}

async function redis (): Promise<RedisClient> {
  const client = createClient({ url: process.env.REDIS_URL! })
  client.on('error', error => { throw error })
  return await client.connect() as RedisClient
}

const connectRedis = async (): Promise<RedisStore> => new RedisStore({ client: await redis() })
async function connectPgSimple (): Promise<ExpressStore> {
  const PgStore = load<typeof pgSimple>('connect-pg-simple')(load('express-session'))
  const store = new PgStore({ conString: process.env.POSTGRES_URL!, createTableIfMissing: true, pruneSessionInterval: false })
  // Whoever comes first makes the table, before there is any load.
  await new Promise<void>((resolve, reject) => { store.get('none', error => { error == null ? resolve() : reject(error) }) })
  return store
}

const byId: SessionOptions['userOf'] = data => (data as { user?: User }).user?.id
const oursOnRedis = async (app: FastifyInstance, variation: Variation, userOf?: SessionOptions['userOf']): Promise<Verbs> =>
  await ours(app, variation, (await import('fastify-sealed-session/redis')).redisStore(await redis()), userOf)
async function oursOnPostgres (app: FastifyInstance, variation: Variation, userOf?: SessionOptions['userOf']): Promise<Verbs> {
  const { postgresStore } = await import('fastify-sealed-session/postgres')
  const store = postgresStore(new pg.Pool({ connectionString: process.env.POSTGRES_URL! }), { pruneInterval: false })
  await store.migrate()
  return await ours(app, variation, store, userOf)
}

async function fastifySession (app: FastifyInstance, store?: RedisStore | ExpressStore): Promise<Verbs> {
  await app.register(load('@fastify/cookie'))
  await app.register(load('@fastify/session'), {
    secret, cookieName, cookie: { ...cookie, maxAge: maxAge * 1000 }, saveUninitialized: false, rolling: false, store
  })
  return properties
}

const setups: Record<string, (app: FastifyInstance, variation: Variation) => Promise<Verbs>> = {
  fastify: async () => bare,
  async cookie (app) {
    await app.register(load('@fastify/cookie'))
    return cookieAlone
  },
  this: ours,
  again: ours,
  async 'secure-session' (app) {
    await app.register(load('@fastify/secure-session'), { key: Buffer.alloc(32, 5), expiry: maxAge, cookie: { ...cookie, maxAge } })
    return properties
  },
  async mgcrea (app) {
    const { default: plugin } = load<{ default: FastifyPluginCallback<Bag> }>('@mgcrea/fastify-session')
    const { SODIUM_SECRETBOX: crypto } = load<Bag>('@mgcrea/fastify-session-sodium-crypto')
    await app.register(load('@fastify/cookie'))
    await app.register(plugin, { key: Buffer.alloc(32, 5), crypto, cookieName, cookie: { ...cookie, maxAge }, saveUninitialized: false })
    return methods
  },
  session: async app => await fastifySession(app),
  'iron-session': ironSession,
  'this-redis': async (app, variation) => await oursOnRedis(app, variation),
  'this-redis-again': async (app, variation) => await oursOnRedis(app, variation),
  'this-redis-users': async (app, variation) => await oursOnRedis(app, variation, byId),
  'this-ioredis': async (app, variation) =>
    await ours(app, variation, (await import('fastify-sealed-session/redis')).redisStore(new Redis(process.env.REDIS_URL!))),
  'this-connect-redis': async (app, variation) => await ours(app, variation, (await us()).fromExpressStore(await connectRedis())),
  'this-keyv': async (app, variation) => await ours(app, variation, new Keyv(new KeyvRedis(process.env.REDIS_URL!))),
  'session-connect-redis': async app => await fastifySession(app, await connectRedis()),
  'this-postgres': async (app, variation) => await oursOnPostgres(app, variation),
  'this-postgres-again': async (app, variation) => await oursOnPostgres(app, variation),
  'this-postgres-users': async (app, variation) => await oursOnPostgres(app, variation, byId),
  'session-connect-pg-simple': async app => await fastifySession(app, await connectPgSimple())
}

/** Starts a peer, with the routes that the rows ask for. */
export async function serve (peer: string, variation: Variation): Promise<Server> {
  const app = (variation.http2 === true ? Fastify({ http2: true }) : Fastify()) as FastifyInstance
  const { login, read, write } = await setups[peer]!(app, variation)
  const filler = 'x'.repeat(Math.max(0, (variation.bytes ?? 0) - JSON.stringify({ user, views: 1 }).length))
  let views = 1
  app.get('/untouched', async () => ({ ok: true }))
  app.get('/read', async (request, reply) => await read(request, reply))
  app.get('/write', async (request, reply) => {
    await write(request, reply, ++views)
    return { views }
  })
  app.get<{ Params: { id: string } }>('/login/:id', async (request, reply) => {
    await login(request, reply, { id: request.params.id, name: user.name + filler })
    return { ok: true }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server
}
