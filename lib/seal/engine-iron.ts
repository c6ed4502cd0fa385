import * as Iron from 'iron-webcrypto'
import type { SealOptions } from 'iron-webcrypto'
import type { IronOptions } from '../../types/index.js'
import type { Engine, Opened } from './engine.js'
import type { Keyring } from './keyring.js'
import { expiryOf, hasSaltsFor } from './token.js'
import type { Token } from './token.js'

const asIs = (text: unknown): string => text as string

/**
 * Any other parameter of the Iron protocol, on iron-webcrypto, whose work is off the event loop.
 *
 * The app's `encode` and `decode` are called here and not by iron-webcrypto, so that an error of theirs is
 * never taken for a forged seal.
 */
export class IronEngine implements Engine {
  readonly sync = false
  readonly #keyring: Keyring
  readonly #options: SealOptions
  readonly #encode: (data: unknown) => string
  readonly #decode: (text: string) => unknown

  constructor (keyring: Keyring, options: IronOptions) {
    this.#keyring = keyring
    this.#encode = options.encode ?? JSON.stringify
    this.#decode = options.decode ?? JSON.parse
    this.#options = {
      ...Iron.defaults,
      ...options,
      encryption: { ...Iron.defaults.encryption, ...options.encryption },
      integrity: { ...Iron.defaults.integrity, ...options.integrity },
      // The expiry is checked above this engine, once the MAC has held.
      timestampSkewSec: Infinity,
      encode: asIs,
      decode: asIs
    }
  }

  seal (text: string, expiresAt: number): Promise<string> {
    const now = Date.now() + this.#options.localtimeOffsetMsec
    const { id, secret } = this.#keyring.newest
    return Iron.seal(this.#encode(JSON.parse(text)), { id, secret }, { ...this.#options, ttl: expiresAt - now })
  }

  async open (token: Token): Promise<Opened> {
    const candidates = this.#keyring.candidates(token.id)
    let reason: 'malformed' | 'tampered' = 'malformed'
    for (const key of candidates) {
      if (!hasSaltsFor(key, token)) continue
      reason = 'tampered'
      const sealed = `${token.signed}*${token.integritySalt}*${token.mac}`
      let text: string
      try {
        text = await Iron.unseal(sealed, key.secret, this.#options) as string
      } catch {
        continue
      }
      try {
        return { ok: true, text: JSON.stringify(this.#decode(text)), key, expiresAt: expiryOf(token) }
      } catch {
        return { ok: false, reason: 'malformed' }
      }
    }
    return { ok: false, reason: this.#keyring.reasonFor(token.id, reason) }
  }
}
