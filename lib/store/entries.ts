import { setTimeout as wait } from 'node:timers/promises'
import type { SessionStore } from '../../types/index.js'
import { EMPTY } from '../json.js'
import type { Lifetimes, Times } from '../lifetimes.js'
import { StoreClient } from './client.js'
import type { Deadline } from './deadline.js'
import type { Subject } from './order.js'
import type { Owner } from './owner.js'
import { decodeEntry, EMPTIED, encodeEntry, ENDED, MARK_TTL } from './entry.js'
import type { DecodedEntry } from './entry.js'
import { mergeContent } from './merge.js'
import type { Content } from './merge.js'
import { queueOf } from './write-queue.js'
import type { WriteQueue } from './write-queue.js'

/** The longest pause between two attempts to replace an entry that other requests keep changing, in milliseconds. */
const MAX_PAUSE = 64

/** What `update` has written. */
export interface Written<Place> {
  readonly content: Content
  readonly raw: string
  readonly place: Place
  /** Whether the session was empty before, so that its cookie may have been cleared */
  readonly wasEmptied: boolean
}

/** The format of the entries of one registration. */
export interface EntryOptions {
  /** Whether entries contain the time when they were written */
  readonly dated: boolean
  /** Returns the user of an entry; `undefined` if the store does not list the sessions of users */
  readonly owner?: Owner | undefined
  /** The session name in each entry, `undefined` for none */
  readonly name?: string | undefined
}

/** What an entry needs of a session. */
type Filed = Pick<Subject, 'id' | 'createdAt' | 'binding'>

/** An entry of a user. */
export interface OwnEntry {
  readonly id: string
  readonly entry: DecodedEntry
  /** When the entry expires, in milliseconds since 1970 */
  readonly expiresAt: number
}

/** The entries of sessions in one store. Within this process, one request at a time writes to an entry. */
export class Entries {
  readonly #times: Lifetimes
  readonly #client: StoreClient
  readonly #queue: WriteQueue
  readonly #options: EntryOptions
  /** When the last entry was written, in milliseconds since 1970 */
  #written = 0

  constructor (store: SessionStore, times: Lifetimes, options: EntryOptions) {
    this.#times = times
    this.#options = options
    this.#client = new StoreClient(store)
    this.#queue = queueOf(store)
  }

  /** Returns the entries of a user for sessions of this name. Only if the store has `find`. */
  async find (user: string, deadline: Deadline): Promise<OwnEntry[]> {
    const own: OwnEntry[] = []
    for (const { id, value, expiresAt } of await this.#client.find(user, deadline)) {
      const entry = decodeEntry(value)
      if (typeof entry === 'object' && entry.name === this.#options.name) own.push({ id, entry, expiresAt })
    }
    return own
  }

  /** Returns the entry of a session, not decoded. */
  get (id: string, deadline: Deadline): Promise<string | undefined> {
    return this.#client.get(id, deadline)
  }

  /** Writes a new entry. A caller that stops waiting for it must discard it. */
  async insert ({ id, createdAt, binding }: Filed, content: Content, deadline: Deadline): Promise<string> {
    const entry = { createdAt, isBound: binding !== undefined, ...content }
    const { owner, name } = this.#options
    const user = owner?.(content.text)
    const raw = encodeEntry({ ...entry, name, writtenAt: this.#now })
    await this.#queue.turn(id, deadline, async () => { await this.#client.set(id, raw, this.#ttl(entry), deadline, user) })
    return raw
  }

  /** Deletes, in the background and after the writes that are under way, an entry for which no cookie was set. */
  discard (id: string): void {
    const deletion = this.#queue.turn(id, undefined, async () => { await this.#client.delete(id) })
    // If the store is not available, the entry expires by itself.
    deletion.catch(() => undefined)
  }

  /** Restores, in the background, the full lifetime of an entry: the client did not receive the cookie that was to replace it. */
  #prolong (id: string, value: string, ttl: number): void {
    const prolonged = this.#queue.turn(id, undefined, async () => {
      if (await this.#client.get(id) === value) await this.#write(id, value, value, ttl)
    })
    // If the store is not available, nothing can be done.
    prolonged.catch(() => undefined)
  }

  /** Deletes the entry of a session that ends. Returns `false` if there was none. */
  async end (id: string, deadline: Deadline): Promise<boolean> {
    return await this.#queue.turn(id, deadline, async () => {
      if (this.#client.canFind) return await this.#client.delete(id, deadline)
      const raw = await this.#client.get(id, deadline)
      if (raw === undefined || raw === ENDED) return false
      await this.#client.delete(id, deadline)
      return true
    })
  }

  /**
   * Ends an entry whose data moves to another session. If several requests try, only one succeeds. Returns `false` if another
   * request has ended it.
   */
  async claim (id: string, known: string | undefined, deadline: Deadline): Promise<boolean> {
    const client = this.#client
    // If several requests delete the entry, only one of them is told that there was one.
    if (client.canFind) return await this.end(id, deadline)
    return await this.#queue.turn(id, deadline, async () => {
      const isOurs = await this.#attempt(id, known, deadline, async raw => {
        if (raw === undefined || raw === ENDED) return undefined
        return !client.canReplace || await client.replace(id, raw, ENDED, MARK_TTL, deadline)
      })
      if (isOurs === undefined) return false
      await client.delete(id, deadline)
      return true
    })
  }

  /**
   * Writes a session's content over its entry, merged with the changes of other requests.
   * @param base the content before the changes, and the entry at that time
   * @param sealedAt for a session whose data is in its cookie: when the cookie was sealed. The session may have no entry, and an
   * older entry is ignored. `undefined` for a session in the store, which has ended if it has no entry
   * @param place decides, for the merged content, where it is kept and how long the entry lives (in milliseconds)
   * @returns `undefined` if another request has ended the session
   */
  async update<Place extends { ttl?: number | undefined } | undefined> (
    { id, createdAt, binding }: Filed, base: Content & { raw: string | undefined }, ours: Content, sealedAt: number | undefined,
    place: (content: Content) => Promise<Place>, deadline: Deadline
  ): Promise<Written<Place | undefined> | undefined> {
    return await this.#queue.turn(id, deadline, () => this.#attempt(id, base.raw, deadline, async raw => {
      const theirs = read(raw, base, sealedAt)
      if (theirs === 'over' || (theirs === undefined && sealedAt === undefined)) return undefined
      const content = theirs === undefined ? ours : mergeContent(base, ours, theirs)
      const isEmpty = content.text === EMPTY
      const placed = isEmpty ? undefined : await place(content)
      const entry = { createdAt, isBound: binding !== undefined, ...content }
      const { owner, name } = this.#options
      const user = owner?.(content.text)
      const value = isEmpty ? EMPTIED : encodeEntry({ ...entry, name, writtenAt: placed?.ttl === undefined ? this.#now : undefined })
      const ttl = isEmpty ? MARK_TTL : placed?.ttl ?? this.#ttl(entry)
      const written = { content, raw: value, place: placed, wasEmptied: raw === EMPTIED }
      // An entry that expires soon and already has this value is left alone.
      if (placed?.ttl !== undefined && raw === value) return written
      try {
        const wasWritten = await this.#write(id, raw, value, ttl, deadline, user)
        if (deadline.isOver && placed?.ttl !== undefined) this.#prolong(id, value, this.#ttl(entry))
        return wasWritten && written
      } catch (error) {
        if (placed?.ttl !== undefined) this.#prolong(id, value, this.#ttl(entry))
        throw error
      }
    }))
  }

  /** Writes over a known entry. Returns `false` if it has changed, `undefined` if it no longer exists. */
  async #write (id: string, raw: string | undefined, value: string, ttl: number, deadline?: Deadline, user?: string): Promise<boolean | undefined> {
    const client = this.#client
    if (raw !== undefined && client.canReplace) return await client.replace(id, raw, value, ttl, deadline, user)
    if (raw === value && client.canTouch) return await client.touch(id, ttl, deadline) || undefined
    await client.set(id, value, ttl, deadline, user)
    return true
  }

  /**
   * Tries to write over an entry, until the deadline passes. The first attempt gets the known entry if `replace` can detect a later change.
   * @param attempt returns `false` if another request has changed the entry meanwhile
   */
  async #attempt<T> (
    id: string, known: string | undefined, deadline: Deadline, attempt: (raw: string | undefined) => Promise<T | false>
  ): Promise<T | undefined> {
    let result = await attempt(this.#client.canReplace && known !== undefined ? known : await this.#client.get(id, deadline))
    for (let pause = 1; result === false; pause = Math.min(2 * pause, MAX_PAUSE)) {
      result = await attempt(await this.#client.get(id, deadline))
      if (result === false) await wait(Math.random() * pause)
    }
    return result
  }

  /** The time to write into an entry, in whole milliseconds; `undefined` if entries have none. */
  get #now (): number | undefined {
    const { dated, owner } = this.#options
    if (!dated) return undefined
    const now = Math.ceil(this.#times.now())
    if (owner === undefined) return now
    // Strictly increasing, so that one of a user's sessions is always the least recently used.
    this.#written = Math.max(this.#written + 1, now)
    return this.#written
  }

  /** In milliseconds. Never 0, because for stores it means "never expires". */
  #ttl (times: Times): number {
    return Math.max(1, Math.ceil(this.#times.remaining(times)))
  }
}

/** The content of an entry; `undefined` if there is none that counts, `over` if the session has ended. */
function read (raw: string | undefined, base: Content & { raw: string | undefined }, sealedAt: number | undefined): Content | 'over' | undefined {
  // Nobody has changed the entry, so there is no need to decode it again.
  if (raw !== undefined && raw === base.raw) return base
  const entry = raw === undefined ? undefined : decodeEntry(raw)
  if (entry === 'emptied') return { text: EMPTY, idle: base.idle }
  if (typeof entry !== 'object') return entry === undefined ? undefined : 'over'
  return sealedAt !== undefined && (entry.writtenAt ?? 0) <= sealedAt ? undefined : entry
}
