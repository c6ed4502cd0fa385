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

function isCanonical (base64url: string): boolean {
  const last = base64url.charCodeAt(base64url.length - 1)
  switch (base64url.length % 4) {
    case 0: return true
    case 2: return 'AQgw'.includes(String.fromCharCode(last))
    case 3: return 'AEIMQUYcgkosw048'.includes(String.fromCharCode(last))
    default: return false
  }
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
