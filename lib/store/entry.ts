import type { Idle } from '../lifetimes.js'

/** The entry of a session in the store. */
export interface Entry {
  /** Milliseconds since 1970 */
  readonly createdAt: number
  /** The session's own idle timeout, which may be newer than the one in the cookie */
  readonly idle: Idle
  /** The data as JSON */
  readonly text: string
  /**
   * When the entry was written, in milliseconds since 1970. With `storage: 'overflow'`, the entry takes precedence over cookies that
   * were sealed earlier. If sessions are listed, this is when the session was last seen
   */
  readonly writtenAt?: number | undefined
  /** The session's name, if sessions are listed and it is not `session`. Several named sessions may share one store */
  readonly name?: string | undefined
  /** Whether the session is bound to a device; only for lists. The binding itself is sealed in the cookie */
  readonly isBound?: boolean | undefined
}

/** An entry that was decoded. */
export interface DecodedEntry extends Entry {
  /** The data, parsed for this call. It belongs to the caller */
  readonly data: object
}

/**
 * Marks a session as ended for the moment until its entry is deleted. Only the request that replaced the entry with this mark
 * has ended the session.
 */
export const ENDED = '{"v":1,"mark":"ended"}'
/** Marks a session whose last key was deleted. It cannot be loaded, but a request that is under way may still add a key. */
export const EMPTIED = '{"v":1,"mark":"emptied"}'
/** How long marks live, in milliseconds. */
export const MARK_TTL = 60_000

const VERSION = 1

/** Encodes an entry. The data comes last, so that its JSON can be cut out unchanged. */
export function encodeEntry ({ createdAt, idle, text, writtenAt, name, isBound }: Entry): string {
  const own = idle === undefined ? '' : `,"t":${idle}`
  const written = writtenAt === undefined ? '' : `,"w":${writtenAt}`
  const named = name === undefined ? '' : `,"n":${JSON.stringify(name)}`
  const bound = isBound === true ? ',"b":true' : ''
  return `{"v":${VERSION},"c":${createdAt}${own}${written}${named}${bound},"d":${text}}`
}

// Matches what encodeEntry writes, up to the data.
const head = /^\{"v":1,"c":(\d+)(?:,"t":(false|[\d.e+-]+))?(?:,"w":(\d+))?(?:,"n":("(?:[^"\\]|\\.)*"))?(,"b":true)?,"d":(?=\{)/

/** Decodes an entry. Returns `ended` or `emptied` for the marks, and `invalid` for anything else. */
export function decodeEntry (value: string): DecodedEntry | 'ended' | 'emptied' | 'invalid' {
  try {
    const parts = head.exec(value) ?? head.exec(value = rewrite(value))
    if (parts === null) return markOf(value)
    const [start, createdAt, idle, writtenAt, name, bound] = parts as unknown as [string, string, ...Array<string | undefined>]
    const text = value.slice(start.length, -1)
    return {
      createdAt: Number(createdAt),
      idle: idle === undefined ? undefined : idle !== 'false' && Number(idle),
      text,
      data: JSON.parse(text) as object,
      writtenAt: writtenAt === undefined ? undefined : Number(writtenAt),
      name: name === undefined ? undefined : JSON.parse(name) as string,
      isBound: bound === undefined ? undefined : true
    }
  } catch {
    return 'invalid'
  }
}

function markOf (value: string): 'ended' | 'emptied' | 'invalid' {
  if (value === ENDED) return 'ended'
  return value === EMPTIED ? 'emptied' : 'invalid'
}

/** Restores the key order and spacing of `encodeEntry`, because some stores parse JSON and serialize it in their own way. */
function rewrite (value: string): string {
  const { v, mark, c, t, w, n, b, d } = JSON.parse(value) as Record<string, unknown>
  return JSON.stringify({ v, mark, c, t, w, n, b, d })
}
