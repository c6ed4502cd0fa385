import { createHmac } from 'node:crypto'
import type { SecretValue, SessionReason } from '../../types/index.js'

/** One secret under the id that its seals carry. Bytes are the raw key; keys are derived from a string with PBKDF2. */
export interface Key {
  readonly id: string
  /** Whether the id is derived, because the app gave none */
  readonly nameless?: true
  /** The secret that encrypts */
  readonly encryption: SecretValue
  /** The secret for the MAC: the same one, unless the app gave two */
  readonly integrity: SecretValue
}

/** The secrets of one registration: the newest seals, all unseal. */
export class Keyring {
  readonly newest: Key
  readonly all: readonly Key[]
  readonly #nameless: readonly Key[]
  // A Map, because ids come from cookies: `__proto__` must find nothing.
  readonly #byId: Map<string, readonly Key[]>

  /** @param open whether a secret without a given id opens seals with any id, as a plain password does in Iron */
  constructor (keys: readonly [Key, ...Key[]], open = false) {
    this.newest = keys[0]
    this.all = keys
    this.#nameless = open ? keys.filter(({ nameless }) => nameless) : []
    this.#byId = new Map(keys.map(key => [key.id, [key]]))
  }

  /** The keys that may open a seal with this id; every key if the seal has none. */
  candidates (id: string): readonly Key[] {
    if (id === '') return this.all
    const named = this.#byId.get(id) ?? []
    return this.#nameless.length === 0 ? named : [...new Set([...named, ...this.#nameless])]
  }

  /** Why a seal with this id did not open. */
  reasonFor (id: string, reason: 'malformed' | 'tampered'): SessionReason {
    return id === '' || this.#byId.has(id) ? reason : 'unknown-key'
  }
}

const LABEL = 'fastify-sealed-session key id'

/**
 * The id of a secret that was given without one: 40 bits of a one-way fingerprint, so that every node that
 * holds the secret derives the same id, and rotation is one look-up.
 */
export function fingerprint (encryption: SecretValue, integrity: SecretValue): string {
  const hmac = createHmac('sha256', encryption).update(LABEL)
  if (encryption !== integrity) hmac.update(createHmac('sha256', integrity).update(LABEL).digest())
  return hmac.digest('hex').slice(0, 10)
}

/** Example secrets from the documentation of session packages, which are publicly known. */
const EXAMPLES: ReadonlySet<string> = new Set([
  'some_not_random_password_that_is_at_least_32_characters',
  'complex_password_at_least_32_characters_long',
  'password-with-at-least-32-characters',
  'averylogphrasebiggerthanthirtytwochars',
  'a secret with minimum length of 32 characters',
  '80d42cfb-1cd2-462c-8f17-e3237d9027e9',
  '!wsYhFA*C2U6nz=Bu^%A@^F#SF3&kSR6'
])

/** A string with fewer different characters than this is a repetition, not a secret. */
const MIN_VARIETY = 5

/**
 * Why a secret of sufficient length is still guessable, or `undefined`. This catches mistakes, not every weak secret: a string does
 * not show how random it is.
 */
export function guessable (secret: SecretValue): string | undefined {
  if (typeof secret !== 'string') {
    return secret.every(byte => byte === 0) ? 'bytes that are all zero' : undefined
  }
  const variety = new Set(secret).size
  if (variety < MIN_VARIETY) return `a repetition of ${variety === 1 ? 'one character' : `${variety} characters`}`
  return EXAMPLES.has(secret.trim()) ? 'an example from documentation' : undefined
}
