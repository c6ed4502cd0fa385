import type { SealOptions } from 'iron-webcrypto' with { 'resolution-mode': 'import' }
import type { IronOptions } from '../../types/index.js'
import type { Engine, Opened } from './engine.js'
import type { Keyring } from './keyring.js'
import { expiryOf, hasSaltsFor, parseToken } from './token.js'

/**
 * iron-webcrypto is ESM-only and few apps need it, so the first seal loads it. `import()` works on every supported version of Node;
 * `require` of an ES module does not.
 */
const load = (): Promise<typeof import('iron-webcrypto', { with: { 'resolution-mode': 'import' } })> => import('iron-webcrypto')

const asIs = (text: unknown): string => text as string

/**
 * Supports every parameter of the Iron protocol through iron-webcrypto, which works off the event loop.
 *
 * The app's `encode` and `decode` are called here and not by iron-webcrypto, so that their errors are not taken for a forged seal.
 */
export class IronEngine implements Engine {
  readonly sync = false
  readonly #keyring: Keyring
  readonly #given: IronOptions
  readonly #encode: (data: unknown) => string
  readonly #decode: (text: string) => unknown

  constructor (keyring: Keyring, options: IronOptions) {
    this.#keyring = keyring
    this.#encode = options.encode ?? JSON.stringify
    this.#decode = options.decode ?? JSON.parse
    this.#given = options
  }

  async seal (text: string, expiresAt: number): Promise<string> {
    const sealed = this.#encode(JSON.parse(text))
    const Iron = await load()
    const options = this.#optionsOver(Iron.defaults)
    const now = Date.now() + options.localtimeOffsetMsec
    const { id, encryption, integrity } = this.#keyring.newest
    return await Iron.seal(sealed, { id, encryption, integrity }, { ...options, ttl: expiresAt - now })
  }

  async open (text: string): Promise<Opened> {
    const token = parseToken(text)
    if (token === undefined) return { ok: false, reason: 'malformed' }
    const candidates = this.#keyring.candidates(token.id)
    const Iron = await load()
    const options = this.#optionsOver(Iron.defaults)
    let reason: 'malformed' | 'tampered' = 'malformed'
    for (const key of candidates) {
      if (!hasSaltsFor(key, token)) continue
      reason = 'tampered'
      const { encryption, integrity } = key
      let opened: string
      try {
        opened = await Iron.unseal(text, { [token.id || 'default']: { encryption, integrity } }, options) as string
      } catch {
        continue
      }
      try {
        return { ok: true, text: JSON.stringify(this.#decode(opened)), key, expiresAt: expiryOf(token) }
      } catch {
        return { ok: false, reason: 'malformed' }
      }
    }
    return { ok: false, reason: this.#keyring.reasonFor(token.id, reason) }
  }

  #optionsOver (defaults: SealOptions): SealOptions {
    const given = this.#given
    return {
      ...defaults,
      ...given,
      encryption: { ...defaults.encryption, ...given.encryption },
      integrity: { ...defaults.integrity, ...given.integrity },
      // SessionSealer checks the expiry, after the MAC.
      timestampSkewSec: Infinity,
      encode: asIs,
      decode: asIs
    }
  }
}
