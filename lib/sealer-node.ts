import { pbkdf2Sync, randomBytes } from 'node:crypto'
import type { Key, Keyring } from './keyring.js'
import { Lru } from './lru.js'
import { CipherKey, MacKey } from './primitives.js'
import { expiryOf } from './token.js'
import type { Engine, Opened, Token } from './token.js'

/** An epoch ends after an hour or 2^20 seals, whichever comes first. */
const EPOCH_MS = 3_600_000
const EPOCH_SEALS = 2 ** 20
/** Derived keys kept per secret and purpose: one per epoch of every node that seals with it. */
const DERIVED = 256

/** The salts that this process seals with for a while, and the keys that they give. */
interface Epoch {
  /** What stands before the IV */
  readonly prefix: string
  /** What stands between the expiry and the MAC */
  readonly suffix: string
  readonly cipher: CipherKey
  readonly integrity: MacKey
  readonly born: number
  seals: number
}

/** One secret, and the keys derived from it for the salts of other nodes and epochs. */
class KeySchedule {
  readonly key: Key
  readonly #raw: boolean
  readonly #ciphers = new Lru<CipherKey>(DERIVED)
  readonly #macs = new Lru<MacKey>(DERIVED)

  constructor (key: Key) {
    this.key = key
    this.#raw = typeof key.secret !== 'string'
  }

  /** Iron has salts with a text, and none with a raw key. */
  fits (token: Token): boolean {
    return (token.encryptionSalt === '') === this.#raw && (token.integritySalt === '') === this.#raw
  }

  cipher (salt: string): CipherKey {
    return this.#ciphers.get(salt) ?? new CipherKey(this.#derive(salt))
  }

  integrity (salt: string): MacKey {
    return this.#macs.get(salt) ?? new MacKey(this.#derive(salt))
  }

  /** For salts of verified seals alone, so that a stranger's salts cannot push others out. */
  keep (token: Token, cipher: CipherKey, integrity: MacKey): void {
    this.#ciphers.set(token.encryptionSalt, cipher)
    this.#macs.set(token.integritySalt, integrity)
  }

  /**
   * Salts feed the key derivation alone; what CBC needs fresh is the IV. So a process draws its salts and
   * derives its keys once an epoch, not with every seal.
   */
  epoch (): Epoch {
    const encryptionSalt = this.#salt()
    const integritySalt = this.#salt()
    const epoch = {
      prefix: `Fe26.2*${this.key.id}*${encryptionSalt}*`,
      suffix: `*${integritySalt}*`,
      cipher: this.cipher(encryptionSalt),
      integrity: this.integrity(integritySalt),
      born: Date.now(),
      seals: 0
    }
    this.#ciphers.set(encryptionSalt, epoch.cipher)
    this.#macs.set(integritySalt, epoch.integrity)
    return epoch
  }

  #salt (): string {
    return this.#raw ? '' : randomBytes(32).toString('hex')
  }

  #derive (salt: string): Uint8Array {
    const { secret } = this.key
    return typeof secret === 'string' ? pbkdf2Sync(secret, salt, 1, 32, 'sha1') : secret
  }
}

/** Iron's default parameters (aes-256-cbc, sha256, one iteration, 256 bits of salt) on node:crypto, at once. */
export class NodeEngine implements Engine {
  readonly sync = true
  readonly #keyring: Keyring
  readonly #schedules: ReadonlyMap<Key, KeySchedule>
  #epoch: Epoch

  constructor (keyring: Keyring) {
    this.#keyring = keyring
    this.#schedules = new Map(keyring.all.map(key => [key, new KeySchedule(key)]))
    this.#epoch = this.#newEpoch()
  }

  seal (text: string, expiresAt: number): string {
    const age = Date.now() - this.#epoch.born
    // A clock that was set back ends an epoch too, or it could last for ever.
    if (this.#epoch.seals === EPOCH_SEALS || age >= EPOCH_MS || age < 0) this.#epoch = this.#newEpoch()
    const epoch = this.#epoch
    epoch.seals++
    const signed = `${epoch.prefix}${epoch.cipher.encrypt(text)}*${expiresAt}`
    return signed + epoch.suffix + epoch.integrity.mac(signed)
  }

  open (token: Token): Opened {
    // 1. Which secrets can it be? A known id names one, no id means any.
    const candidates = this.#keyring.candidates(token.id)
    if (candidates.length === 0) return { ok: false, reason: 'unknown-key' }
    let reason: 'malformed' | 'tampered' = 'malformed'
    for (const key of candidates) {
      const schedule = this.#schedules.get(key)!
      if (!schedule.fits(token)) continue
      // 2. The MAC comes first: nothing is decrypted before it holds.
      const integrity = schedule.integrity(token.integritySalt)
      reason = 'tampered'
      if (!integrity.verify(token.signed, token.mac)) continue
      // 3. Decrypt.
      const cipher = schedule.cipher(token.encryptionSalt)
      const text = cipher.decrypt(token.iv, token.ciphertext)
      if (text === undefined) return { ok: false, reason: 'malformed' }
      schedule.keep(token, cipher, integrity)
      return { ok: true, text, key, expiresAt: expiryOf(token) }
    }
    return { ok: false, reason }
  }

  #newEpoch (): Epoch {
    return this.#schedules.get(this.#keyring.newest)!.epoch()
  }
}
