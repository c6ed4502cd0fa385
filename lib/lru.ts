/**
 * A map that holds at most `size` entries and forgets those that were not used lately.
 *
 * Two generations instead of a list in order of use: a hit in the young one writes nothing, and whole
 * generations are dropped at once. An entry that is used survives; which idle one goes first is approximate.
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
