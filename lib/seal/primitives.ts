import { createCipheriv, createDecipheriv, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Cipher, Decipher } from 'node:crypto'
import { randomBlock } from './random.js'

const BLOCK = 16
const HASH_BLOCK = 64
const DIGEST = 32
/** The length of a digest in base64url */
const MAC = 43
/** Bytes of UTF-8 */
const LONGEST_CHARACTER = 4
const SCRATCH = 32 * 1024

// Shared by all calls here, which are synchronous. Nothing in it outlives the call that fills it.
const scratch = Buffer.allocUnsafeSlow(SCRATCH)
const claimed = Buffer.allocUnsafeSlow(MAC)
const computed = Buffer.allocUnsafeSlow(MAC)

function workspace (size: number): Buffer {
  return size <= SCRATCH ? scratch : Buffer.allocUnsafe(size)
}

/** AES-256-CBC with one key. IV and ciphertext are base64url. */
export class CipherKey {
  readonly #bytes: Uint8Array
  #cipher: Cipher | undefined
  #decipher: Decipher | undefined

  /** @param bytes the key, 32 bytes */
  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /**
   * Returns `iv*ciphertext`. One random block is encrypted before the padded text, so that the first block of the output is an
   * unpredictable IV (RFC 4346, section 6.2.3.2, variant 2b) and one cipher object serves every seal: creating a cipher costs several
   * times what using it does.
   */
  encrypt (text: string): string {
    const input = workspace(text.length * 3 + 2 * BLOCK)
    randomBlock(input)
    const end = BLOCK + input.write(text, BLOCK)
    const padding = BLOCK - end % BLOCK
    input.fill(padding, end, end + padding)
    this.#cipher ??= createCipheriv('aes-256-cbc', this.#bytes, randomBytes(BLOCK)).setAutoPadding(false)
    const output = this.#cipher.update(input.subarray(0, end + padding))
    return `${output.toString('base64url', 0, BLOCK)}*${output.toString('base64url', BLOCK)}`
  }

  /** Decrypts. Returns `undefined` if a character is not base64, or the ciphertext is not made of whole blocks, or its padding is wrong. */
  decrypt (iv: string, ciphertext: string): string | undefined {
    const input = workspace(ciphertext.length + BLOCK)
    const bytes = ciphertext.length * 3 >> 2
    // The decoder skips foreign characters.
    if (bytes % BLOCK !== 0 || input.write(iv, 'base64url') !== BLOCK || input.write(ciphertext, BLOCK, 'base64url') !== bytes) return undefined
    const end = BLOCK + bytes
    this.#decipher ??= createDecipheriv('aes-256-cbc', this.#bytes, randomBytes(BLOCK)).setAutoPadding(false)
    // The IV is decrypted like ciphertext. Its output is noise; the text follows it.
    const output = this.#decipher.update(input.subarray(0, end))
    const padding = output[end - 1]!
    if (padding === 0 || padding > BLOCK) return undefined
    for (let at = end - padding; at < end; at++) if (output[at] !== padding) return undefined
    return output.toString('utf8', BLOCK, end - padding)
  }
}

/** HMAC-SHA-256 (RFC 2104) with one key: two one-shot digests over pads prepared once. */
export class MacKey {
  readonly #innerPad = Buffer.alloc(HASH_BLOCK, 0x36)
  readonly #outer = Buffer.alloc(HASH_BLOCK + DIGEST, 0x5c)

  /** @param bytes the key, at most 64 bytes: longer keys would have to be hashed first */
  constructor (bytes: Uint8Array) {
    bytes.forEach((byte, at) => {
      this.#innerPad[at]! ^= byte
      this.#outer[at]! ^= byte
    })
  }

  /** The MAC of a string of bytes, as 43 characters of base64url. */
  mac (text: string): string {
    return this.#mac(text, 'latin1')
  }

  /**
   * Compares in constant time. It compares the characters of base64url and not the bytes, so that only the canonical form matches.
   * @param text of which other characters than ASCII never match. As `latin1` they could be written as the bytes of ASCII characters
   * @param mac 43 characters
   */
  verify (text: string, mac: string): boolean {
    const own = this.#mac(text, 'utf8')
    if (own === '') return false
    computed.write(own, 'latin1')
    // A wide character for which no room is left is not written, and the bytes of an earlier MAC would stay in its place.
    if (claimed.write(mac) !== MAC) return false
    return timingSafeEqual(claimed, computed)
  }

  /** Returns `''` if a character takes more than one byte. */
  #mac (text: string, encoding: 'latin1' | 'utf8'): string {
    const input = workspace(HASH_BLOCK + text.length + LONGEST_CHARACTER)
    this.#innerPad.copy(input)
    const bytes = input.write(text, HASH_BLOCK, encoding)
    if (bytes !== text.length) return ''
    // A digest as a string costs half as much as one in a new Buffer.
    this.#outer.write(hash('sha256', input.subarray(0, HASH_BLOCK + bytes), 'binary'), HASH_BLOCK, 'latin1')
    return hash('sha256', this.#outer, 'base64url')
  }
}
