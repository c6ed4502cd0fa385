import { hashUser } from '../names.js'
import type { Commands } from './client.js'

/** A session as `find` tells it. */
export interface Found { id: string, value: string, expiresAt: number }

/** What the store does to entries that may have a user. `user` is a hash, empty for nobody. */
export interface Writes {
  set (id: string, entry: string, ttl: number, user: string): Promise<void>
  replace (id: string, previous: string, entry: string, ttl: number, user: string): Promise<boolean>
  touch (id: string, ttl: number): Promise<boolean>
  delete (id: string): Promise<boolean>
  find (user: string): Promise<Found[]>
}

/** The keys of a store. */
export class Keys {
  /** The channel of what was deleted */
  readonly ended: string
  readonly #prefix: string

  constructor (prefix: string) {
    this.#prefix = prefix
    this.ended = `${prefix}ended`
  }

  /** @param id encoded */
  entry (id: string): string {
    return this.#prefix + id
  }

  index (user: string): string {
    return `${this.#prefix}user:${user}`
  }
}

/** How a user's entry is told from others; empty for nobody's. */
export function toOwner (user: string | undefined): string {
  return user === undefined ? '' : hashUser(user)
}

/** A value as it is written: with its user's hash before it, if it has a user. */
export function encodeEntry (value: string, user: string): string {
  return user === '' && !value.startsWith('@') ? value : `@${user} ${value}`
}

/** The value of what was written. */
function decodeEntry (entry: string): string {
  return entry.startsWith('@') ? entry.slice(entry.indexOf(' ') + 1) : entry
}

/** The value of an id, with one command. */
export async function read (commands: Commands, key: string): Promise<string | undefined> {
  const entry = await commands.get(key)
  // A client may be set up to answer with Buffers.
  return entry === null || entry === undefined ? undefined : decodeEntry(String(entry))
}
