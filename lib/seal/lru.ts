/**
 * A map of at most `size` entries that evicts those not used recently.
 *
 * It has two generations instead of a list in order of use: a hit in the young generation writes nothing, and the old one is dropped
 * as a whole. An entry in use survives; the order in which idle entries are evicted is approximate.
 */
export class Lru<Value> {
  readonly #half: number
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()

  constructor (size: number) {
    this.#half = size / 2
  }

  get (key: string): Value | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const old = this.#old.get(key)
    if (old !== undefined) {
      this.#old.delete(key)
      this.set(key, old)
    }
    return old
  }

  set (key: string, value: Value): void {
    if (this.#half === 0) return
    this.#young.set(key, value)
    if (this.#young.size >= this.#half) {
      this.#old = this.#young
      this.#young = new Map()
    }
  }

  get size (): number {
    return this.#young.size + this.#old.size
  }
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
