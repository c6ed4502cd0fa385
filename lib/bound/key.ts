import { createPublicKey, ECDH, verify } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'

/** The algorithms that browsers are offered (RFC 7518, section 3.1). */
export type Algorithm = 'ES256' | 'RS256'

export const isAlgorithm = (name: unknown): name is Algorithm => name === 'ES256' || name === 'RS256'

/** Characters of base64url: a compressed point of P-256 has 33 bytes. */
const COMPRESSED = 44
/** Bytes of a modulus: 2048 bits (RFC 7518, section 3.3) to 4096, which is what a cookie has room for. */
const [MIN_MODULUS, MAX_MODULUS] = [256, 512]
/** 65537, the only public exponent that there is in practice; so the modulus is all that has to be kept. */
const EXPONENT = 'AQAB'

/** The bytes of base64url, `undefined` where it is not in its canonical form (RFC 4648, section 3.5). */
export function bytesOf (text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/**
 * A public key in short: the compressed point of an ES256 key (44 characters), the modulus of an RS256 key (342 for 2048 bits).
 * @param jwk RFC 7517
 * @returns `undefined` for a key that is not good for the algorithm
 */
export function shorten (jwk: unknown, algorithm: Algorithm): string | undefined {
  if (typeof jwk !== 'object' || jwk === null || 'd' in jwk) return undefined
  const { kty, crv, x, y, n, e } = jwk as Record<string, unknown>
  if (algorithm === 'ES256') return kty === 'EC' && crv === 'P-256' ? compress(bytesOf(x), bytesOf(y)) : undefined
  const modulus = bytesOf(n)
  const isGood = kty === 'RSA' && e === EXPONENT && modulus !== undefined &&
    modulus.length >= MIN_MODULUS && modulus.length <= MAX_MODULUS && modulus[0]! >= 0x80 && modulus.at(-1)! % 2 === 1
  return isGood ? n as string : undefined
}

/** A point that is not on the curve is refused by OpenSSL. */
function compress (x: Buffer | undefined, y: Buffer | undefined): string | undefined {
  if (x?.length !== 32 || y?.length !== 32) return undefined
  try {
    return ECDH.convertKey(Buffer.concat([Buffer.of(4), x, y]), 'prime256v1', undefined, 'base64url', 'compressed') as string
  } catch {
    return undefined
  }
}

export const algorithmOf = (short: string): Algorithm => short.length === COMPRESSED ? 'ES256' : 'RS256'

function restore (short: string): KeyObject {
  const key: JsonWebKey = algorithmOf(short) === 'RS256' ? { kty: 'RSA', n: short, e: EXPONENT } : decompress(short)
  return createPublicKey({ key, format: 'jwk' })
}

function decompress (short: string): JsonWebKey {
  const point = ECDH.convertKey(short, 'prime256v1', 'base64url', undefined, 'uncompressed') as Buffer
  return { kty: 'EC', crv: 'P-256', x: point.toString('base64url', 1, 33), y: point.toString('base64url', 33) }
}

/** Whether a JWS signature holds (RFC 7515, section 5.2; that of ES256 is r and s, 64 bytes in all: RFC 7518, section 3.4). */
export function hasSigned (short: string, input: string, signature: Uint8Array): boolean {
  // OpenSSL takes r and s of any length.
  if (algorithmOf(short) === 'ES256' && signature.length !== 64) return false
  return verify('sha256', Buffer.from(input), { key: restore(short), dsaEncoding: 'ieee-p1363' }, signature)
}
