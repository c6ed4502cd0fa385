import type { SessionReason } from '../../types/index.js'
import { EMPTY } from '../json.js'
import type { Idle } from '../lifetimes.js'

/** The key of a device that a session is bound to. */
export interface Binding {
  /** What the browser calls the binding */
  readonly id: string
  /** The public key, in the short form of `lib/bound/key.ts` */
  readonly key: string
  /** When the device last proved that it has the private key, in milliseconds since 1970; not sealed with the session */
  readonly provenAt?: number | undefined
}

/** What is sealed: the data, and the metadata of the session. */
export interface Envelope {
  id: string
  /** Milliseconds since 1970 */
  createdAt: number
  idle: Idle
  /** The data as JSON, always an object; `{}` if the data is in the store */
  text: string
  /** Whether the data is in the store, under the id, and not in the seal */
  stored: boolean
  /**
   * Until when the store's entry takes precedence over the data in the seal, in milliseconds since 1970: the session was in the
   * store a moment ago, and requests with the earlier cookie may still change it there
   */
  entryUntil?: number | undefined
  /** The device that the session is bound to, if it is */
  binding?: Binding | undefined
}

/**
 * The result of decoding: the envelope, its parsed data, and whether it was in a format that is read but no longer written.
 */
export type Decoded = { ok: true, envelope: Envelope, data: object, converted: boolean } | { ok: false, reason: SessionReason }

/** A bound session has a version of its own: a node that knows nothing of bindings must leave it alone, or it would drop the binding. */
const [VERSION, BOUND_VERSION] = [1, 2]

/**
 * The text to seal, which is JSON, as every Iron implementation expects: version, name, id, creation time, the session's own idle
 * timeout if it has one, and the data last, so that its text can be sliced out. The data is `null` if it is in the store.
 * @param quotedName the name as JSON
 */
export function encode (quotedName: string, envelope: Envelope): string {
  const idle = envelope.idle === undefined ? '' : `,"t":${envelope.idle}`
  const entryUntil = envelope.entryUntil === undefined ? '' : `,"e":${envelope.entryUntil}`
  const binding = envelope.binding === undefined ? '' : `,"b":"${envelope.binding.id}.${envelope.binding.key}"`
  const version = envelope.binding === undefined ? VERSION : BOUND_VERSION
  return `{"v":${version},"n":${quotedName},"i":"${envelope.id}","c":${envelope.createdAt}${idle}${entryUntil}${binding},"d":${envelope.stored ? 'null' : envelope.text}}`
}

// What `encode` writes before the data. One match costs a quarter of parsing it as JSON.
const head = /^\{"v":([12]),"n":("(?:[^"\\]|\\.)*"),"i":"([\w-]+)","c":(\d+)(?:,"t":(false|[\d.e+-]+))?(?:,"e":(\d+))?(?:,"b":"([\w-]+)\.([\w-]+)")?,"d":(?=\{|null\}$)/

/**
 * Reads a sealed text. Anything but our envelope is `foreign`; a session with another name is `wrong-name`.
 * @param quotedName the name as JSON
 */
export function decode (quotedName: string, sealed: string): Decoded {
  try {
    const parts = head.exec(sealed) ?? head.exec(sealed = rewrite(sealed))
    if (parts === null || !sealed.endsWith('}')) return { ok: false, reason: 'foreign' }
    const [start, version, sealedName, id, createdAt, idle, entryUntil, bindingId, key] =
      parts as unknown as [string, string, string, string, string, string | undefined, string | undefined, string | undefined, string | undefined]
    if (Number(version) !== (key === undefined ? VERSION : BOUND_VERSION)) return { ok: false, reason: 'foreign' }
    const stored = sealed.charCodeAt(start.length) === 110 // n of null
    const text = stored ? EMPTY : sealed.slice(start.length, -1)
    const data = JSON.parse(text) as object
    if (sealedName !== quotedName) return { ok: false, reason: 'wrong-name' }
    const envelope = {
      id,
      createdAt: Number(createdAt),
      idle: idle === undefined ? undefined : idle !== 'false' && Number(idle),
      entryUntil: entryUntil === undefined ? undefined : Number(entryUntil),
      binding: key === undefined ? undefined : { id: bindingId!, key },
      text,
      stored
    }
    return { ok: true, data, envelope, converted: false }
  } catch {
    return { ok: false, reason: 'foreign' }
  }
}

/** The same envelope in the order and spacing of `encode`, which the app's own codec may have changed. */
function rewrite (sealed: string): string {
  const { v, n, i, c, t, e, b, d } = JSON.parse(sealed) as Record<string, unknown>
  return JSON.stringify({ v, n, i, c, t, e, b, d })
}
