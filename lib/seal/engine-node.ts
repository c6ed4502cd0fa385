import { pbkdf2Sync, randomBytes } from 'node:crypto'
import type { SecretValue } from '../../types/index.js'
import type { Engine, Opened } from './engine.js'
import type { Key, Keyring } from './keyring.js'
import { copyOf, Lru } from './lru.js'
import { CipherKey, MacKey } from './primitives.js'
import { expiryOf, hasSaltsFor, parseToken, splitToken, startOfIv } from './token.js'
import type { Token } from './token.js'

/** An epoch ends after a day or 2^20 seals, whichever comes first. */
const EPOCH_MS = 86_400_000
const EPOCH_SEALS = 2 ** 20
/** How many pairs of derived keys are kept. Each node needs one per epoch, for as long as its seals are valid. */
const DERIVED = 512

/** The keys derived from one secret with one pair of salts. */
class SaltedKeys {
  readonly key: Key
  /** The token up to the IV */
  readonly prefix: string
  /** The token between the expiry and the MAC */
  readonly suffix: string
  readonly integrity: MacKey
  readonly #encryptionSalt: string
  #cipher: CipherKey | undefined

  constructor (key: Key, { id, encryptionSalt, integritySalt }: Pick<Token, 'id' | 'encryptionSalt' | 'integritySalt'>) {
    this.key = key
    // The keys are kept for longer than the header that the token was cut out of.
    this.prefix = copyOf(`Fe26.2*${id}*${encryptionSalt}*`)
    this.suffix = copyOf(`*${integritySalt}*`)
    this.#encryptionSalt = copyOf(encryptionSalt)
    this.integrity = new MacKey(derive(key.integrity, integritySalt))
  }

  /** Derived at first use, because a forged seal never gets that far. */
  get cipher (): CipherKey {
    this.#cipher ??= new CipherKey(derive(this.key.encryption, this.#encryptionSalt))
    return this.#cipher
  }
}

function derive (secret: SecretValue, salt: string): Uint8Array {
  return typeof secret === 'string' ? pbkdf2Sync(secret, salt, 1, 32, 'sha1') : secret
}

/** 128 bits for a string, none for a raw key. */
function newSalt (secret: SecretValue): string {
  return typeof secret === 'string' ? randomBytes(16).toString('hex') : ''
}

/** The keys that this process currently seals with. */
interface Epoch {
  readonly keys: SaltedKeys
  readonly born: number
  seals: number
}

const malformed = { ok: false, reason: 'malformed' } as const

/** Iron's default parameters (aes-256-cbc, sha256, one iteration, but salts of any length) on node:crypto, synchronously. */
export class NodeEngine implements Engine {
  readonly sync = true
  readonly #keyring: Keyring
  /** The keys of verified seals, by their prefix */
  readonly #known = new Lru<SaltedKeys>(DERIVED)
  /** Those that were used last: comparing a prefix is cheaper than a look-up */
  #last: SaltedKeys
  #epoch: Epoch

  constructor (keyring: Keyring) {
    this.#keyring = keyring
    this.#epoch = this.#newEpoch()
    this.#last = this.#epoch.keys
  }

  seal (text: string, expiresAt: number): string {
    const age = Date.now() - this.#epoch.born
    // A clock that was set back also ends the epoch; otherwise it could last forever.
    if (this.#epoch.seals === EPOCH_SEALS || age >= EPOCH_MS || age < 0) this.#epoch = this.#newEpoch()
    const epoch = this.#epoch
    epoch.seals++
    const { prefix, suffix, cipher, integrity } = epoch.keys
    const signed = `${prefix}${cipher.encrypt(text)}*${expiresAt}`
    return signed + suffix + integrity.mac(signed)
  }

  open (text: string): Opened {
    return this.#openKnown(text) ?? this.#openAny(text)
  }

  /** Opens a usual token with keys that were derived before; `undefined` leaves it to `#openAny`. */
  #openKnown (text: string): Opened | undefined {
    const keys = this.#find(text)
    const token = keys && splitToken(text, keys.prefix.length, keys.suffix)
    // Nothing is decrypted before the MAC is verified.
    if (token === undefined || !keys!.integrity.verify(token.signed, token.mac)) return undefined
    const opened = keys!.cipher.decrypt(token.iv, token.ciphertext)
    if (opened === undefined) return undefined
    this.#last = keys!
    return { ok: true, text: opened, key: keys!.key, expiresAt: token.expiresAt }
  }

  #openAny (text: string): Opened {
    const token = parseToken(text)
    if (token === undefined) return malformed
    // 1. Choose the secrets: the one with this id, or all of them if the seal has no id.
    const candidates = this.#keyring.candidates(token.id)
    const known = this.#find(text)
    let reason: 'malformed' | 'tampered' = 'malformed'
    for (const key of candidates) {
      if (!hasSaltsFor(key, token)) continue
      // 2. Verify the MAC. Nothing is decrypted before.
      const keys = known?.key === key && known.suffix === `*${token.integritySalt}*` ? known : new SaltedKeys(key, token)
      reason = 'tampered'
      if (!keys.integrity.verify(token.signed, token.mac)) continue
      // 3. Decrypt.
      const opened = keys.cipher.decrypt(token.iv, token.ciphertext)
      if (opened === undefined) return malformed
      this.#keep(keys)
      return { ok: true, text: opened, key, expiresAt: expiryOf(token) }
    }
    return { ok: false, reason: this.#keyring.reasonFor(token.id, reason) }
  }

  #find (text: string): SaltedKeys | undefined {
    return text.startsWith(this.#last.prefix) ? this.#last : this.#known.get(text.slice(0, startOfIv(text)))
  }

  /** Call it only for keys of verified seals, so that forged salts cannot evict others. */
  #keep (keys: SaltedKeys): void {
    this.#last = keys
    this.#known.set(keys.prefix, keys)
  }

  /**
   * The salts only feed the key derivation, and CBC needs a fresh IV, not a fresh salt. So a process draws its salts and derives its
   * keys once per epoch, not once per seal.
   */
  #newEpoch (): Epoch {
    const key = this.#keyring.newest
    const keys = new SaltedKeys(key, { id: key.id, encryptionSalt: newSalt(key.encryption), integritySalt: newSalt(key.integrity) })
    this.#keep(keys)
    return { keys, born: Date.now(), seals: 0 }
  }
}
