import type { FastifyRequest } from 'fastify'
import type { RevocationCheck, RevocationList } from '../../types/index.js'
import { findReservedKey, isDictionary } from '../json.js'
import type { Envelope } from '../seal/envelope.js'
import type { SessionConfig } from '../options/options.js'
import { describe } from '../seal/sealer.js'
import type { Loaded, SessionSealer } from '../seal/sealer.js'
import type { Past, SessionState } from '../session/state.js'
import { inTime, StoreClient, unavailable } from './client.js'
import { turnsFor } from './write-queue.js'
import type { Holder, Turns } from './write-queue.js'

/** How often a change is tried again that others keep overtaking */
const ATTEMPTS = 10

/** What a session's cookies are to hold, `undefined` where they may stay as they are, and its text. */
export interface Kept { token: string | undefined, text: string, stored: boolean }

/** Where sessions live beside their cookies: entries in the store, and the list of those that were revoked. */
export class SessionStorage {
  readonly #sealer: SessionSealer
  readonly #client: StoreClient | undefined
  readonly #check: RevocationCheck | undefined
  readonly #list: RevocationList | undefined
  readonly #timeout: number
  readonly #where: SessionConfig['storage']
  readonly #rolling: boolean
  readonly #turns: Turns | undefined

  private constructor ({ store, storage, rolling, isRevoked, storeTimeout }: SessionConfig, sealer: SessionSealer) {
    this.#sealer = sealer
    this.#where = storage
    this.#rolling = rolling
    this.#timeout = storeTimeout
    this.#client = store && new StoreClient(store, storeTimeout)
    this.#turns = store && turnsFor(store)
    this.#list = typeof isRevoked === 'object' ? isRevoked : undefined
    this.#check = typeof isRevoked === 'object' ? (info, request) => isRevoked.check(info, request) : isRevoked
  }

  /** `undefined` where the cookie is all there is, and nothing has to be waited for. */
  static for (config: SessionConfig, sealer: SessionSealer): SessionStorage | undefined {
    return config.store === undefined && config.isRevoked === undefined ? undefined : new SessionStorage(config, sealer)
  }

  /** How many writes are done: what a request that reads now will know of. */
  get now (): number {
    return this.#turns?.now ?? 0
  }

  /** Goes on where unsealing ends: refuses what was revoked, and fetches what is in the store. */
  async open (loaded: Loaded, request?: FastifyRequest): Promise<Loaded> {
    if (!loaded.ok) return loaded
    const { verified } = loaded
    const { envelope } = verified
    if (this.#check !== undefined) {
      const info = describe(this.#sealer, envelope, verified.expiresAt, null, false)
      if (await inTime('isRevoked', this.#timeout, async () => await this.#check!(info, request))) return { ok: false, reason: 'revoked' }
    }
    if (!envelope.stored) return loaded
    const text = await this.#client!.get(envelope.id)
    if (text === undefined) return { ok: false, reason: 'not-stored' }
    const entry = parse(text)
    const data = entry === undefined || findReservedKey(entry) !== undefined ? undefined : this.#sealer.fit(entry)
    if (data === undefined) return { ok: false, reason: 'invalid' }
    return { ok: true, verified: { ...verified, envelope: { ...envelope, text } }, data }
  }

  /**
   * Brings the store in line with what a session has become: first the new entry, then the end of what it was before.
   * @param fits whether a token fits into the session's cookies
   * @returns what its cookies are to hold, and its text; `undefined` where another request has ended it meanwhile
   */
  async keep (state: SessionState, text: string, fits: (token: string) => boolean): Promise<Kept | undefined> {
    if (this.#where !== 'store') {
      const token = await this.#sealer.seal(state.envelope(text, false))
      const isFit = fits(token)
      if (isFit) await this.end(state)
      // What does not fit is refused where there is no store: it is the cookies' business to say so.
      if (isFit || this.#where === 'cookie') return { token, text, stored: false }
    }
    for (const past of state.past) {
      if (past.stored && past.goesOn && await this.#isGone(past)) return undefined
    }
    const kept = await this.write(state, text)
    if (kept === undefined) return undefined
    await this.endPast(state)
    // The cookie has nothing but the id: it changes where its time or its secret does. One of this very response is told again.
    const stays = this.#rolling && state.stored && !state.isSealed && !state.asked && !state.due
    return { token: stays ? undefined : await this.#sealer.seal(state.envelope(kept, true)), text: kept, stored: true }
  }

  /** Seals a session outside a request. */
  async seal (envelope: Envelope, fits: (token: string) => boolean): Promise<string> {
    if (this.#where !== 'store') {
      const token = await this.#sealer.seal(envelope)
      if (this.#where === 'cookie' || fits(token)) return token
    }
    await this.#client!.set(envelope.id, envelope.text, this.#ttl(envelope))
    return await this.#sealer.seal({ ...envelope, stored: true })
  }

  /**
   * Writes a session's entry, its time anew.
   * @returns what it holds now, which is more than ours where another request has changed it since it was read;
   * `undefined` where another request has ended it
   */
  async write (state: SessionState, text: string): Promise<string | undefined> {
    let kept: string | undefined
    await this.#turn(state, async ({ isAlone, until }) => {
      // A longer time that another request has given it (a persist, say) holds.
      const ttl = Math.max(this.#ttl(state), until - Date.now())
      kept = state.stored ? await this.#update(state, text, ttl, isAlone) : await this.#create(state.id, text, ttl)
      return kept === undefined ? undefined : Date.now() + ttl
    })
    return kept
  }

  async #create (id: string, text: string, ttl: number): Promise<string> {
    await this.#client!.set(id, text, ttl)
    return text
  }

  async #update ({ id, savedText: base }: SessionState, text: string, ttl: number, isAlone: boolean): Promise<string | undefined> {
    const client = this.#client!
    let [theirs, merged] = [base, text]
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!isAlone || attempt > 0) {
        const entry = await client.get(id)
        if (entry === undefined || parse(entry) === undefined) return undefined
        theirs = entry
        merged = merge(base, text, theirs)
      }
      if (client.canTouch && merged === theirs) {
        await client.touch(id, ttl)
        return merged
      }
      if (!client.canReplace) return await this.#create(id, merged, ttl)
      if (await client.replace(id, theirs, merged, ttl)) return merged
    }
    throw unavailable('replace', 'was overtaken by other requests again and again', undefined)
  }

  /** Ends a session where it lives beside its cookies, and what it was before. */
  async end (state: SessionState): Promise<void> {
    await this.endPast(state)
    if (state.stored) await this.#remove(state)
    state.stored = false
  }

  /** Ends what a session was before, in the store and on the list. */
  async endPast ({ past }: SessionState): Promise<void> {
    for (const one of past) {
      if (one.isOver) continue
      if (one.stored) await this.#remove(one)
      await this.#revoke(one)
      one.isOver = true
    }
  }

  /** Whether another request of this process has ended a session since it was read. */
  async #isGone (past: Past): Promise<boolean> {
    const other = this.#turns!.other(past)
    if (other === undefined || past.isOver) return false
    await this.#client!.wait(other)
    return await this.#client!.get(past.id) === undefined
  }

  async #remove (holder: Holder): Promise<void> {
    await this.#turn(holder, async () => {
      await this.#client!.delete(holder.id)
      return 0
    })
  }

  async #turn (holder: Holder, write: Parameters<Turns['take']>[2]): Promise<void> {
    await this.#turns!.take(holder, async other => { await this.#client!.wait(other) }, write)
  }

  async #revoke (past: Past): Promise<void> {
    const list = this.#list
    if (list === undefined) return
    const info = describe(this.#sealer, past, this.#sealer.lastMoment(past), null, false)
    await inTime('revoke', this.#timeout, async () => { await list.revoke(info) })
  }

  /** Milliseconds. Stores take 0 for «never». */
  #ttl (session: Pick<Envelope, 'idle' | 'createdAt'>): number {
    return Math.max(1, Math.ceil(this.#sealer.lifetime(session)))
  }
}

/** The data of an entry, `undefined` where it is none. */
function parse (text: string): object | undefined {
  try {
    const data = JSON.parse(text) as unknown
    return isDictionary(data) ? data : undefined
  } catch {
    return undefined
  }
}

/** Their data with our changes: a key that we changed since `base` is as we left it, any other as they did. */
export function merge (base: string, ours: string, theirs: string): string {
  const [was, mine, merged] = [dictionary(base), dictionary(ours), dictionary(theirs)]
  for (const key of new Set([...Object.keys(was), ...Object.keys(mine)])) {
    if (JSON.stringify(was[key]) === JSON.stringify(mine[key])) continue
    if (key in mine) merged[key] = mine[key]
    else Reflect.deleteProperty(merged, key)
  }
  return JSON.stringify(merged)
}

// Without a prototype, so that __proto__ is a key like any other.
function dictionary (text: string): Record<string, unknown> {
  return Object.assign(Object.create(null) as object, JSON.parse(text) as object) as Record<string, unknown>
}
