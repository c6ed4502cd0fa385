import type { FastifyInstance } from 'fastify'
import type { CookieAttributes } from './attributes.js'
import { errors } from '../errors.js'
import { isToken } from '../seal/token.js'

/** What a browser must store for one cookie: name, value and attributes (RFC 6265, section 6.1). */
const MAX_COOKIE = 4096
/** How many parts are read, whatever `maxCookies` says today. */
const MAX_PARTS = 8

/** What stands behind the name in the cookies that carry the parts after the first. */
export const CHUNKS: readonly string[] = Array.from({ length: MAX_PARTS - 1 }, (_, nth) => `.${nth + 1}`)

/** How many cookies of one name are tried. A browser has one per path and domain; more is an attack on our time. */
const MAX_CANDIDATES = 16

/** The cookies of one name in a request. */
export interface Found {
  /** Each is a whole token, or what there is of one */
  candidates: string[]
  /** Which parts came: bit 0 is the name itself, bit n is chunk n */
  held: number
  /** Whether there are more candidates than will be tried */
  more: boolean
}

/**
 * Finds every cookie of a name, chunks put together. `@fastify/cookie` keeps one of several cookies with the
 * same name, and not always the one that opens, so the header is read here (RFC 6265, section 5.4).
 */
export function findCookies (header: string, name: string): Found {
  const parts: string[][] = []
  let held = 0
  let more = false
  let from = 0
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, from)) {
    from = at + 1
    if (at !== 0 && !isBoundary(header, at)) continue
    const after = at + name.length
    const part = partAt(header, after)
    if (part === -1) continue
    const start = part === 0 ? after + 1 : after + 3
    const semicolon = header.indexOf(';', start)
    // The next one is behind this one's value, which may be long: it is not searched.
    from = semicolon === -1 ? header.length : semicolon
    const value = header.slice(start, from).trim()
    const values = parts[part] ??= []
    if (values.length < MAX_CANDIDATES) values.push(value)
    else more = true
    held |= 1 << part
  }
  const [whole = [], ...chunks] = parts
  const candidates = chunks.length === 0 ? whole : join(whole, chunks)
  if (candidates.length <= MAX_CANDIDATES) return { candidates, held, more }
  return { candidates: candidates.slice(0, MAX_CANDIDATES), held, more: true }
}

function isBoundary (header: string, at: number): boolean {
  let before = at - 1
  while (before > 0 && (header[before] === ' ' || header[before] === '\t')) before--
  return header[before] === ';'
}

/** 0 for `name=`, 1 to 7 for `name.n=`, -1 for anything else. */
function partAt (header: string, at: number): number {
  if (header[at] === '=') return 0
  if (header[at] !== '.' || header[at + 2] !== '=') return -1
  const part = header.charCodeAt(at + 1) - 48
  return part >= 1 && part < MAX_PARTS ? part : -1
}

/**
 * Every way to put parts together: one of a name may be a stranger's, and only the MAC can tell.
 * A token that is whole takes no more of them: those that came beside it are left over from a longer one.
 */
function join (whole: readonly string[], chunks: ReadonlyArray<readonly string[] | undefined>): string[] {
  let values = [...whole]
  for (const some of chunks) {
    if (some === undefined) break
    // Cookies of one path arrive together, so the nth of each name belong together: those ways come first.
    values = values
      .flatMap((value, nth) => isToken(value) ? [{ value, far: 0 }] : some.map((chunk, at) => ({ value: value + chunk, far: Math.abs(at - nth) })))
      .sort((one, other) => one.far - other.far)
      .slice(0, MAX_CANDIDATES + 1)
      .map(({ value }) => value)
  }
  return values
}

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
