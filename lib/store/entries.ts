import { setTimeout as wait } from 'node:timers/promises'
import type { SessionStore } from '../../types/index.js'
import { EMPTY } from '../json.js'
import type { Lifetimes, Times } from '../lifetimes.js'
import { StoreClient } from './client.js'
import type { Deadline } from './deadline.js'
import type { Subject } from './order.js'
import type { Owner } from './owner.js'
import { decodeEntry, EMPTIED, encodeEntry, ENDED, MARK_TTL } from './entry.js'
import type { Entry } from './entry.js'
import { mergeContent } from './merge.js'
import type { Content } from './merge.js'
import { queueOf } from './write-queue.js'
import type { WriteQueue } from './write-queue.js'

/** How long a request waits at most before it tries again to replace an entry that others keep changing, in milliseconds. */
const MAX_PAUSE = 64

/** What is written over an entry. */
export interface Written<Place> {
  readonly content: Content
  readonly raw: string
  readonly place: Place
  /** Whether the session was empty before, so that its cookie may have been cleared */
  readonly wasEmptied: boolean
}

/** How the entries of one registration are written. */
export interface EntryOptions {
  /** Whether entries say when they were written */
  readonly dated: boolean
  /** Whose the entries are, in a store that is to find them; `undefined` where entries are nobody's */
  readonly owner?: Owner | undefined
  /** The name that entries carry, `undefined` for none */
  readonly name?: string | undefined
}

/** A session, as far as its entry has to know it. */
type Filed = Pick<Subject, 'id' | 'createdAt' | 'binding'>

/** An entry of a user. */
export interface OwnEntry {
  readonly id: string
  readonly entry: Entry
  /** When the store deletes it, in milliseconds since 1970 */
  readonly expiresAt: number
}

/** The entries of sessions in one store, each written by one request at a time. */
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

  /** The entries of a user that belong to sessions of this name. Only in a store that can find. */
  async find (user: string, deadline: Deadline): Promise<OwnEntry[]> {
    const own: OwnEntry[] = []
    for (const { id, value, expiresAt } of await this.#client.find(user, deadline)) {
      const entry = decodeEntry(value)
      if (typeof entry === 'object' && entry.name === this.#options.name) own.push({ id, entry, expiresAt })
    }
    return own
  }

  /** The entry of a session as the store has it. */
  async get (id: string, deadline: Deadline): Promise<string | undefined> {
    return await this.#client.get(id, deadline)
  }

  /** Writes a new entry. Whoever gives up waiting for it has to discard it. */
  async insert ({ id, createdAt, binding }: Filed, content: Content, deadline: Deadline): Promise<string> {
    const entry = { createdAt, isBound: binding !== undefined, ...content }
    const { owner, name } = this.#options
    const user = owner?.(content.text)
    const raw = encodeEntry({ ...entry, name, writtenAt: this.#now })
    await this.#queue.turn(id, deadline, async () => { await this.#client.set(id, raw, this.#ttl(entry), deadline, user) })
    return raw
  }

  /** Deletes an entry that no cookie was given for, after the writes that are under way, without making anybody wait. */
  discard (id: string): void {
    const deletion = this.#queue.turn(id, undefined, async () => { await this.#client.delete(id) })
    // Where the store is away, the entry expires by itself.
    deletion.catch(() => undefined)
  }

  /** Gives an entry its whole time again, without making anybody wait: the client did not get the cookie that can do without it. */
  #prolong (id: string, value: string, ttl: number): void {
    const prolonged = this.#queue.turn(id, undefined, async () => {
      if (await this.#client.get(id) === value) await this.#write(id, value, value, ttl)
    })
    // Where the store is away, nothing can be done.
    prolonged.catch(() => undefined)
  }

  /** Ends an entry. `false` if there was none. */
  async end (id: string, deadline: Deadline): Promise<boolean> {
    return await this.#queue.turn(id, deadline, async () => {
      if (this.#client.canFind) return await this.#client.delete(id, deadline)
      const raw = await this.#client.get(id, deadline)
      if (raw === undefined || raw === ENDED) return false
      await this.#client.delete(id, deadline)
      return true
    })
  }

  /** Ends an entry whose data goes on elsewhere, so that only one of several requests does. `false` if another has ended it. */
  async claim (id: string, known: string | undefined, deadline: Deadline): Promise<boolean> {
    const client = this.#client
    // Of several deletions, the one that met the entry has ended it.
    if (client.canFind) return await this.end(id, deadline)
    return await this.#queue.turn(id, deadline, async () => {
      for await (const raw of this.#attempts(id, known, deadline)) {
        if (raw === undefined || raw === ENDED) return false
        if (!client.canReplace || await client.replace(id, raw, ENDED, MARK_TTL, deadline)) break
      }
      await client.delete(id, deadline)
      return true
    })
  }

  /**
   * Writes a session's content over its entry, merged with what other requests have made of it.
   * @param base the content that the changes are measured against, and the entry as it was then
   * @param sealedAt when the cookie was sealed of a session that has its data there: it may have no entry yet, and an entry that is
   * older owes it nothing. `undefined` for a session that is in the store; without an entry, it has ended
   * @param place decides, for the merged content, where it is kept and for how long (milliseconds) the entry stays
   * @returns `undefined` where another request has ended the session
   */
  async update<Place extends { ttl?: number | undefined } | undefined> (
    { id, createdAt, binding }: Filed, base: Content & { raw: string | undefined }, ours: Content, sealedAt: number | undefined,
    place: (content: Content) => Promise<Place>, deadline: Deadline
  ): Promise<Written<Place | undefined> | undefined> {
    return await this.#queue.turn(id, deadline, async () => {
      for await (const raw of this.#attempts(id, base.raw, deadline)) {
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
        // An entry that goes soon, and holds all of this, is left alone.
        if (placed?.ttl !== undefined && raw === value) return written
        const wasWritten = await this.#write(id, raw, value, ttl, deadline, user).catch((error: unknown) => {
          if (placed?.ttl !== undefined) this.#prolong(id, value, this.#ttl(entry))
          throw error
        })
        if (deadline.isOver && placed?.ttl !== undefined) this.#prolong(id, value, this.#ttl(entry))
        if (wasWritten === true) return written
        if (wasWritten === undefined) return undefined
      }
    })
  }

  /** Writes over an entry that is known. `false` if it has changed, `undefined` if it is not there any more. */
  async #write (id: string, raw: string | undefined, value: string, ttl: number, deadline?: Deadline, user?: string): Promise<boolean | undefined> {
    const client = this.#client
    if (raw !== undefined && client.canReplace) return await client.replace(id, raw, value, ttl, deadline, user)
    if (raw === value && client.canTouch) return await client.touch(id, ttl, deadline) || undefined
    await client.set(id, value, ttl, deadline, user)
    return true
  }

  /** The entry to write over, again and again: first as it is known, where the store will notice that it has changed since. */
  async * #attempts (id: string, known: string | undefined, deadline: Deadline): AsyncGenerator<string | undefined> {
    yield this.#client.canReplace && known !== undefined ? known : await this.#client.get(id, deadline)
    for (let pause = 1; !deadline.isOver; pause = Math.min(2 * pause, MAX_PAUSE)) {
      yield await this.#client.get(id, deadline)
      await wait(Math.random() * pause)
    }
  }

  /** When an entry is written, if entries say so; a whole number of milliseconds. */
  get #now (): number | undefined {
    const { dated, owner } = this.#options
    if (!dated) return undefined
    const now = Math.ceil(this.#times.now())
    if (owner === undefined) return now
    // Each entry later than the one before it: of the sessions of a user, one was used least recently.
    this.#written = Math.max(this.#written + 1, now)
    return this.#written
  }

  /** Milliseconds. Stores take 0 for "never". */
  #ttl (times: Times): number {
    return Math.max(1, Math.ceil(this.#times.remaining(times)))
  }
}

/** What an entry holds, `undefined` where there is none that counts, `over` for a session that has ended. */
function read (raw: string | undefined, base: Content, sealedAt: number | undefined): Content | 'over' | undefined {
  const entry: Entry | string | undefined = raw === undefined ? undefined : decodeEntry(raw)
  if (entry === 'emptied') return { text: EMPTY, idle: base.idle }
  if (typeof entry !== 'object') return entry === undefined ? undefined : 'over'
  return sealedAt !== undefined && (entry.writtenAt ?? 0) <= sealedAt ? undefined : entry
}
