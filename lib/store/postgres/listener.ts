import type { PostgresPool } from '../../../types/postgres.js'
import type { Open } from '../listeners.js'
import { decodeId } from '../names.js'

/** A client of pg outside the pool. */
interface Client {
  on (event: string, listener: (message: { payload?: string }) => void): unknown
  connect (): Promise<unknown>
  query (text: string): Promise<unknown>
  end (): Promise<unknown>
  unref? (): void
}

/**
 * Listens on a separate client, which has the pool's settings. It is not taken from the pool, because `pool.end()` would then
 * never resolve.
 */
export function listenerOf (pool: PostgresPool, listen: string): Open {
  const { Client, options } = pool as unknown as { Client: new (options: unknown) => Client, options: unknown }
  return (heard, _troubled, lost) => {
    const client = new Client(options)
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', ({ payload }) => { heard(decodeId(payload!)) })
    const start = async (): Promise<void> => {
      await client.connect()
      // Listening alone must not keep the process alive.
      client.unref?.()
      await client.query(listen)
    }
    return { ready: start(), close: () => { client.end().catch(() => undefined) } }
  }
}
