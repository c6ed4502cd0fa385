import type { FastifyInstance } from 'fastify'
import { errors } from '../errors.js'
import type { CookieAttributes } from './attributes.js'
import { MAX_PARTS, partAt } from './parse.js'

/** What a browser must store for one cookie: name, value and attributes (RFC 6265, section 6.1). */
const MAX_COOKIE = 4096

/** How the cookies of one response are written. */
export interface CookieFormat {
  readonly name: string
  /** The attributes as they stand in `Set-Cookie`, Max-Age apart: they are serialized once, not per response */
  readonly attributes: string
  readonly maxCookies: number
}

/** `@fastify/cookie`'s `app.serializeCookie`. */
export type SerializeCookie = FastifyInstance['serializeCookie']

/** Attributes as they stand behind `name=value`. */
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
 * The `Set-Cookie` values for a token, over as many cookies as it needs, or `undefined` where it does not fit.
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

/** The `Set-Cookie` values that make the client drop these parts. */
export function clearCookies ({ name, attributes }: CookieFormat, held: number): string[] {
  const cookies: string[] = []
  for (let part = 0; part < MAX_PARTS; part++) {
    if ((held & 1 << part) === 0) continue
    cookies.push(`${partName(name, part)}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT${attributes}`)
  }
  return cookies
}

/** The error for a token that does not fit, with the keys that are to blame. */
export function tooLarge ({ name, attributes, maxCookies }: CookieFormat, token: string, text: string): Error {
  const data = Object.entries(JSON.parse(text) as object)
  const sizes = data.map(([key, value]) => ({ key, bytes: Buffer.byteLength(JSON.stringify(value)) }))
  const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 3).map(({ key, bytes }) => `${key} ${bytes}`)
  const size = name.length + 1 + token.length + attributes.length
  return new errors.FST_SESSION_TOO_LARGE(size, MAX_COOKIE * maxCookies, maxCookies, largest.join(', '))
}

/** Whether a `Set-Cookie` value is for the name or for one of its parts. */
export function isFor (name: string, cookie: string): boolean {
  return cookie.startsWith(name) && partAt(cookie, name.length) !== -1
}
