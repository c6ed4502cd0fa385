import type * as Types from '../types/postgres.js'
import type { PostgresPool, PostgresStore, PostgresStoreOptions } from '../types/postgres.js'
import { invalid, parseNames, parseTimeout } from './options/checks.js'
import { Listeners } from './store/listeners.js'
import { decodeId, encodeId, hashUser } from './store/names.js'
import { listenerOf } from './store/postgres/listener.js'
import { pruneRegularly } from './store/postgres/pruning.js'
import { BATCH, statementsFor } from './store/postgres/sql.js'

/** The longest delay of a timer, in seconds */
const MAX_INTERVAL = 2_147_483
/** How often a statement is tried that fails with a serialization error */
const MAX_TRIES = 20

export function postgresStore (database: PostgresPool | { pool: PostgresPool }, options: PostgresStoreOptions = {}): PostgresStore {
  parseNames('options', options, ['table', 'pruneInterval'])
  const { table = 'fastify_session', pruneInterval = 900 } = options
  const pool = parsePool(database)
  const sql = statementsFor(table)

  async function query (text: string, values?: unknown[], tries = 1): Promise<{ rows: any[], rowCount: number }> {
    try {
      const { rows, rowCount } = await pool.query(text, values)
      return { rows, rowCount: rowCount ?? 0 }
    } catch (error) {
      const { code } = Object(error) as { code?: unknown }
      // If the default isolation level is repeatable read or serializable, the later of two concurrent statements must be retried.
      if (code === '40001' && tries < MAX_TRIES) return await query(text, values, tries + 1)
      if (code === '42P01') throw new Error(`the table ${table} does not exist: call the store's migrate() once, before it is used`, { cause: error })
      throw error
    }
  }

  const store = {
    async get (id) {
      const { rows } = await query(sql.get, [encodeId(id)])
      return rows[0]?.value as string | undefined
    },

    async getMany (ids) {
      const encoded = ids.map(encodeId)
      const { rows } = await query(sql.getMany, [encoded])
      const values = new Map(rows.map(({ id, value }) => [id as string, value as string]))
      return encoded.map(id => values.get(id))
    },

    async set (id, value, ttlMs, user) {
      await query(sql.set, [encodeId(id), value, toOwner(user), ttlMs])
    },

    async replace (id, previous, value, ttlMs, user) {
      return (await query(sql.replace, [encodeId(id), value, toOwner(user), ttlMs, previous])).rowCount === 1
    },

    async touch (id, ttlMs) {
      return (await query(sql.touch, [encodeId(id), ttlMs])).rowCount === 1
    },

    async delete (id) {
      const { rows } = await query(sql.delete, [encodeId(id)])
      return rows[0]?.live === true
    },

    async find (user) {
      const { rows } = await query(sql.find, [toOwner(user)])
      return rows.map(({ id, value, ends }) => ({ id: decodeId(id as string), value: value as string, expiresAt: Math.floor(Number(ends)) }))
    },

    subscribe: async ended => await listeners.add(ended),

    async migrate () {
      const { rows } = await query(sql.isMigrated)
      if (rows[0].done !== true) await query(sql.migrate)
    },

    async prune () {
      let [all, batch] = [0, 0]
      do {
        batch = (await query(sql.prune)).rowCount
        all += batch
      } while (batch === BATCH)
      return all
    }
  } satisfies PostgresStore
  const listeners = new Listeners(listenerOf(pool, sql.listen))
  if (pruneInterval !== false) {
    const seconds = parseInterval(pruneInterval)
    pruneRegularly(seconds, store.prune, () => (pool as { ended?: boolean }).ended === true)
  }
  return store
}

function toOwner (user: string | undefined): Buffer | null {
  return user === undefined ? null : Buffer.from(hashUser(user), 'base64url')
}

function parsePool (database: PostgresPool | { pool: PostgresPool }): PostgresPool {
  const pool = (Object(database) as { pool?: PostgresPool }).pool ?? database as PostgresPool
  const { query, on, listenerCount } = Object(pool) as Record<string, unknown>
  if ([query, on, listenerCount].some(method => typeof method !== 'function')) {
    throw invalid('pool', 'a Pool of pg, or the app.pg of @fastify/postgres', database)
  }
  // Without a listener, an idle connection that breaks would end the process.
  if (pool.listenerCount('error') === 0) pool.on('error', () => {})
  return pool
}

function parseInterval (seconds: number): number {
  const accepted = `a number of seconds above 0 and up to ${MAX_INTERVAL}, or false`
  if (parseTimeout('pruneInterval', seconds, accepted) > MAX_INTERVAL) throw invalid('pruneInterval', accepted, seconds)
  return seconds
}

({ postgresStore }) satisfies Omit<typeof Types, never>
