import type { Idle } from '../lifetimes.js'

/** What the store holds for a session. */
export interface Entry {
  /** Milliseconds since 1970 */
  readonly createdAt: number
  /** The session's own idle timeout; the cookie may not know of it yet */
  readonly idle: Idle
  /** The data as JSON */
  readonly text: string
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
export function encodeEntry ({ createdAt, idle, text }: Entry): string {
  return `{"v":${VERSION},"c":${createdAt}${idle === undefined ? '' : `,"t":${idle}`},"d":${text}}`
}

// What encodeEntry writes, up to the data.
const head = /^\{"v":1,"c":(\d+)(?:,"t":(false|[\d.e+-]+))?,"d":(?=\{)/

/** Reads an entry; `ended` and `emptied` for the marks, `invalid` for anything else. */
export function decodeEntry (value: string): Entry | 'ended' | 'emptied' | 'invalid' {
  try {
    const parts = head.exec(value) ?? head.exec(value = rewrite(value))
    if (parts === null) return markOf(value)
    const [start, createdAt, idle] = parts as unknown as [string, string, string | undefined]
    const text = value.slice(start.length, -1)
    JSON.parse(text)
    return { createdAt: Number(createdAt), idle: idle === undefined ? undefined : idle !== 'false' && Number(idle), text }
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
  const { v, mark, c, t, d } = JSON.parse(value) as Record<string, unknown>
  return JSON.stringify({ v, mark, c, t, d })
}
