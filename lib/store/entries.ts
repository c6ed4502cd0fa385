import { setTimeout as wait } from 'node:timers/promises'
import type { SessionStore } from '../../types/index.js'
import { EMPTY } from '../json.js'
import type { Lifetimes, Times } from '../lifetimes.js'
import { StoreClient } from './client.js'
import type { Deadline } from './deadline.js'
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

/** The entries of sessions in one store, each written by one request at a time. */
export class Entries {
  readonly #times: Lifetimes
  readonly #client: StoreClient
  readonly #queue: WriteQueue
  readonly #dated: boolean

  /** @param dated whether entries say when they were written */
  constructor (store: SessionStore, times: Lifetimes, dated: boolean) {
    this.#times = times
    this.#dated = dated
    this.#client = new StoreClient(store)
    this.#queue = queueOf(store)
  }

  /** The entry of a session as the store has it. */
  async get (id: string, deadline: Deadline): Promise<string | undefined> {
    return await this.#client.get(id, deadline)
  }

  /** Writes a new entry. Whoever gives up waiting for it has to discard it. */
  async insert ({ id, createdAt }: { id: string, createdAt: number }, content: Content, deadline: Deadline): Promise<string> {
    const entry = { createdAt, ...content }
    const raw = encodeEntry({ ...entry, writtenAt: this.#now })
    await this.#queue.turn(id, deadline, async () => { await this.#client.set(id, raw, this.#ttl(entry), deadline) })
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
      if (await this.#client.get(id) === value) await this.#write(id, value, value, ttl, undefined)
    })
    // Where the store is away, nothing can be done.
    prolonged.catch(() => undefined)
  }

  /** Ends an entry. `false` if there was none. */
  async end (id: string, deadline: Deadline): Promise<boolean> {
    return await this.#queue.turn(id, deadline, async () => {
      const raw = await this.#client.get(id, deadline)
      if (raw === undefined || raw === ENDED) return false
      await this.#client.delete(id, deadline)
      return true
    })
  }

  /** Ends an entry whose data goes on elsewhere, so that only one of several requests does. `false` if another has ended it. */
  async claim (id: string, known: string | undefined, deadline: Deadline): Promise<boolean> {
    const client = this.#client
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
    { id, createdAt }: { id: string, createdAt: number }, base: Content & { raw: string | undefined }, ours: Content, sealedAt: number | undefined,
    place: (content: Content) => Promise<Place>, deadline: Deadline
  ): Promise<Written<Place | undefined> | undefined> {
    return await this.#queue.turn(id, deadline, async () => {
      for await (const raw of this.#attempts(id, base.raw, deadline)) {
        const theirs = read(raw, base, sealedAt)
        if (theirs === 'over' || (theirs === undefined && sealedAt === undefined)) return undefined
        const content = theirs === undefined ? ours : mergeContent(base, ours, theirs)
        const isEmpty = content.text === EMPTY
        const placed = isEmpty ? undefined : await place(content)
        const entry = { createdAt, ...content }
        const value = isEmpty ? EMPTIED : encodeEntry({ ...entry, writtenAt: placed?.ttl === undefined ? this.#now : undefined })
        const ttl = isEmpty ? MARK_TTL : placed?.ttl ?? this.#ttl(entry)
        const written = { content, raw: value, place: placed, wasEmptied: raw === EMPTIED }
        // An entry that goes soon, and holds all of this, is left alone.
        if (placed?.ttl !== undefined && raw === value) return written
        const wasWritten = await this.#write(id, raw, value, ttl, deadline).catch((error: unknown) => {
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
  async #write (id: string, raw: string | undefined, value: string, ttl: number, deadline: Deadline | undefined): Promise<boolean | undefined> {
    const client = this.#client
    if (raw !== undefined && client.canReplace) return await client.replace(id, raw, value, ttl, deadline)
    if (raw === value && client.canTouch) return await client.touch(id, ttl, deadline) || undefined
    await client.set(id, value, ttl, deadline)
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
    return this.#dated ? Math.ceil(this.#times.now()) : undefined
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
