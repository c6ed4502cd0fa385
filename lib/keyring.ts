import { createHmac } from 'node:crypto'
import type { SecretValue } from '../types/index.js'

/** One secret under the id that its seals carry. Bytes are the raw key, text goes through PBKDF2. */
export interface Key {
  readonly id: string
  readonly secret: SecretValue
}

/** The secrets of one registration: the newest seals, all of them unseal. */
export class Keyring {
  readonly newest: Key
  readonly all: readonly Key[]
  // A Map, so that an id such as `__proto__` finds nothing.
  readonly #byId: Map<string, readonly Key[]>

  constructor (keys: readonly [Key, ...Key[]]) {
    this.newest = keys[0]
    this.all = keys
    this.#byId = new Map(keys.map(key => [key.id, [key]]))
  }

  /** The keys that may open a seal with this id; every key where it has none, no key where nobody knows it. */
  candidates (id: string): readonly Key[] {
    return id === '' ? this.all : this.#byId.get(id) ?? []
  }
}

/**
 * The id of a secret that was given without one: 40 bits of a one-way fingerprint, so that every node that
 * holds the secret names it alike and rotation is one look-up.
 */
export function fingerprint (secret: SecretValue): string {
  return createHmac('sha256', secret).update('fastify-iron-session key id').digest('hex').slice(0, 10)
}
