import { createCipheriv, createDecipheriv, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Cipher, Decipher } from 'node:crypto'
import { randomBlock } from './random.js'

const BLOCK = 16
const HASH_BLOCK = 64
const DIGEST = 32
const SCRATCH = 32 * 1024

// Reused by every call here, none of which waits: nothing in it outlives the call that fills it.
const scratch = Buffer.allocUnsafeSlow(SCRATCH)
const claimed = Buffer.allocUnsafeSlow(DIGEST)
const computed = Buffer.allocUnsafeSlow(DIGEST)

function workspace (size: number): Buffer {
  return size <= SCRATCH ? scratch : Buffer.allocUnsafe(size)
}

/** AES-256-CBC under one key, its parts as base64url. */
export class CipherKey {
  readonly #bytes: Uint8Array
  #cipher: Cipher | undefined
  #decipher: Decipher | undefined

  /** @param bytes 32 of them */
  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /**
   * Gives `iv*ciphertext`. One random block goes through the cipher before the padded text, so the first
   * block that comes out is an IV that nobody can predict (RFC 4346, section 6.2.3.2, way 2b), and one cipher
   * object serves every seal: making one costs several times what using it does.
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

  /** The text behind an IV and a ciphertext, or `undefined` where they are no whole, padded blocks. */
  decrypt (iv: string, ciphertext: string): string | undefined {
    const input = workspace(ciphertext.length + BLOCK)
    input.write(iv, 'base64url')
    const end = BLOCK + input.write(ciphertext, BLOCK, 'base64url')
    if (end % BLOCK !== 0) return undefined
    this.#decipher ??= createDecipheriv('aes-256-cbc', this.#bytes, randomBytes(BLOCK)).setAutoPadding(false)
    // The IV goes in as if it were ciphertext: what comes out for it is noise, what comes after it is the text.
    const output = this.#decipher.update(input.subarray(0, end))
    const padding = output[end - 1]!
    if (padding === 0 || padding > BLOCK) return undefined
    for (let at = end - padding; at < end; at++) if (output[at] !== padding) return undefined
    return output.toString('utf8', BLOCK, end - padding)
  }
}

/** HMAC-SHA-256 (RFC 2104) under one key: two one-shot digests over pads that are prepared once. */
export class MacKey {
  readonly #innerPad = Buffer.alloc(HASH_BLOCK, 0x36)
  readonly #outer = Buffer.alloc(HASH_BLOCK + DIGEST, 0x5c)

  /** @param bytes up to 64; longer keys would have to be hashed first */
  constructor (bytes: Uint8Array) {
    bytes.forEach((byte, at) => {
      this.#innerPad[at]! ^= byte
      this.#outer[at]! ^= byte
    })
  }

  /** The MAC of an ASCII text, as 43 characters of base64url. */
  mac (text: string): string {
    this.#hashInner(text)
    return hash('sha256', this.#outer, 'base64url')
  }

  /**
   * Compares in constant time.
   * @param mac 43 characters of base64url
   */
  verify (text: string, mac: string): boolean {
    this.#hashInner(text)
    computed.write(hash('sha256', this.#outer, 'binary'), 'latin1')
    claimed.write(mac, 'base64url')
    return timingSafeEqual(claimed, computed)
  }

  // A digest as a string costs half of one in a Buffer, which has to be made for it.
  #hashInner (text: string): void {
    const input = workspace(HASH_BLOCK + text.length)
    this.#innerPad.copy(input)
    const end = HASH_BLOCK + input.write(text, HASH_BLOCK, 'latin1')
    this.#outer.write(hash('sha256', input.subarray(0, end), 'binary'), HASH_BLOCK, 'latin1')
  }
}
