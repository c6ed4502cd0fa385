import { VERSION_SUFFIX } from './interop.js'
import type { SecretValue } from '../../types/index.js'
import type { Key } from './keyring.js'

/** The parts of `Fe26.2*id*saltE*iv*ciphertext*expiry*saltI*mac`, as strings. */
export interface Token {
  id: string
  encryptionSalt: string
  iv: string
  ciphertext: string
  /** Milliseconds since 1970, or `''` for a seal that does not expire */
  expiry: string
  integritySalt: string
  mac: string
  /** What the MAC covers: all but the last two parts */
  signed: string
}

// The last character of the 16-byte IV has four unused bits, that of the 32-byte MAC two. They must be zero, as in canonical
// base64url (RFC 4648, section 3.5).
const form = /^Fe26\.2\*(\w*)\*([\da-f]*)\*([\w-]{21}[AQgw])\*([\w-]+)\*((?:[1-9]\d*)?)\*([\da-f]*)\*([\w-]{42}[AEIMQUYcgkosw048])$/

/** Splits a token into its parts. Returns `undefined` if it does not have the form of a seal. */
export function parseToken (text: string): Token | undefined {
  const parts = form.exec(text)
  if (parts === null) return undefined
  const [, id, encryptionSalt, iv, ciphertext, expiry, integritySalt, mac] =
    parts as unknown as [string, string, string, string, string, string, string, string]
  if (!isCanonical(ciphertext)) return undefined
  const signed = text.slice(0, text.length - integritySalt.length - mac.length - 2)
  return { id, encryptionSalt, iv, ciphertext, expiry, integritySalt, mac, signed }
}

/** The form of a seal in a cookie, iron-session's included. */
export const tokenForm = {
  prefix: 'Fe26.2*',
  isWhole: (text: string): boolean => form.test(text.endsWith(VERSION_SUFFIX) ? text.slice(0, -VERSION_SUFFIX.length) : text)
}

/** The characters that may end base64url which has two, or three, characters left over */
const [LAST_OF_TWO, LAST_OF_THREE] = ['AQgw', 'AEIMQUYcgkosw048']

function isCanonical (base64url: string): boolean {
  const last = base64url[base64url.length - 1]!
  switch (base64url.length % 4) {
    case 0: return true
    case 2: return LAST_OF_TWO.includes(last)
    case 3: return LAST_OF_THREE.includes(last)
    default: return false
  }
}

const [IV_LENGTH, EXPIRY_LENGTH, MAC_LENGTH] = [22, 13, 43]

/** Where the IV of a token starts. */
export function startOfIv (text: string): number {
  return text.indexOf('*', text.indexOf('*', tokenForm.prefix.length) + 1) + 1
}

/**
 * Splits a token whose id and salts were parsed before, in a fraction of the time of `parseToken`. Returns `undefined` for a token that
 * is unusual or wrong. Foreign characters in the base64url remain: they fail to decode.
 * @param start where the IV starts
 * @param suffix what comes between the expiry and the MAC
 */
export function splitToken (text: string, start: number, suffix: string): Pick<Token, 'iv' | 'ciphertext' | 'signed' | 'mac'> & { expiresAt: number } | undefined {
  const ivEnd = start + IV_LENGTH
  const macStart = text.length - MAC_LENGTH
  const expiryEnd = macStart - suffix.length
  const ciphertextEnd = expiryEnd - EXPIRY_LENGTH - 1
  if (text[ivEnd] !== '*' || text[ciphertextEnd] !== '*' || !text.startsWith(suffix, expiryEnd)) return undefined
  const iv = text.slice(start, ivEnd)
  const ciphertext = text.slice(ivEnd + 1, ciphertextEnd)
  const expiresAt = parseDigits(text, ciphertextEnd + 1, expiryEnd)
  // Node.js decodes the alphabet of base64, too.
  if (expiresAt === undefined || ciphertext === '' || !isCanonical(iv) || !isCanonical(ciphertext) || text.includes('+') || text.includes('/')) return undefined
  return { iv, ciphertext, expiresAt, signed: text.slice(0, expiryEnd), mac: text.slice(macStart) }
}

/** For numbers as long as a time, `Number` takes ten times as long. */
function parseDigits (text: string, start: number, end: number): number | undefined {
  if (text[start] === '0') return undefined
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return undefined
    number = number * 10 + digit
  }
  return number
}

/** Whether a token has the salts that its key needs: one for each half that is a string, none for one that is a raw key. */
export function hasSaltsFor ({ encryption, integrity }: Key, { encryptionSalt, integritySalt }: Token): boolean {
  return (encryptionSalt === '') === isRaw(encryption) && (integritySalt === '') === isRaw(integrity)
}

function isRaw (secret: SecretValue): boolean {
  return typeof secret !== 'string'
}

/** When a token expires, in milliseconds since 1970; Infinity if it does not. */
export function expiryOf (token: Token): number {
  return token.expiry === '' ? Infinity : Number(token.expiry)
}
