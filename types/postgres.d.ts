import type { SessionStore } from './index.js'

/** What the store asks of a Pool of pg. */
export interface PostgresPool {
  /** Runs a statement on any of its connections */
  query (text: string, values?: any[]): Promise<{ rows: any[], rowCount: number | null }>
  /** Adds a listener, if nobody listens to `error` */
  on (event: 'error', listener: (error: Error) => void): unknown
  /** How many listen to `error` */
  listenerCount (event: 'error'): number
}

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions {
  /** Name of the table, or `schema.table`, as it is written: it is quoted. Default `fastify_session` */
  table?: string | undefined
  /** Seconds after which the store calls `prune()` again by itself, or `false`; default 900 (15 minutes) */
  pruneInterval?: number | false | undefined
}

/** What {@link postgresStore} returns: a store with every optional method, and two that look after its table. */
export interface PostgresStore extends Required<SessionStore> {
  /** Creates the table and its indexes, if they are missing. Any number of processes may call it at the same time */
  migrate (): Promise<void>
  /**
   * Deletes the entries that have expired, and tells how many. It waits for nobody and makes nobody wait; while another process
   * prunes, it does nothing
   */
  prune (): Promise<number>
}

/**
 * Makes a store of a Pool of pg, or of the `app.pg` of `@fastify/postgres`: PostgreSQL 12 or later, one table. Call `migrate()`
 * once before it is used. The app ends the pool.
 *
 * @example
 * const store = postgresStore(new Pool({ connectionString: process.env.DATABASE_URL }))
 * await store.migrate()
 * await app.register(sessionPlugin, { secret, store })
 * @throws FST_SESSION_INVALID_OPTION; from its methods, an error that names `migrate()` where the table is missing
 */
export function postgresStore (pool: PostgresPool | { pool: PostgresPool }, options?: PostgresStoreOptions): PostgresStore
