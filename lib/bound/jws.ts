import { isDictionary } from '../json.js'
import { bytesOf, isAlgorithm } from './key.js'
import type { Algorithm } from './key.js'

/** What a browser sends to prove that it has a key: a JWS in its compact form (RFC 7515, section 7.1), not verified yet. */
export interface Proof {
  readonly algorithm: Algorithm
  /** The public key, which comes at registration alone */
  readonly jwk: object | undefined
  /** The challenge that it answers */
  readonly challenge: string
  /** What is signed */
  readonly input: string
  readonly signature: Uint8Array
}

/** Characters; a proof with a key of 4096 bits has half of them. */
const MAX_PROOF = 4096

/** Takes a proof to pieces, or returns `undefined` where it is not one. Fields that are not known are ignored, but `crit` is not. */
export function parseProof (text: string): Proof | undefined {
  if (text.length > MAX_PROOF) return undefined
  const [head, body, tail, ...more] = text.split('.')
  const header = dictionaryOf(head)
  const payload = dictionaryOf(body)
  const signature = bytesOf(tail)
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return undefined
  const { typ, alg, jwk, crit } = header
  const { jti } = payload
  if (typ !== 'dbsc+jwt' || !isAlgorithm(alg) || crit !== undefined || typeof jti !== 'string') return undefined
  if (jwk !== undefined && !isDictionary(jwk)) return undefined
  return { algorithm: alg, jwk, challenge: jti, input: `${head!}.${body!}`, signature }
}

function dictionaryOf (segment: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytesOf(segment)!.toString())
    return isDictionary(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}

/**
 * The value of a header that is a string (RFC 9651, section 3.3.3). Chromium sends it without quotation marks, against the draft.
 */
export function stringOf (header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined
  return /^"([^"\\]*)"$/.exec(header)?.[1] ?? (/^[^"\\\s,]+$/.test(header) ? header : undefined)
}
