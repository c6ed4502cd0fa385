/** What one entry may weigh on average */
const AVERAGE_BYTES = 4096

interface Entry<Value> {
  readonly key: string
  value: Value
  bytes: number
  /** Whether it was used since the hand last passed */
  used: boolean
}

/**
 * A map of at most `size` entries and, if they are weighed, of at most `size` × 4 kB, that evicts entries not used recently.
 *
 * It evicts by SIEVE (Zhang et al., NSDI 2024): a hand goes from the oldest entry to the newest, skips what was used since it last
 * passed, and evicts what was not. So a hit only sets a flag, and an entry that is never used goes first. Where few users make most
 * requests, nearly as many are hits as if the most frequent users were known in advance.
 */
export class Lru<Value> {
  readonly #size: number
  readonly #entries = new Map<string, Entry<Value>>()
  /** A Map's iterator goes in order of insertion, and stays valid whatever is inserted or deleted. */
  #hand = this.#entries.values()
  #bytes = 0

  constructor (size: number) {
    this.#size = size
  }

  get (key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.used = true
    return entry.value
  }

  /** @param bytes how much memory the entry takes; if it is left out, only the number of entries is limited */
  set (key: string, value: Value, bytes = 0): void {
    if (this.#size === 0) return
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#replace(known, value, bytes)
      return
    }
    while (this.#entries.size >= this.#size || (this.#bytes + bytes > this.#size * AVERAGE_BYTES && this.#entries.size > 0)) this.#evict()
    this.#entries.set(key, { key, value, bytes, used: false })
    this.#bytes += bytes
  }

  /**
   * In place. If it were deleted and inserted, the Map would sooner or later move to a new table, and V8 keeps every table since the one
   * that the hand has last read: where entries are replaced but none is evicted, they would fill the memory.
   */
  #replace (known: Entry<Value>, value: Value, bytes: number): void {
    this.#bytes += bytes - known.bytes
    known.value = value
    known.bytes = bytes
    known.used = true
    while (this.#bytes > this.#size * AVERAGE_BYTES && this.#entries.size > 1) this.#evict(known)
  }

  get size (): number {
    return this.#entries.size
  }

  /** Call it only if there is an entry besides the one to be spared. */
  #evict (spared?: Entry<Value>): void {
    for (;;) {
      const { value: entry, done } = this.#hand.next()
      if (done) {
        this.#hand = this.#entries.values()
      } else if (entry.used || entry === spared) {
        entry.used = false
      } else {
        this.#entries.delete(entry.key)
        this.#bytes -= entry.bytes
        return
      }
    }
  }
}

/**
 * A token as a string of its own. V8 slices strings without copying them, so a token that was cut out of a `cookie` header would keep the
 * whole header in memory.
 */
export function copyOf (token: string): string {
  return Buffer.from(token, 'latin1').toString('latin1')
}

/**
 * Remembers recent tokens, approximately, in a table of numbers. A token that is seen only once is not worth a cache entry: keeping
 * it alive costs the garbage collector more than unsealing it again.
 */
export class Doorkeeper {
  readonly #marks: Int32Array

  /** @param size rounded up to a power of two */
  constructor (size: number) {
    this.#marks = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(size, 1))))
  }

  /**
   * Returns whether the token was seen before, and remembers it.
   * @param token ends in a MAC, whose characters nobody can choose, so they serve as its hash
   */
  before (token: string): boolean {
    let mark = 1
    for (let at = token.length - 8; at < token.length; at++) mark = Math.imul(mark, 31) + token.charCodeAt(at) | 0
    const slot = mark & this.#marks.length - 1
    if (this.#marks[slot] === mark) return true
    this.#marks[slot] = mark
    return false
  }
}
