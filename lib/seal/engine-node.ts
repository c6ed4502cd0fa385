import { pbkdf2Sync, randomBytes } from 'node:crypto'
import type { SecretValue } from '../../types/index.js'
import type { Engine, Opened } from './engine.js'
import type { Key, Keyring } from './keyring.js'
import { Lru } from './lru.js'
import { CipherKey, MacKey } from './primitives.js'
import { expiryOf, hasSaltsFor, isWhole, isWholeOnceDecoded, splitToken } from './token.js'
import type { Token } from './token.js'

/** An epoch ends after an hour or 2^20 seals, whichever comes first. */
const EPOCH_MS = 3_600_000
const EPOCH_SEALS = 2 ** 20
/** How many pairs of derived keys are kept per secret. Each node needs one per epoch. */
const DERIVED = 256

/** The salts that this process currently seals with, and the keys derived with them. */
interface Epoch {
  /** The token up to the IV */
  readonly prefix: string
  /** The token between the expiry and the MAC */
  readonly suffix: string
  readonly cipher: CipherKey
  readonly integrity: MacKey
  readonly born: number
  seals: number
}

/** The keys derived from one secret with one pair of salts. */
class SaltedKeys {
  readonly encryptionSalt: string
  readonly integritySalt: string
  readonly integrity: MacKey
  readonly #encryption: SecretValue
  #cipher: CipherKey | undefined

  constructor ({ encryption, integrity }: Key, encryptionSalt: string, integritySalt: string) {
    this.#encryption = encryption
    this.encryptionSalt = encryptionSalt
    this.integritySalt = integritySalt
    this.integrity = new MacKey(derive(integrity, integritySalt))
  }

  /** Derived at first use, because a forged seal never gets that far. */
  get cipher (): CipherKey {
    this.#cipher ??= new CipherKey(derive(this.#encryption, this.encryptionSalt))
    return this.#cipher
  }

  fit (encryptionSalt: string, integritySalt: string): boolean {
    return this.encryptionSalt === encryptionSalt && this.integritySalt === integritySalt
  }
}

function derive (secret: SecretValue, salt: string): Uint8Array {
  return typeof secret === 'string' ? pbkdf2Sync(secret, salt, 1, 32, 'sha1') : secret
}

/** 128 bits for a string, none for a raw key. Other implementations take a salt of any length from the seal; Iron's own has 256 bits. */
function newSalt (secret: SecretValue): string {
  return typeof secret === 'string' ? randomBytes(16).toString('hex') : ''
}

/** One secret, and the keys derived from it with the salts of other nodes and epochs. */
class KeySchedule {
  readonly key: Key
  readonly #known = new Lru<SaltedKeys>(DERIVED)
  // Most seals belong to one epoch, and comparing two salts is cheaper than a look-up.
  #last: SaltedKeys | undefined

  constructor (key: Key) {
    this.key = key
  }

  /** The keys for the salts of a token, if a token with them was verified before. */
  find ({ encryptionSalt, integritySalt }: Token): SaltedKeys | undefined {
    if (this.#last?.fit(encryptionSalt, integritySalt)) return this.#last
    const known = this.#known.get(integritySalt || encryptionSalt)
    return known?.fit(encryptionSalt, integritySalt) ? known : undefined
  }

  derive ({ encryptionSalt, integritySalt }: Token): SaltedKeys {
    return new SaltedKeys(this.key, encryptionSalt, integritySalt)
  }

  /** Call it only for keys of verified seals, so that forged salts cannot evict others. */
  keep (keys: SaltedKeys): void {
    if (keys === this.#last) return
    this.#last = keys
    this.#known.set(keys.integritySalt || keys.encryptionSalt, keys)
  }

  /**
   * The salts only feed the key derivation, and CBC needs a fresh IV, not a fresh salt. So a process draws its salts and derives its
   * keys once per epoch, not once per seal.
   */
  epoch (): Epoch {
    const keys = new SaltedKeys(this.key, newSalt(this.key.encryption), newSalt(this.key.integrity))
    this.keep(keys)
    return {
      prefix: `Fe26.2*${this.key.id}*${keys.encryptionSalt}*`,
      suffix: `*${keys.integritySalt}*`,
      cipher: keys.cipher,
      integrity: keys.integrity,
      born: Date.now(),
      seals: 0
    }
  }
}

const malformed = { ok: false, reason: 'malformed' } as const

/** Iron's default parameters (aes-256-cbc, sha256, one iteration; salts of any length) on node:crypto, synchronously. */
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
    // A clock that was set back also ends the epoch; otherwise it could last forever.
    if (this.#epoch.seals === EPOCH_SEALS || age >= EPOCH_MS || age < 0) this.#epoch = this.#newEpoch()
    const epoch = this.#epoch
    epoch.seals++
    const signed = `${epoch.prefix}${epoch.cipher.encrypt(text)}*${expiresAt}`
    return signed + epoch.suffix + epoch.integrity.mac(signed)
  }

  open (text: string): Opened {
    const token = splitToken(text)
    if (token === undefined) return malformed
    // 1. Choose the secrets: the one with this id, or all of them if the seal has no id.
    const candidates = this.#keyring.candidates(token.id)
    let reason: 'malformed' | 'tampered' = 'malformed'
    for (const key of candidates) {
      if (!hasSaltsFor(key, token)) continue
      const schedule = this.#schedules.get(key)!
      // 2. Verify the MAC. Nothing is decrypted before.
      const known = schedule.find(token)
      const keys = known ?? schedule.derive(token)
      reason = 'tampered'
      if (!keys.integrity.verify(token.signed, token.mac)) continue
      // 3. Decrypt.
      const opened = keys.cipher.decrypt(token.iv, token.ciphertext)
      // 4. Check the characters of the other parts, which costs little where the id and the salts are known.
      const isFamiliar = known !== undefined && token.id === key.id
      if (opened === undefined || !(isFamiliar ? isWholeOnceDecoded(token) : isWhole(text))) return malformed
      schedule.keep(keys)
      return { ok: true, text: opened, key, expiresAt: expiryOf(token) }
    }
    return isWhole(text) ? { ok: false, reason: this.#keyring.reasonFor(token.id, reason) } : malformed
  }

  #newEpoch (): Epoch {
    return this.#schedules.get(this.#keyring.newest)!.epoch()
  }
}
