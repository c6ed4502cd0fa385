import type { PostgresPool } from '../../../types/postgres.js'
import type { Open } from '../listeners.js'
import { decodeId } from '../names.js'

/** A client of pg that is not in the pool. */
interface Client {
  on (event: string, listener: (message: { payload?: string }) => void): unknown
  connect (): Promise<unknown>
  query (text: string): Promise<unknown>
  end (): Promise<unknown>
  unref? (): void
}

/**
 * How to listen, on a client of its own that connects as those of the pool do. It is not taken from the pool: `pool.end()`
 * would wait for it for ever.
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
      // Nobody waits for messages alone: the process may end.
      client.unref?.()
      await client.query(listen)
    }
    return { ready: start(), close: () => { client.end().catch(() => undefined) } }
  }
}
