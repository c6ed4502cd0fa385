import type { SessionStore } from './index.js'

/** The part of pg's Pool that the store uses. */
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
  /** The name of the table, or `schema.table`. It is quoted, so its case is kept. Default: `fastify_session` */
  table?: string | undefined
  /** How often the store calls `prune()` by itself, in seconds, or `false` for never. Default: 900 (15 minutes) */
  pruneInterval?: number | false | undefined
}

/** What {@link postgresStore} returns: a store with every optional method, and two methods for its table. */
export interface PostgresStore extends Required<SessionStore> {
  /** Creates the table and its indexes if they do not exist. Any number of processes may call it at the same time */
  migrate (): Promise<void>
  /**
   * Deletes expired entries and returns how many. It skips rows that are locked. If another process is pruning, it does nothing
   */
  prune (): Promise<number>
}

/**
 * Creates a store for PostgreSQL 12 or later from a Pool of pg, or from the `app.pg` of `@fastify/postgres`. It uses one table.
 * Call `migrate()` once before the first use. The app ends the pool.
 *
 * @example
 * const store = postgresStore(new Pool({ connectionString: process.env.DATABASE_URL }))
 * await store.migrate()
 * await app.register(sessionPlugin, { secret, store })
 * @throws FST_SESSION_INVALID_OPTION; its methods throw an error that names `migrate()` if the table is missing
 */
export function postgresStore (pool: PostgresPool | { pool: PostgresPool }, options?: PostgresStoreOptions): PostgresStore
