import type { FastifyRequest } from 'fastify'
import { EMPTY } from '../json.js'
import type { Lifetimes } from '../lifetimes.js'
import { findsUsers } from '../options/options.js'
import type { SessionConfig } from '../options/options.js'
import type { Deadline } from './deadline.js'
import { Ender } from './ender.js'
import type { Endings } from './endings.js'
import { Entries } from './entries.js'
import { decodeEntry } from './entry.js'
import { without } from './merge.js'
import type { Content } from './merge.js'
import type { Found, Order, Outcome, Place, Sealed, Seals, Subject } from './order.js'
import { ownerBy } from './owner.js'
import type { Owner } from './owner.js'
import { Revocations } from './revocations.js'
import { RevokedUsers, SessionLimit, StoredUsers } from './users.js'
import type { Users } from './users.js'

/** What a keeper needs from the sealer. */
export interface Context {
  readonly times: Lifetimes
  /** Returns data as the app's schema outputs it, or `undefined` if it does not match the schema */
  fit (data: object): object | undefined
}

/** How long the entry of a session that fits into its cookie again still counts, and how far clocks may differ; milliseconds. */
const OVERLAP = 60_000

/** Keeps what a session has besides its cookie: its entry in the store, and its place on the list of revoked sessions. */
export class Keeper {
  /** The sessions of users, if `userOf` is set */
  readonly users: Users | undefined
  readonly #times: Lifetimes
  readonly #where: SessionConfig['storage']
  readonly #entries: Entries | undefined
  readonly #revocations: Revocations | undefined
  readonly #ender: Ender
  readonly #endings: Endings
  readonly #owner: Owner | undefined
  /** Whether the store lists the sessions of users */
  readonly #lists: boolean
  readonly #limit: SessionLimit | undefined
  /** New sessions whose entries may have been written */
  readonly #begun = new WeakSet<Subject>()

  private constructor (config: SessionConfig, { times, fit }: Context, endings: Endings) {
    const { store, storage, storeTimeout, isRevoked, sessionName, maxSessions } = config
    const owner = config.userOf && ownerBy(config.userOf)
    const lists = owner !== undefined && findsUsers(config)
    const name = lists && sessionName !== 'session' ? sessionName : undefined
    this.#times = times
    this.#where = storage
    this.#endings = endings
    this.#owner = owner
    this.#lists = lists
    this.#entries = store && new Entries(store, times, { dated: storage === 'overflow' || lists, owner: lists ? owner : undefined, name })
    this.#revocations = isRevoked && new Revocations(isRevoked, times, sessionName, lists ? undefined : owner)
    this.#ender = new Ender(times, this.#entries, this.#revocations)
    this.#limit = maxSessions === undefined ? undefined : new SessionLimit(this.#entries!, maxSessions, storeTimeout)
    if (owner !== undefined) {
      this.users = lists ? new StoredUsers(this.#entries!, times, storeTimeout, fit) : new RevokedUsers(this.#revocations!, storeTimeout)
    }
  }

  /** Returns `undefined` without a store or a list: then sessions are synchronous and exist only in their cookies. */
  static for (config: SessionConfig, context: Context, endings: Endings): Keeper | undefined {
    return config.store === undefined && config.isRevoked === undefined ? undefined : new Keeper(config, context, endings)
  }

  /** Looks up the session of a cookie that was unsealed. @throws FST_SESSION_STORE */
  async find (session: Subject & { kept: Sealed }, expiresAt: number, request: FastifyRequest | undefined, deadline: Deadline): Promise<Found> {
    const isStored = this.#ender.hasEntry(session.kept)
    const raw = isStored ? await this.#entries!.get(session.id, deadline) : undefined
    const entry = raw === undefined ? undefined : decodeEntry(raw)
    const content = isStored ? entry : session.kept
    const known = typeof content === 'object' ? content : undefined
    if (this.#revocations !== undefined && await this.#revocations.has(session, expiresAt, known, request, deadline)) {
      return { ok: false, reason: 'revoked' }
    }
    // An entry from before sessions were listed counts as never seen, so it is written again and listed.
    if (typeof entry === 'object') return { ok: true, entry, raw, seenAt: this.#lists ? entry.writtenAt ?? 0 : undefined }
    if (!isStored) return { ok: true, entry: undefined, raw: undefined, seenAt: undefined }
    return { ok: false, reason: entry === 'invalid' ? 'invalid' : 'not-stored' }
  }

  /** Seals a session outside a request, and writes an entry if it needs one. */
  async seal (session: Subject, content: Content, seals: Seals, deadline: Deadline): Promise<string> {
    const { token, place } = await this.#place(session, content, seals)
    if (place.stored) await this.#insert(session, content, deadline)
    await this.#makeRoom(session, [], content, deadline)
    return token
  }

  /**
   * Discards the entry of a new session that could not be saved, because no cookie was set for it. Must be called as soon as the
   * save fails, so that the next attempt queues after it.
   */
  giveUp (session: Subject): void {
    if (this.#begun.has(session)) this.discard(session.id)
  }

  /** Deletes the entry of a session for which no cookie was set. */
  discard (id: string): void {
    this.#entries!.discard(id)
  }

  /**
   * Carries out what a request asks for. Destroyed sessions end first, even if saving the new one fails.
   * @throws FST_SESSION_STORE, FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY
   */
  async carryOut (order: Order, deadline: Deadline): Promise<Outcome> {
    const { action, session, past, isLate } = order
    const destroyed = past.filter(({ by }) => by === 'destroy')
    const regenerated = past.filter(({ by }) => by === 'regenerate')
    let hasEnded = destroyed.length > 0 && await this.#ender.endAll(destroyed, deadline)
    if (action === 'save') {
      const text = order.text()
      // With a list alone, entries have no user. Call `userOf` all the same, so that it throws now and not at the next read.
      if (!this.#lists) this.#owner?.(text)
      if (session.kept === undefined && !isLate) return await this.#create(order, text, regenerated, hasEnded, deadline)
      await this.#ender.endAll(regenerated, deadline)
      return session.kept === undefined ? { became: 'late' } : await this.#update(order, session.kept, text, deadline)
    }
    hasEnded = await this.#ender.endAll(regenerated, deadline) || hasEnded
    if (action === 'nothing') return { became: 'done' }
    if (session.kept !== undefined) return await this.#update(order, session.kept, EMPTY, deadline)
    // If another request had already ended the session, the client may have the cookie of a newer one by now.
    if (!hasEnded) return { became: 'over' }
    return isLate ? { became: 'done' } : EMPTIED
  }

  /**
   * Saves a session under a new id. It is sealed and written before the sessions that it replaces end.
   * @param hasEnded whether this request has already ended a session that it replaces
   */
  async #create (order: Order, text: string, past: Order['past'], hasEnded: boolean, deadline: Deadline): Promise<Outcome> {
    const { session, carried, seals } = order
    const content = { text, idle: session.idle }
    const { token, place } = await this.#place(session, content, seals)
    const raw = place.stored ? await this.#insert(session, content, deadline) : undefined
    if (carried.length === 0) hasEnded = await this.#ender.endAll(past, deadline) || hasEnded
    else if (await this.#ender.supersedeAll(past, session, order.request, deadline)) hasEnded = true
    else return await this.#createRest(order, text, place, deadline)
    // Of several logins with one cookie, one takes the place of the session before. The others are sessions more.
    await this.#makeRoom(session, hasEnded ? order.past : [], content, deadline)
    return this.#saved(session.id, content, place, token, raw)
  }

  /** Applies `maxSessions` when a session gains its user. */
  async #makeRoom (session: Subject, past: Order['past'], content: Content, deadline: Deadline): Promise<void> {
    const user = this.#gainedBy(session, past, content)
    if (user === undefined) return
    for (const ended of await this.#limit!.enforce(user, session.id, deadline)) this.#endings.announce(ended)
  }

  /** The user that has one session more, if there is a limit; `undefined` where the same user had a session in this browser before. */
  #gainedBy ({ kept }: Subject, past: Order['past'], { text }: Content): string | undefined {
    if (this.#limit === undefined) return undefined
    const user = this.#owner!(text)
    const earlier = [kept, ...past.map(({ session }) => session.kept)]
    return user === undefined || earlier.some(kept => kept !== undefined && this.#owner!(kept.text) === user) ? undefined : user
  }

  /**
   * Creates the session again without the keys that `regenerate(keep)` kept from a session that another request has ended. With a
   * list, it gets another id, because that request may have revoked the successor too.
   */
  async #createRest (order: Order, text: string, place: Place, deadline: Deadline): Promise<Outcome> {
    if (place.stored) this.#entries!.discard(order.session.id)
    const rest = without(text, order.carried)
    if (rest === EMPTY) return { became: 'dropped' }
    const session = { ...order.session, ...this.#revocations?.canRevoke && { id: order.newId() } }
    try {
      const outcome = await this.#create({ ...order, session, carried: [] }, rest, [], false, deadline)
      return { ...outcome, hasDropped: true } as Outcome
    } catch (error) {
      this.giveUp(session)
      throw error
    }
  }

  async #insert (session: Subject, content: Content, deadline: Deadline): Promise<string> {
    this.#begun.add(session)
    return await this.#entries!.insert(session, content, deadline)
  }

  /** Saves a session that was saved before. It is looked up again, and merged with the changes of other requests. */
  async #update (order: Order, kept: Sealed, text: string, deadline: Deadline): Promise<Outcome> {
    const { session, request, isLate, seals } = order
    const expiresAt = this.#times.now() + this.#times.idleTimeout(session.idle)
    if (this.#revocations !== undefined && await this.#revocations.has(session, expiresAt, kept, request, deadline)) return { became: 'gone' }
    const content = { text, idle: session.idle }
    const hasEntry = this.#ender.hasEntry(kept)
    if (isLate && !kept.stored) return { became: 'late' }
    if (!hasEntry) {
      if (text === EMPTY) return EMPTIED
      const { token, place } = await this.#place(session, content, seals)
      if (!place.stored) return this.#saved(session.id, content, place, token, undefined)
    }
    // If the others cannot be found, or userOf throws, nothing must have been saved.
    const user = this.#gainedBy(session, order.past, content)
    if (user !== undefined) await this.#entries!.find(user, deadline)
    // A read renews a cookie that is older than its entry, and does not write to the store: the entry is only looked up.
    const isLagging = hasEntry && !kept.stored && text === kept.text
    const base = { ...kept, raw: hasEntry && !isLagging ? kept.raw : undefined }
    const written = await this.#entries!.update(session, base, content, hasEntry ? undefined : kept.sealedAt, async content => {
      if (isLate || this.#where === 'store') return { place: STORED, token: undefined, ttl: undefined }
      const placed = await this.#place(session, content, seals)
      return { ...placed, ttl: placed.place.stored ? undefined : 2 * OVERLAP }
    }, deadline)
    if (written === undefined) return { became: 'gone' }
    if (written.place === undefined) return { became: 'empty', raw: written.raw }
    // The cookie was cleared when the session became empty, and it is too late to set it again.
    if (isLate && written.wasEmptied) return { became: 'late' }
    const { place, token } = written.place
    const stays = kept.stored && place.stored && !order.mustSeal && !written.wasEmptied
    const sealed = isLate || stays ? undefined : token ?? await seals.seal(session, written.content, place)
    if (this.#limit !== undefined) await this.#makeRoom(session, order.past, written.content, deadline)
    return this.#saved(session.id, written.content, place, sealed, written.raw)
  }

  #saved (id: string, { text, idle }: Content, place: Place, token: string | undefined, raw: string | undefined): Outcome {
    const seenAt = this.#lists ? this.#times.now() : undefined
    return { became: 'saved', id, token, kept: { text, idle, ...place, raw, seenAt }, hasDropped: false }
  }

  /** Decides where content is kept, and seals the token for the cookie. */
  async #place (session: Subject, content: Content, seals: Seals): Promise<{ place: Place, token: string }> {
    if (this.#where === 'store') return { place: STORED, token: await seals.seal(session, content, STORED) }
    const { kept } = session
    const entryUntil = this.#ender.hasEntry(kept) ? kept!.entryUntil ?? this.#times.now() + OVERLAP : undefined
    const place = { stored: false, entryUntil }
    if (this.#where === 'cookie') return { place, token: await seals.seal(session, content, place) }
    const token = await seals.sealIfItFits(session, content, place)
    if (token !== undefined) return { place, token }
    return { place: STORED, token: await seals.seal(session, content, STORED) }
  }
}

const EMPTIED: Outcome = { became: 'empty', raw: undefined }
const STORED: Place = { stored: true, entryUntil: undefined }
