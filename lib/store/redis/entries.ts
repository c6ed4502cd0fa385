import { hashUser } from '../names.js'
import type { Commands } from './client.js'

/** A session as `find` returns it. */
export interface Found { id: string, value: string, expiresAt: number }

/** The operations on entries that may have a user. `user` is a hash, or empty for none. */
export interface Writes {
  set (id: string, entry: string, ttl: number, user: string): Promise<void>
  replace (id: string, previous: string, entry: string, ttl: number, user: string): Promise<boolean>
  touch (id: string, ttl: number): Promise<boolean>
  delete (id: string): Promise<boolean>
  find (user: string): Promise<Found[]>
}

/** The keys of a store. */
export class Keys {
  /** The channel for the ids of deleted entries */
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

/** The user's hash; empty for none. */
export function toOwner (user: string | undefined): string {
  return user === undefined ? '' : hashUser(user)
}

/** Encodes a value, with the user's hash before it if there is one. */
export function encodeEntry (value: string, user: string): string {
  return user === '' && !value.startsWith('@') ? value : `@${user} ${value}`
}

/** Returns the value of an encoded entry. */
function decodeEntry (entry: string): string {
  return entry.startsWith('@') ? entry.slice(entry.indexOf(' ') + 1) : entry
}

/** Reads the value of a key with one command. */
export async function read (commands: Commands, key: string): Promise<string | undefined> {
  const entry = await commands.get(key)
  // A client may be configured to return Buffers.
  return entry === null || entry === undefined ? undefined : decodeEntry(String(entry))
}
