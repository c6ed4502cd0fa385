import type { Idle } from '../lifetimes.js'

/** What the store holds for a session. */
export interface Entry {
  /** Milliseconds since 1970 */
  readonly createdAt: number
  /** The session's own idle timeout; the cookie may not know of it yet */
  readonly idle: Idle
  /** The data as JSON */
  readonly text: string
  /**
   * When the entry was written, in milliseconds since 1970. It is there with `storage: 'overflow'`, where it outweighs cookies that
   * were sealed earlier, and where sessions are listed, as the time when the session was last seen
   */
  readonly writtenAt?: number | undefined
  /** The session's name, where sessions are listed and it is not `session`: several named sessions may share one store */
  readonly name?: string | undefined
  /** Whether the session is bound to a device, for lists. What binds it is sealed in its cookie */
  readonly isBound?: boolean | undefined
}

/**
 * Says that a session has ended, for the moment until its entry is deleted. Whoever replaces an entry by it has ended the
 * session, and nobody else has.
 */
export const ENDED = '{"v":1,"mark":"ended"}'
/** Says that a session has lost its last key. It is no session, but another request that is under way may still add a key. */
export const EMPTIED = '{"v":1,"mark":"emptied"}'
/** How long marks stay, in milliseconds. */
export const MARK_TTL = 60_000

const VERSION = 1

/** The value to store. The data comes last, so that its text can be cut out as it is. */
export function encodeEntry ({ createdAt, idle, text, writtenAt, name, isBound }: Entry): string {
  const own = idle === undefined ? '' : `,"t":${idle}`
  const written = writtenAt === undefined ? '' : `,"w":${writtenAt}`
  const named = name === undefined ? '' : `,"n":${JSON.stringify(name)}`
  const bound = isBound === true ? ',"b":true' : ''
  return `{"v":${VERSION},"c":${createdAt}${own}${written}${named}${bound},"d":${text}}`
}

// What encodeEntry writes, up to the data.
const head = /^\{"v":1,"c":(\d+)(?:,"t":(false|[\d.e+-]+))?(?:,"w":(\d+))?(?:,"n":("(?:[^"\\]|\\.)*"))?(,"b":true)?,"d":(?=\{)/

/** Reads an entry; `ended` and `emptied` for the marks, `invalid` for anything else. */
export function decodeEntry (value: string): Entry | 'ended' | 'emptied' | 'invalid' {
  try {
    const parts = head.exec(value) ?? head.exec(value = rewrite(value))
    if (parts === null) return markOf(value)
    const [start, createdAt, idle, writtenAt, name, bound] = parts as unknown as [string, string, ...Array<string | undefined>]
    const text = value.slice(start.length, -1)
    JSON.parse(text)
    return {
      createdAt: Number(createdAt),
      idle: idle === undefined ? undefined : idle !== 'false' && Number(idle),
      text,
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

/** The same entry in the order and spacing of `encodeEntry`: some stores parse JSON, and write it in their own way. */
function rewrite (value: string): string {
  const { v, mark, c, t, w, n, b, d } = JSON.parse(value) as Record<string, unknown>
  return JSON.stringify({ v, mark, c, t, w, n, b, d })
}
