import { createHash } from 'node:crypto'
import { MAX_IDLE } from '../options/checks.js'
import { isDictionary } from '../json.js'
import type { Decoded, Envelope } from './envelope.js'
import { errors } from '../errors.js'

/** The suffix of iron-session's seals: the version of its format. */
export const VERSION_SUFFIX = '~2'

/**
 * The one key of ours in data that is sealed without an envelope. It holds the session's metadata. iron-session preserves it when it
 * saves, as it preserves every key, and `request.session` does not show it.
 */
export const META_KEY = 'fastify-sealed-session'

interface Meta { n: string, i: string, c: number, t?: number | false }

/** The text to seal for iron-session: the data, and our key with the metadata. @throws FST_SESSION_RESERVED_KEY */
export function encodeBare (name: string, { id, createdAt, idle, text }: Envelope): string {
  if (Object.hasOwn(JSON.parse(text) as object, META_KEY)) {
    throw new errors.FST_SESSION_RESERVED_KEY(`Session key "${META_KEY}" is reserved: with interop: 'iron-session', the plugin uses it`)
  }
  const meta: Meta = { n: name, i: id, c: createdAt, ...idle !== undefined && { t: idle } }
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(META_KEY)}:${JSON.stringify(meta)}}`
}

/**
 * Reads data that another implementation has sealed. Data without an id and a creation time gets both now, and must be sealed again
 * to keep them. The id is derived from the token, so that every copy of the token is one session, which one revocation ends.
 * @param token the token that was opened
 * @param now milliseconds since 1970
 * @param mayBeH3 whether to read h3's sessions
 */
export function decodeBare (name: string, sealed: string, token: string, now: number, mayBeH3: boolean): Decoded {
  const value = parse(sealed)
  if (value === undefined) return { ok: false, reason: 'invalid' }
  // This is an envelope of an unknown version, not bare data.
  if (['v', 'n', 'i', 'c', 'd'].every(key => Object.hasOwn(value, key))) return { ok: false, reason: 'foreign' }
  if (mayBeH3 && isH3(value)) return loaded(value.data, { i: value.id, c: Math.min(value.createdAt, now) }, true)
  const { [META_KEY]: meta, ...data } = value
  if (!isMeta(meta)) return loaded(data, { i: idOf(token), c: now }, true)
  // Clamp: a future createdAt would postpone the absolute timeout.
  return meta.n === name ? loaded(data, { ...meta, c: Math.min(meta.c, now) }, false) : { ok: false, reason: 'wrong-name' }
}

const idOf = (token: string): string => createHash('sha256').update(token).digest().toString('base64url', 0, 16)

function loaded (data: object, { i: id, c: createdAt, t: idle }: Omit<Meta, 'n'>, converted: boolean): Decoded {
  return { ok: true, data, envelope: { id, createdAt, idle, text: JSON.stringify(data), stored: false }, converted }
}

function parse (text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text) as unknown
    return isDictionary(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}

const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]+$/.test(value)
const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isMeta (value: unknown): value is Meta {
  if (!isDictionary(value)) return false
  const { n, i, c, t } = value as Partial<Meta>
  const isTimeout = (seconds: unknown): boolean => typeof seconds === 'number' && seconds > 0 && seconds <= MAX_IDLE
  return typeof n === 'string' && isId(i) && isTime(c) && (t === undefined || t === false || isTimeout(t))
}

const H3_KEYS: ReadonlySet<string> = new Set(['id', 'createdAt', 'lastSeenAt', 'data'])

/** h3 (and Nuxt) seals its own envelope. It must not be read as bare data: its key `data` would hide a member. */
function isH3 (value: Record<string, unknown>): value is { id: string, createdAt: number, data: object } {
  return isId(value.id) && isTime(value.createdAt) && isDictionary(value.data) && Object.keys(value).every(key => H3_KEYS.has(key))
}
