import type { SessionReason } from '../types/index.js'
import { isDictionary } from './data.js'

/** What is sealed: the data, and what is known about the session. */
export interface Envelope {
  id: string
  /** Milliseconds since 1970 */
  createdAt: number
  /** This session's own idle timeout in seconds, `false` for a browser-session cookie, else `undefined` */
  idle: number | false | undefined
  /** The data as JSON, always of an object */
  text: string
}

/** What `decode` found: the envelope, and the data it parsed on the way. */
export type Decoded = { ok: true, envelope: Envelope, data: object } | { ok: false, reason: SessionReason }

const VERSION = 1
const DATA = ',"d":'

/**
 * The text to seal, in JSON as every Iron implementation expects: version, name, id, creation time, idle
 * timeout if it has its own, and the data last, so that its text can be cut out as it is.
 */
export function encode (name: string, envelope: Envelope): string {
  const idle = envelope.idle === undefined ? '' : `,"t":${envelope.idle}`
  return `{"v":${VERSION},"n":${JSON.stringify(name)},"i":"${envelope.id}","c":${envelope.createdAt}${idle}${DATA}${envelope.text}}`
}

/** Reads a sealed text. Whatever is not our envelope is `foreign`, a session of another name `wrong-name`. */
export function decode (name: string, sealed: string): Decoded {
  // Quotes inside a JSON string are escaped, so the first match is the key itself.
  const at = sealed.indexOf(DATA)
  if (at === -1) return { ok: false, reason: 'foreign' }
  try {
    const head = JSON.parse(`${sealed.slice(0, at)}}`) as Record<string, unknown>
    const text = sealed.slice(at + DATA.length, -1)
    const data: unknown = JSON.parse(text)
    const { v, n, i: id, c: createdAt, t: idle } = head
    if (v !== VERSION || typeof n !== 'string' || typeof id !== 'string' || typeof createdAt !== 'number' ||
      !isIdle(idle) || !isDictionary(data) || !sealed.endsWith('}')) return { ok: false, reason: 'foreign' }
    if (n !== name) return { ok: false, reason: 'wrong-name' }
    return { ok: true, data, envelope: { id, createdAt, idle, text } }
  } catch {
    return { ok: false, reason: 'foreign' }
  }
}

function isIdle (value: unknown): value is Envelope['idle'] {
  return value === undefined || value === false || (typeof value === 'number' && value > 0)
}
