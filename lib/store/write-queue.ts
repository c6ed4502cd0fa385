import { Lru } from '../seal/lru.js'

/** How many entries' last writes are remembered, to notice requests that overlap with them */
const WRITES = 10_000

/** A write of an entry by this process. */
interface Write {
  /** Which one it was, by the count of writes that are done; until it is done itself, Infinity */
  nth: number
  done: Promise<void>
  /** When the entry expires that it has made, in milliseconds since 1970 */
  until: number
}

/** Which entry a request has, and which writes it knows of. */
export interface Holder {
  readonly id: string
  /** How many writes were done when it was read */
  asOf: number
}

/** A write whose turn it is. */
export interface Turn {
  /** Whether nobody has written the entry since it was read, as far as this process knows */
  readonly isAlone: boolean
  /** When the entry expires that an overlapping write has made */
  readonly until: number
}

/** The writes of one store by this process, one after the other for each entry. */
export class Turns {
  readonly #writes = new Lru<Write>(WRITES)
  #done = 0

  /** How many writes are done: what a request that reads now will know of. */
  get now (): number {
    return this.#done
  }

  /** Another's write of an entry since it was read, done or not; `undefined` where there is none. */
  other (holder: Holder): Promise<void> | undefined {
    const last = this.#writes.get(holder.id)
    return last === undefined || last.nth <= holder.asOf ? undefined : last.done
  }

  /**
   * @param wait waits for another's write, for no longer than a call may take
   * @param write gives when its entry expires, or `undefined` where it wrote nothing
   */
  async take (
    holder: Holder, wait: (other: Promise<void>) => Promise<void>, write: (turn: Turn) => Promise<number | undefined>
  ): Promise<void> {
    const before = this.#writes.get(holder.id)
    const isAlone = before === undefined || before.nth <= holder.asOf
    let finish!: () => void
    const mine: Write = { nth: Infinity, until: isAlone ? 0 : before.until, done: new Promise(resolve => { finish = resolve }) }
    this.#writes.set(holder.id, mine)
    try {
      if (!isAlone) await wait(before.done)
      const until = await write({ isAlone, until: isAlone ? 0 : before.until })
      if (until === undefined) return
      mine.until = until
      // Only who has seen the entry as it is now knows of all writes.
      holder.asOf = this.#done + 1
    } finally {
      mine.nth = ++this.#done
      finish()
    }
  }
}

const turns = new WeakMap<object, Turns>()

/** Shared by all that use one store in this process: scopes, apps, named sessions. */
export function turnsFor (store: object): Turns {
  const known = turns.get(store) ?? new Turns()
  turns.set(store, known)
  return known
}
