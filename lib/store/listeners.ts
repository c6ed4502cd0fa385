/** Called with the id of a session that was ended. */
export type Ended = (id: string) => void

/** A connection that listens for ended sessions. */
export interface Connection {
  /** Resolves when it listens. If it rejects, the connection is closed and another one is opened later */
  readonly ready: Promise<unknown>
  close (): unknown
}

/**
 * Opens a connection that listens.
 * @param troubled called on a failure from which the connection may recover by itself
 * @param lost called when the connection has stopped listening for good
 */
export type Open = (heard: Ended, troubled: () => void, lost: () => void) => Connection

/** Milliseconds before a lost connection is replaced */
const PAUSE = 1000

/** All listeners of a store. They share one connection, which is open as long as there is a listener. */
export class Listeners {
  readonly #all = new Set<{ ended: Ended }>()
  readonly #open: Open
  #opened: Promise<() => void> | undefined

  constructor (open: Open) {
    this.#open = open
  }

  /** Resolves when the connection listens. If the server is not available, it resolves too, and connects when the server is back. */
  async add (ended: Ended): Promise<() => Promise<void>> {
    const listener = { ended }
    this.#all.add(listener)
    const opened = this.#opened ??= keepOpen(this.#open, id => { this.#tell(id) })
    await opened
    return async () => {
      if (!this.#all.delete(listener) || this.#all.size > 0) return
      this.#opened = undefined
      const close = await opened
      close()
    }
  }

  // In a microtask: an error of one listener must not break the connection, or keep the id from the other listeners.
  #tell (id: string): void {
    for (const { ended } of this.#all) queueMicrotask(() => { ended(id) })
  }
}

async function keepOpen (open: Open, heard: Ended): Promise<() => void> {
  return await new Promise(resolve => {
    let isClosed = false
    let timer: NodeJS.Timeout | undefined
    let connection: Connection
    const settled = (): void => { resolve(close) }
    function close (): void {
      isClosed = true
      clearTimeout(timer)
      connection.close()
    }
    function start (): void {
      let isLost = false
      const lost = (): void => {
        settled()
        if (isLost || isClosed) return
        isLost = true
        mine.close()
        timer = setTimeout(start, PAUSE).unref()
      }
      const mine = open(heard, settled, lost)
      connection = mine
      mine.ready.then(settled, lost)
    }
    start()
  })
}
