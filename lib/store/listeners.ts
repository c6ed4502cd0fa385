/** Hears the id of a session that was ended. */
export type Ended = (id: string) => void

/** One try to listen. */
export interface Connection {
  /** Resolves when it listens. Where it rejects, the connection is closed and another one is opened later */
  readonly ready: Promise<unknown>
  close (): unknown
}

/**
 * Opens a connection that listens.
 * @param troubled is called when something failed; the connection may recover by itself
 * @param lost is called when it listens no more, and never will
 */
export type Open = (heard: Ended, troubled: () => void, lost: () => void) => Connection

/** Milliseconds before another connection is opened for one that was lost */
const PAUSE = 1000

/** Those who want to know which sessions end, on one connection, which is there as long as anybody listens. */
export class Listeners {
  readonly #all = new Set<{ ended: Ended }>()
  readonly #open: Open
  #opened: Promise<() => void> | undefined

  constructor (open: Open) {
    this.#open = open
  }

  /** Resolves when it listens, or when the server turns out to be away: it listens then from when the server is back. */
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

  // What a listener throws is the app's own error: it must not break the connection, or keep the id from the others.
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
