import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { postgresStore } from '../../lib/postgres.js'
import { pruneRegularly } from '../../lib/store/postgres/pruning.js'
import { missing, startPostgres } from '../fixtures/servers.js'
import { eventually, promptly } from '../fixtures/time.js'

const LONG = 60_000

t.test('a server', { skip: missing('postgresql'), timeout: 0 }, async t => {
  const server = await startPostgres()
  t.teardown(async () => await server.stop())
  const makePool = (t: Test, options: pg.PoolConfig = {}): pg.Pool => {
    const pool = new pg.Pool({ connectionString: server.url, connectionTimeoutMillis: 500, query_timeout: 500, ...options })
    t.teardown(async () => { await pool.end() })
    return pool
  }
  const admin = makePool(t)
  await postgresStore(admin, { pruneInterval: false }).migrate()
  t.beforeEach(async () => { await admin.query('TRUNCATE fastify_session') })

  await t.test('calls reject promptly while it is away, and go on when it is back; no idle connection ends the process', async t => {
    const pool = makePool(t)
    const store = postgresStore(pool, { pruneInterval: false })
    t.equal(pool.listenerCount('error'), 1)
    postgresStore(pool, { pruneInterval: false })
    t.equal(pool.listenerCount('error'), 1)
    const heard: string[] = []
    const stop = await store.subscribe(id => { heard.push(id) })
    await Promise.all(Array.from({ length: 5 }, async (_, nth) => { await store.set(`id ${nth}`, '{}', LONG, 'ada') }))
    await server.kill()
    await wait(100)
    await promptly(t.rejects(store.get('id 0')))
    await promptly(t.rejects(store.set('id 0', '{}', LONG)))
    await promptly(t.rejects(store.replace('id 0', '{}', '[]', LONG)))
    await promptly(t.rejects(store.touch('id 0', LONG)))
    await promptly(t.rejects(store.delete('id 0')))
    await promptly(t.rejects(store.find('ada')))
    await promptly(t.rejects(store.prune()))
    await promptly(t.rejects(store.migrate()))
    const stopSecond = await promptly(postgresStore(pool, { pruneInterval: false }).subscribe(id => { heard.push(`second ${id}`) }))
    await server.start()
    await eventually(async () => (await store.find('ada')).length === 5)
    await eventually(async () => {
      await store.set('gone', '{}', LONG)
      await store.delete('gone')
      return heard.includes('gone') && heard.includes('second gone')
    })
    await stop()
    await stopSecond()
  })

  await t.test('it is given up when it does not answer', async t => {
    const store = postgresStore(makePool(t), { pruneInterval: false })
    await store.set('id', '{}', LONG)
    const client = await admin.connect()
    await client.query('BEGIN')
    await client.query('LOCK TABLE fastify_session IN ACCESS EXCLUSIVE MODE')
    await promptly(t.rejects(store.get('id'), /timeout/))
    await client.query('ROLLBACK')
    client.release()
    await eventually(async () => await store.get('id') === '{}')
  })

  await t.test('away at boot, it is migrated when it is back', async t => {
    await server.kill()
    const store = postgresStore(makePool(t), { pruneInterval: false, table: 'later' })
    await promptly(t.rejects(store.migrate()))
    await promptly(t.rejects(store.get('id')))
    await server.start()
    await eventually(async () => { await store.migrate(); return true })
    t.equal(await store.get('id'), undefined)
  })

  const fill = async (amount: number): Promise<void> => {
    await admin.query(`INSERT INTO fastify_session SELECT 'old ' || n, '{}', NULL, now() - interval '1 second' FROM generate_series(1, ${amount}) AS n`)
  }
  const size = async (): Promise<number> => Number((await admin.query('SELECT count(*) FROM fastify_session')).rows[0].count)

  await t.test('pruning deletes what has expired, thousands at a time, and nothing else', async t => {
    const store = postgresStore(admin, { pruneInterval: false })
    await fill(2500)
    await store.set('new', '{}', LONG)
    t.equal(await store.prune(), 2500)
    t.equal(await size(), 1)
    t.equal(await store.prune(), 0)
  })

  await t.test('pruning on all nodes at once is done by one at a time, and deletes each entry once', async t => {
    const stores = Array.from({ length: 5 }, () => postgresStore(makePool(t, { query_timeout: 5000 }), { pruneInterval: false }))
    await fill(3000)
    const pruned = await Promise.all(stores.map(async store => await store.prune()))
    t.equal(pruned.reduce((sum, amount) => sum + amount) + await size(), 3000)
    // While another transaction prunes, nobody else does.
    await fill(10)
    const client = await admin.connect()
    const lock = /pg_try_advisory_xact_lock\((.*?)\)/
    const texts: string[] = []
    const spy = { query: async (text: string) => { texts.push(text); return { rows: [], rowCount: 0 } }, on () {}, listenerCount: () => 1 }
    await postgresStore(spy as never, { pruneInterval: false }).prune()
    await client.query('BEGIN')
    await client.query(`SELECT pg_advisory_xact_lock(${lock.exec(texts[0]!)![1]!})`)
    t.equal(await promptly(stores[0]!.prune()), 0)
    await client.query('ROLLBACK')
    client.release()
    t.equal(await stores[0]!.prune(), await size() === 0 ? 10 : NaN)
  })

  await t.test('pruning does not wait for an entry that somebody works on, and leaves one that lives again', async t => {
    const store = postgresStore(admin, { pruneInterval: false })
    await fill(3)
    const client = await admin.connect()
    await client.query('BEGIN')
    await client.query('SELECT FROM fastify_session WHERE id = \'old 2\' FOR UPDATE')
    t.equal(await promptly(store.prune()), 2)
    await client.query('UPDATE fastify_session SET expires_at = now() + interval \'1 minute\' WHERE id = \'old 2\'')
    await client.query('COMMIT')
    client.release()
    t.equal(await store.prune(), 0)
    t.equal(await store.get('old 2'), '{}')
  })

  await t.test('a store prunes by itself, until its pool has ended', async () => {
    const pool = new pg.Pool({ connectionString: server.url })
    postgresStore(pool, { pruneInterval: 0.05 })
    for (let round = 0; round < 2; round++) {
      await fill(10)
      await eventually(async () => await size() === 0)
    }
    await pool.end()
    await fill(10)
    await wait(200)
    await admin.query('TRUNCATE fastify_session')
  })
})

t.test('pruning that fails is tried again the next time, and ends when it is told to', async t => {
  let tries = 0
  pruneRegularly(0.01, async () => { tries++; throw new Error('away') }, () => tries === 3)
  await eventually(async () => tries === 3)
  await wait(100)
  t.equal(tries, 3)
})
