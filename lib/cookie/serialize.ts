import type { FastifyInstance } from 'fastify'
import { errors } from '../errors.js'
import type { CookieAttributes } from './attributes.js'
import { MAX_PARTS, partAt } from './parse.js'

/** The bytes that browsers store for a cookie: name, value and attributes (RFC 6265, section 6.1). */
const MAX_COOKIE = 4096

/** How the cookies of one response are written. */
export interface CookieFormat {
  readonly name: string
  /** The attributes as in `Set-Cookie`, without Max-Age. Serialized once, not per response */
  readonly attributes: string
  readonly maxCookies: number
}

/** `@fastify/cookie`'s `app.serializeCookie`. */
export type SerializeCookie = FastifyInstance['serializeCookie']

/** The attributes in the form that follows `name=value`. */
export function serializeAttributes (
  serialize: SerializeCookie, { domain, priority, ...attributes }: CookieAttributes, secure: boolean
): string {
  const cookie = serialize('x', '', { ...attributes, secure, ...domain && { domain }, ...priority && { priority } })
  return cookie.slice('x='.length)
}

function partName (name: string, part: number): string {
  return part === 0 ? name : `${name}.${part}`
}

/**
 * The `Set-Cookie` values for a token, split over as many cookies as needed, or `undefined` if it does not fit.
 * @param maxAge seconds, or `false` for a cookie that ends with the browser
 */
export function setCookies (format: CookieFormat, token: string, maxAge: number | false): string[] | undefined {
  const { name, maxCookies } = format
  const attributes = maxAge === false ? format.attributes : `; Max-Age=${maxAge}${format.attributes}`
  const room = MAX_COOKIE - name.length - 1 - attributes.length
  if (token.length <= room) return [`${name}=${token}${attributes}`]
  const cookies: string[] = []
  for (let part = 0, at = 0; at < token.length; part++) {
    if (part === maxCookies) return undefined
    const end = at + room - (part === 0 ? 0 : '.n'.length)
    cookies.push(`${partName(name, part)}=${token.slice(at, end)}${attributes}`)
    at = end
  }
  return cookies
}

/** The `Set-Cookie` values that clear these parts. */
export function clearCookies ({ name, attributes }: CookieFormat, held: number): string[] {
  const cookies: string[] = []
  for (let part = 0; part < MAX_PARTS; part++) {
    if ((held & 1 << part) === 0) continue
    cookies.push(`${partName(name, part)}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT${attributes}`)
  }
  return cookies
}

/** The error for a token that does not fit, naming the largest keys. */
export function tooLarge ({ name, attributes, maxCookies }: CookieFormat, token: string, text: string): Error {
  const data = Object.entries(JSON.parse(text) as object)
  const sizes = data.map(([key, value]) => ({ key, bytes: Buffer.byteLength(JSON.stringify(value)) }))
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 3).map(({ key, bytes }) => `${key} ${bytes}`)
  const size = name.length + 1 + token.length + attributes.length
  return new errors.FST_SESSION_TOO_LARGE(size, MAX_COOKIE * maxCookies, maxCookies, largest.join(', '))
}

/** Whether a `Set-Cookie` value is for the name or one of its chunks. */
export function isFor (name: string, cookie: string): boolean {
  return cookie.startsWith(name) && partAt(cookie, name.length) !== -1
}
