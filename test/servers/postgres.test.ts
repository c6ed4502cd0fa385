import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { postgresStore } from '../../lib/postgres.js'
import { storeTests } from '../../lib/store-test.js'
import { missing, startPostgres } from '../fixtures/servers.js'
import { eventually } from '../fixtures/time.js'

const LONG = 60_000

t.test('a server', { skip: missing('postgresql'), timeout: 0 }, async t => {
  const server = await startPostgres()
  t.teardown(async () => await server.stop())
  const makePool = (t: Test, options: pg.PoolConfig = {}): pg.Pool => {
    const pool = new pg.Pool({ connectionString: server.url, ...options })
    t.teardown(async () => { await pool.end() })
    return pool
  }
  const admin = makePool(t)
  await postgresStore(admin, { pruneInterval: false }).migrate()
  t.beforeEach(async () => { await admin.query('TRUNCATE fastify_session') })

  await t.test('a Pool passes the tests of a store', async t => {
    const store = postgresStore(makePool(t), { pruneInterval: false })
    for (const { name, run } of storeTests(store, { other: postgresStore(makePool(t), { pruneInterval: false }) })) await t.test(name, run)
  })

  await t.test('so does one whose transactions are serializable by default', async t => {
    const options = '-c default_transaction_isolation=serializable'
    const store = postgresStore(makePool(t, { options }), { pruneInterval: false })
    for (const { name, run } of storeTests(store, { other: postgresStore(makePool(t, { options }), { pruneInterval: false }) })) await t.test(name, run)
  })

  await t.test('the app.pg of @fastify/postgres is a pool', async t => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(fastifyPostgres, { connectionString: server.url })
    const store = postgresStore(app.pg, { pruneInterval: false })
    await store.set('id', '{}', LONG, 'ada')
    t.match(await store.find('ada'), [{ id: 'id', value: '{}' }])
    const stop = await store.subscribe(() => {})
    t.teardown(stop)
  })

  await t.test('ids and users with NUL and lone surrogates are told apart; no user\'s name is in the table', async t => {
    const store = postgresStore(admin, { pruneInterval: false })
    const ids = ['\0', '\0\0', 'a\0b', '\ud83d', '\ude00', '\ufffd', 'id:', 'id:AA', 'user:'].sort()
    for (const id of ids) await store.set(id, JSON.stringify(id), LONG, 'Ada Lovelace')
    t.same((await store.find('Ada Lovelace')).map(({ id }) => id).sort(), ids)
    t.same(await store.getMany(ids), ids.map(id => JSON.stringify(id)))
    const { rows } = await admin.query('SELECT fastify_session::text AS row FROM fastify_session')
    t.notMatch(JSON.stringify(rows), /Ada|Lovelace/)
  })

  await t.test('any table name is quoted, in any schema; ten processes may migrate at once, and again', async t => {
    await admin.query('CREATE SCHEMA "Odd \'schema"')
    for (const table of ['Odd "table"; DROP', 'Odd \'schema.e\\x\'', '漢字', 'x'.repeat(52), 'pg_catalog_not']) {
      const pools = Array.from({ length: 10 }, () => makePool(t, { max: 1 }))
      const stores = pools.map(pool => postgresStore(pool, { table, pruneInterval: false }))
      await Promise.all(stores.map(async store => { await store.migrate() }))
      await stores[0]!.set('id', '{}', LONG, 'ada')
      await stores[1]!.migrate()
      t.match(await stores[2]!.find('ada'), [{ id: 'id' }], table)
      t.equal(await stores[3]!.prune(), 0)
    }
    t.equal(await postgresStore(admin, { pruneInterval: false }).get('id'), undefined)
  })

  await t.test('migrating again waits for nobody who works with the table', async t => {
    const client = await admin.connect()
    t.teardown(() => { client.release() })
    await client.query('BEGIN')
    await client.query('LOCK TABLE fastify_session IN ROW EXCLUSIVE MODE')
    await postgresStore(makePool(t, { statement_timeout: 1000 }), { pruneInterval: false }).migrate()
    await client.query('ROLLBACK')
  })

  await t.test('a table that is not there is an error that says what to call', async t => {
    const store = postgresStore(admin, { table: 'nowhere', pruneInterval: false })
    await t.rejects(store.get('id'), { message: 'the table nowhere does not exist: call the store\'s migrate() once, before it is used', cause: { code: '42P01' } })
    await t.rejects(store.prune(), /migrate\(\)/)
  })

  await t.test('each call is one statement', async t => {
    const pool = makePool(t)
    const texts: string[] = []
    const counting = {
      query: async (text: string, values?: unknown[]) => { texts.push(text); return await pool.query(text, values) },
      on: pool.on.bind(pool),
      listenerCount: pool.listenerCount.bind(pool)
    }
    const store = postgresStore(counting as never, { pruneInterval: false })
    const users = Array.from({ length: 1000 }, (_, nth) => `user ${nth}`)
    const idsOf = (user: string): string[] => Array.from({ length: 10 }, (_, nth) => `${user} ${nth}`)
    await Promise.all(users.flatMap(user => idsOf(user).map(async id => { await store.set(id, '{}', LONG, user) })))
    t.equal(texts.splice(0).length, 10_000)
    await admin.query('ANALYZE fastify_session')
    const lists = await Promise.all(users.map(async user => (await store.find(user)).map(({ id }) => id).sort()))
    t.equal(texts.length, 1000)
    t.same(lists, users.map(idsOf))
    const { rows } = await admin.query(`EXPLAIN ${texts[0]!.replace('$1', '\'\\x00\'')}`)
    t.match(JSON.stringify(rows), /fastify_session_user/, 'by the index')
    texts.splice(0)
    const ended = await Promise.all(lists.flat().map(async id => await store.delete(id)))
    t.ok(ended.every(Boolean))
    for (const call of [store.get('id'), store.getMany(['a', 'b']), store.touch('id', 1), store.replace('id', '1', '2', 1)]) await call
    t.equal(texts.length, 10_004)
    t.equal((await admin.query('SELECT FROM fastify_session')).rowCount, 0)
  })

  await t.test('an id too long for a message is deleted without one', async t => {
    const store = postgresStore(admin, { pruneInterval: false })
    // Repeated, it is compressed: an index holds no more than 2700 bytes.
    const id = 'x'.repeat(9000)
    await store.set(id, '{}', LONG)
    t.equal(await store.delete(id), true)
  })

  await t.test('an end is heard of, also after the connection that listens was broken', async t => {
    const store = postgresStore(makePool(t), { pruneInterval: false })
    const heard: string[] = []
    const stop = await store.subscribe(id => { heard.push(id) })
    const listening = 'SELECT pid FROM pg_stat_activity WHERE query LIKE \'LISTEN%\''
    t.equal((await admin.query(listening)).rowCount, 1)
    await admin.query(`SELECT pg_terminate_backend(pid) FROM (${listening}) AS found`)
    await eventually(async () => {
      await store.set('id', '{}', LONG)
      await store.delete('id')
      return heard.includes('id')
    })
    await stop()
    await eventually(async () => (await admin.query(listening)).rowCount === 0)
  })

  await t.test('pool.end() does not wait for who listens', async () => {
    const pool = new pg.Pool({ connectionString: server.url })
    const stop = await postgresStore(pool, { pruneInterval: false }).subscribe(() => {})
    await pool.end()
    await stop()
  })
})

t.test('what is wrong is an error at once', async t => {
  const pool = new pg.Pool()
  for (const wrong of [undefined, null, {}, 'postgres://localhost', { pool: {} }]) {
    t.throws(() => postgresStore(wrong as never), { code: 'FST_SESSION_INVALID_OPTION', message: /"pool" must be a Pool of pg, or the app.pg of @fastify\/postgres/ })
  }
  for (const table of ['', '.', 'a.', '.a', 'a.b.c', 'a\0b', 'x'.repeat(53), 'ü'.repeat(27), 5]) {
    t.throws(() => postgresStore(pool, { table: table as string }), { code: 'FST_SESSION_INVALID_OPTION', message: /"table" must be a name/ })
  }
  for (const pruneInterval of [0, -1, NaN, '900', 3_000_000, true]) {
    t.throws(() => postgresStore(pool, { pruneInterval: pruneInterval as number }), { message: /"pruneInterval" must be a number of seconds above 0/ })
  }
  t.throws(() => postgresStore(pool, { tabel: 'x' } as never), { message: /"tabel" is unknown. Did you mean table/ })
})

t.test('what cannot be serialized is tried twenty times', async t => {
  let tries = 0
  const failing = { query: async () => { tries++; throw Object.assign(new Error('could not serialize access'), { code: '40001' }) }, on () {}, listenerCount: () => 0 }
  await t.rejects(postgresStore(failing as never, { pruneInterval: false }).get('id'), /serialize/)
  t.equal(tries, 20)
  const odd = { query: async () => { throw undefined }, on () {}, listenerCount: () => 1 } // eslint-disable-line no-throw-literal
  await t.rejects(postgresStore(odd as never, { pruneInterval: false }).get('id'))
  const native = { query: async () => ({ rows: [], rowCount: null }), on () {}, listenerCount: () => 1 }
  t.equal(await postgresStore(native as never, { pruneInterval: false }).touch('id', 1), false)
})
