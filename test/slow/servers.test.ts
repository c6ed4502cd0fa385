import { setTimeout as wait } from 'node:timers/promises'
import KeyvPostgres from '@keyv/postgres'
import KeyvRedis from '@keyv/redis'
import { RedisStore } from 'connect-redis'
import pgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import Keyv from 'keyv'
import pg from 'pg'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { denylist, fromExpressStore } from '../../lib/index.js'
import { postgresStore } from '../../lib/postgres.js'
import { redisStore } from '../../lib/redis.js'
import type { SessionStore } from '../../lib/index.js'
import { count, Jar, makeApp, read } from '../fixtures/app.js'
import { clients } from '../fixtures/redis-clients.js'
import { missing, startPostgres, startRedis } from '../fixtures/servers.js'
import type { Server } from '../fixtures/servers.js'

// Popular stores on real servers that the tests start.

interface Opened { store: SessionStore, close: () => unknown }

interface Backend {
  open (server: Server): Promise<Opened>
  /** The ids of all entries, with the seconds until each expires */
  entries (server: Server): Promise<Map<string, number>>
  /** Replaces every value by one that is not a session */
  spoil (server: Server): Promise<void>
  /** Lets every entry expire */
  expire (server: Server): Promise<void>
}

async function redis<T> ({ url }: Server, work: (client: ReturnType<typeof createClient>) => Promise<T>): Promise<T> {
  const client = createClient({ url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

async function query (server: Server, text: string): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client(server.url)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

const onRedis = (open: Backend['open']): Backend => ({
  open,
  entries: async server => await redis(server, async client => {
    const keys = await client.keys('*')
    return new Map(await Promise.all(keys.map(async key => [key.replace(/^.*:/, ''), await client.pTTL(key) / 1000] as const)))
  }),
  spoil: async server => await redis(server, async client => {
    for (const key of await client.keys('*')) await client.set(key, '{"value":"no JSON', { expiration: 'KEEPTTL' })
  }),
  expire: async server => await redis(server, async client => {
    for (const key of await client.keys('*')) await client.pExpire(key, 1)
    await wait(20)
  })
})

async function connected (server: Server): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ url: server.url, socket: { reconnectStrategy: 50 } })
  client.on('error', () => {})
  await client.connect()
  return client
}

const PgStore = pgSimple(expressSession)
let hasTable = false

const ownStore = (client: string): Backend => onRedis(async server => {
  const { client: connected, close } = await clients[client]!(server)
  return { store: redisStore(connected), close }
})

const redisBackends: Record<string, Backend> = {
  'redisStore on node-redis': ownStore('node-redis'),
  'redisStore on ioredis': ownStore('ioredis'),
  'Keyv on Redis': onRedis(async ({ url }) => {
    const keyv = new Keyv(new KeyvRedis({ url, socket: { reconnectStrategy: 50 } }), { namespace: 'session' })
    return { store: keyv, close: async () => await keyv.disconnect() }
  }),
  'connect-redis': onRedis(async server => {
    const client = await connected(server)
    return { store: fromExpressStore(new RedisStore({ client })), close: () => { client.destroy() } }
  })
}

const postgresBackends: Record<string, Backend> = {
  postgresStore: {
    async open ({ url }) {
      const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 500 })
      const store = postgresStore(pool, { pruneInterval: false })
      // Not awaited where the server is away: the app starts all the same.
      await store.migrate().catch(() => {})
      return { store, close: async () => { await pool.end() } }
    },
    entries: async server => {
      const rows = await query(server, 'SELECT id, extract(epoch FROM expires_at - now()) AS "left" FROM fastify_session WHERE expires_at > now()') as Array<{ id: string, left: string }>
      return new Map(rows.map(({ id, left }) => [id, Number(left)]))
    },
    spoil: async server => { await query(server, 'UPDATE fastify_session SET value = \'no JSON\'') },
    expire: async server => { await query(server, 'UPDATE fastify_session SET expires_at = now() - interval \'1 second\'') }
  },
  'Keyv on PostgreSQL': {
    async open ({ url }) {
      // Its pool has no listener for errors of idle connections. Keep none, so that losing the server does not end the process.
      const keyv = new Keyv(new KeyvPostgres({ uri: url, idleTimeoutMillis: 1 }))
      return { store: keyv, close: async () => await keyv.disconnect() }
    },
    entries: async server => {
      const rows = await query(server, 'SELECT key, value FROM keyv') as Array<{ key: string, value: string }>
      return new Map(rows.map(({ key, value }) => [key.replace('keyv:', ''), ((JSON.parse(value) as { expires: number }).expires - Date.now()) / 1000]))
    },
    spoil: async server => { await query(server, 'UPDATE keyv SET value = regexp_replace(value, \'"value":"([^"\\\\]|\\\\.)*"\', \'"value":"no JSON"\')') },
    expire: async server => { await query(server, 'UPDATE keyv SET value = regexp_replace(value, \'"expires":\\d+\', \'"expires":1\')') }
  },
  'connect-pg-simple': {
    async open ({ url }) {
      // Once only: it never recovers if the server is unavailable when the table should be created.
      const store = new PgStore({ conString: url, createTableIfMissing: !hasTable, errorLog: () => {}, pruneSessionInterval: false })
      hasTable = true
      return { store: fromExpressStore(store), close: async () => { await store.close() } }
    },
    entries: async server => {
      const rows = await query(server, 'SELECT sid, extract(epoch FROM expire - now()::timestamp(6)) AS "left" FROM session') as Array<{ sid: string, left: string }>
      return new Map(rows.map(({ sid, left }) => [sid, Number(left)]))
    },
    spoil: async server => { await query(server, 'UPDATE session SET sess = \'{"cookie":{}}\'') },
    expire: async server => { await query(server, 'UPDATE session SET expire = now() - interval \'1 second\'') }
  }
}

const routes: Parameters<typeof makeApp>[1] = {
  '/count': count,
  '/read': read,
  '/data': request => JSON.stringify(request.session),
  '/odd': request => { request.session.any = { ['__proto__']: 1, text: 'ü\u2028\u0001"\':base64:', list: [1.5, null, {}] }; request.session.note = 'n'.repeat(20_000) },
  '/login': request => { request.session.regenerate(['views']) },
  '/destroy': request => { request.session.destroy() }
}

async function works (t: Test, server: Server, backend: Backend): Promise<void> {
  const { store, close } = await backend.open(server)
  const app = await makeApp({ store, idleTimeout: 1000, storeTimeout: 2 }, routes)
  const jar = new Jar(app)
  const entries = async (): Promise<Map<string, number>> => await backend.entries(server)

  await t.test('a session is saved, changed, moved and ended', async t => {
    await jar.get('/count')
    const first = await entries()
    t.equal(first.size, 1)
    const [[id, left]] = first as unknown as [[string, number]]
    t.match(id, /^[\w-]{22}$/)
    t.ok(left > 990 && left <= 1001, `${left} s`)
    t.same((await jar.get('/count')).json, { views: 2 })
    await jar.get('/odd')
    const before = (await jar.get('/data')).body
    t.match(before, /"text":"ü\u2028\\u0001\\"':base64:"/)
    t.equal((await jar.get('/data')).body, before)
    t.ok(jar.header().length < 400)
    const old = jar.header()
    await jar.get('/login')
    const moved = await entries()
    t.equal(moved.size, 1)
    t.not([...moved.keys()][0], id)
    t.equal((await new Jar(app).get('/read', { cookie: old })).json.reason, 'not-stored')
    const copy = jar.header()
    await jar.get('/destroy')
    t.equal((await entries()).size, 0)
    t.equal((await new Jar(app).get('/read', { cookie: copy })).json.reason, 'not-stored')
  })

  await t.test('a renewed session gets its full timeout again', async t => {
    const short = await makeApp({ store, idleTimeout: 2, storeTimeout: 2 }, routes)
    const jar = new Jar(short)
    await jar.get('/count')
    await wait(1100)
    t.equal((await jar.get('/read')).setCookies.length, 1)
    const [left] = [...(await entries()).values()]
    t.ok(left! > 1.2, `${left!} s`)
    await wait(1100)
    t.equal((await jar.get('/read')).json.views, 1)
    await jar.get('/destroy')
  })

  await t.test('an entry that has expired, is not JSON or is missing is rejected with its reason', async t => {
    await jar.get('/count')
    await backend.expire(server)
    t.same((await jar.get('/read')).json, { views: null, reason: 'not-stored' })
    await jar.get('/count')
    await backend.spoil(server)
    const spoilt = await jar.get('/read')
    t.match(spoilt, { json: { reason: 'invalid' }, setCookies: [/Max-Age=0/] })
    await backend.expire(server)
  })

  await t.test('the store can be a denylist', async t => {
    const listed = await makeApp({ isRevoked: denylist(store), idleTimeout: 500 }, routes)
    const jar = new Jar(listed)
    await jar.get('/count')
    const cookie = jar.header()
    await jar.get('/destroy')
    t.equal((await new Jar(listed).get('/read', { cookie })).json.reason, 'revoked')
    const left = Math.max(...(await entries()).values())
    t.ok(left > 7_776_050 && left <= 7_776_062, `${left} s`) // 90 days, and 60 s by which clocks may differ
  })

  await close()
}

/** The server stops under load and at startup, and comes back. Each request gets a response, and no session is lost. */
async function survives (t: Test, server: Server, backend: Backend): Promise<void> {
  await t.test('no session is lost when the server stops under load and comes back', { timeout: 60_000 }, async t => {
    const { store, close } = await backend.open(server)
    const app = await makeApp({ store, storeTimeout: 0.5 }, routes)
    const jars = await Promise.all(Array.from({ length: 20 }, async () => {
      const jar = new Jar(app)
      await jar.get('/count')
      return jar
    }))
    await wait(100)
    const load = { ends: false }
    const statuses = new Map<number, number>()
    const visits = jars.map(async jar => {
      let views = 1
      while (!load.ends) {
        const { status, json } = await jar.get('/count')
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (status !== 200) {
          // Calls that fail promptly wait for nothing: without a pause here, no timer would have its turn.
          await wait(5)
          continue
        }
        // A change whose response was lost may have been saved or not, but the session is never empty.
        if ((json.views as number) <= views) return `${json.views as number} after ${views}`
        views = json.views as number
      }
      return 'kept'
    })
    await wait(100)
    await server.kill()
    await wait(700)
    await server.start()
    await recovered(app, jars[0]!)
    await wait(200)
    load.ends = true
    t.same(await Promise.all(visits), jars.map(() => 'kept'))
    t.same([...statuses.keys()].sort(), [200, 503], JSON.stringify([...statuses]))
    for (const jar of jars) t.equal((await jar.get('/read')).json.reason, null)
    await close()
  })

  await t.test('an app starts while the server is down, and works when it is back', { timeout: 60_000 }, async t => {
    await server.kill()
    const opening = backend.open(server)
    // A client that must connect first waits for its server; that is up to the app.
    const opened = await Promise.race([opening, wait(300)])
    if (opened !== undefined) {
      const app = await makeApp({ store: opened.store, storeTimeout: 0.3 }, routes)
      await app.ready()
      t.equal((await new Jar(app).get('/count')).status, 503)
      t.equal((await new Jar(app).get('/read')).status, 200)
    }
    await server.start()
    const { store, close } = await opening
    const app = await makeApp({ store, storeTimeout: 2 }, routes)
    const jar = new Jar(app)
    await recovered(app, jar)
    await close()
  })
}

async function recovered (app: FastifyInstance, jar: Jar): Promise<void> {
  for (let tries = 0; (await new Jar(app).get('/count')).status !== 200 || (await jar.get('/count')).status !== 200; tries++) {
    if (tries === 100) throw new Error('the store does not come back')
    await wait(50)
  }
}

t.test('Redis', { skip: missing('redis-server'), timeout: 0 }, async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  for (const [title, backend] of Object.entries(redisBackends)) {
    await t.test(title, async t => {
      await redis(server, async client => await client.flushAll())
      await works(t, server, backend)
      await survives(t, server, backend)
    })
  }

  await t.test('calls to a server that does not respond time out, and nothing is lost', async t => {
    for (const backend of Object.values(redisBackends)) {
      const { store, close } = await backend.open(server)
      const app = await makeApp({ store, storeTimeout: 0.3 }, routes)
      const jar = new Jar(app)
      await jar.get('/count')
      server.pause()
      const { status, json, setCookies } = await jar.get('/read')
      t.same([status, json.code, setCookies], [503, 'FST_SESSION_STORE', []])
      server.resume()
      await recovered(app, jar)
      t.ok((await jar.get('/read')).json.views)
      await close()
    }
  })

  await t.test('redisStore: two processes keep each other\'s changes of one session', async t => {
    const { open } = redisBackends['redisStore on node-redis']!
    const opened = [await open(server), await open(server)]
    const apps = await Promise.all(opened.map(async ({ store }) => await makeApp({ store }, {
      '/start': count,
      '/add/:key': async request => {
        await wait(20)
        ;(request.session as unknown as Record<string, unknown>)[(request.params as { key: string }).key] = 1
      },
      '/data': request => request.session.data()
    })))
    const jar = new Jar(apps[0]!)
    await jar.get('/start')
    const keys = Array.from({ length: 12 }, (_, nth) => `key${nth}`)
    const answers = await Promise.all(keys.map(async (key, nth) => await new Jar(apps[nth % 2]!).get(`/add/${key}`, { cookie: jar.header() })))
    t.ok(answers.every(({ status }) => status === 200))
    t.same((await jar.get('/data')).json, { views: 1, ...Object.fromEntries(keys.map(key => [key, 1])) })
    for (const { close } of opened) await close()
  })
})

t.test('PostgreSQL', { skip: missing('postgresql'), timeout: 0 }, async t => {
  const server = await startPostgres()
  t.teardown(async () => await server.stop())
  for (const [title, backend] of Object.entries(postgresBackends)) {
    await t.test(title, async t => {
      await works(t, server, backend)
      await survives(t, server, backend)
    })
  }
})
