import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { SessionStore } from '../../types/index.js'
import { postgresStore } from '../postgres.js'
import { redisStore } from '../redis.js'
import { Deadline } from '../store/deadline.js'
import { UsageError } from './command.js'
import type { Values } from './command.js'

/** A store that a command has opened. */
export interface OpenStore {
  readonly store: SessionStore
  readonly prune?: () => Promise<number>
  close (): Promise<unknown>
}

/** How long a server may take to accept a connection, and to answer on it, in milliseconds */
const CONNECT_TIMEOUT = 5000

/** How long a query may take, in milliseconds: a locked table must not keep the command from ending */
const QUERY_TIMEOUT = 30_000

/**
 * Opens the store of an app with the client that the app has installed.
 * @throws UsageError, and what the client throws
 */
export async function openStore (values: Values, env: NodeJS.ProcessEnv): Promise<OpenStore> {
  const { redis, postgres, prefix, table, cluster } = values as Partial<Record<'redis' | 'postgres' | 'prefix' | 'table', string>> & { cluster?: boolean }
  if (redis !== undefined && postgres !== undefined) throw new UsageError('Choose --redis or --postgres')
  const url = redis ?? postgres ?? env.SESSION_STORE_URL
  if (url === undefined) throw new UsageError('Which store? Use --redis, --postgres, or an address in SESSION_STORE_URL')
  const protocol = protocolOf(url)
  if (redis !== undefined || (postgres === undefined && /^rediss?:$/.test(protocol))) return await openRedis(url, prefix, cluster === true)
  if (postgres !== undefined || /^postgres(ql)?:$/.test(protocol)) return openPostgres(url, table)
  throw new UsageError('The address in SESSION_STORE_URL must begin with redis://, rediss:// or postgresql://')
}

/** The address is never shown, because it may contain a password. */
function protocolOf (url: string): string {
  if (!URL.canParse(url)) throw new UsageError('The address of the store is not a URL')
  return new URL(url).protocol
}

async function openRedis (url: string, prefix: string | undefined, isCluster: boolean): Promise<OpenStore> {
  const options = prefix === undefined ? {} : { prefix }
  const redis = load<typeof import('redis')>('redis')
  if (redis !== undefined) {
    const settings = { disableOfflineQueue: true, socket: { connectTimeout: CONNECT_TIMEOUT, reconnectStrategy: false as const } }
    const client = isCluster ? redis.createCluster({ rootNodes: [{ url }], defaults: settings }) : redis.createClient({ url, ...settings })
    // Without a listener, an error would end the process. The command that fails reports it.
    client.on('error', () => {})
    await connect(client, () => { client.destroy() })
    return { store: redisStore(client, options), close: async () => { client.destroy() } }
  }
  const ioredis = load<typeof import('ioredis')>('ioredis')
  if (ioredis === undefined) throw new UsageError('Install redis or ioredis in the app, and run the command in the folder of the app')
  const settings = { lazyConnect: true, connectTimeout: CONNECT_TIMEOUT, maxRetriesPerRequest: 0, retryStrategy: () => null }
  const client = isCluster
    ? new ioredis.Cluster([url], { lazyConnect: true, clusterRetryStrategy: () => null, redisOptions: { connectTimeout: CONNECT_TIMEOUT } })
    : new ioredis.Redis(url, settings)
  client.on('error', () => {})
  await connect(client, () => { client.disconnect() })
  return { store: redisStore(client, options), close: async () => { client.disconnect() } }
}

/** Connects to a server that may accept connections and answer nothing: the clients wait for the answer for ever. */
async function connect (client: { connect (): Promise<unknown> }, close: () => void): Promise<void> {
  const deadline = new Deadline(CONNECT_TIMEOUT / 1000)
  try {
    await deadline.bound(async () => {
      deadline.next('connect')
      await client.connect()
    })
  } catch (error) {
    // The open connection would keep the process from ending. What failed by itself is closed.
    if (deadline.isOver) close()
    throw error
  }
}

function openPostgres (connectionString: string, table: string | undefined): OpenStore {
  const pg = load<typeof import('pg')>('pg')
  if (pg === undefined) throw new UsageError('Install pg in the app, and run the command in the folder of the app')
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT, query_timeout: QUERY_TIMEOUT })
  const store = postgresStore(pool, { pruneInterval: false, ...table !== undefined && { table } })
  return { store, prune: store.prune, close: async () => { await pool.end() } }
}

/** Loads a package from the folder in which the command runs. Returns `undefined` if it is not installed. */
function load<Package> (name: string): Package | undefined {
  const require = createRequire(join(process.cwd(), 'package.json'))
  try {
    return require(name) as Package
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
