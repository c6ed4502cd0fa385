import type { FastifyRequest } from 'fastify'
import type { RevocationCheck, RevocationList } from '../types/index.js'
import { findReservedKey, isDictionary } from './data.js'
import type { Envelope } from './envelope.js'
import { Lru } from './lru.js'
import type { SessionConfig } from './options.js'
import { describe } from './sealer.js'
import type { Loaded, SessionSealer } from './sealer.js'
import type { SessionState } from './state.js'
import { inTime, StoreClient, unavailable } from './store.js'

/** How many sessions' last writes are remembered, to notice requests that overlap with them */
const WRITES = 10_000

/** How often a change is tried again that others keep overtaking */
const ATTEMPTS = 10

/** A write of a session's entry by this process. */
interface Write {
  /** Which one it was, by the count of writes that are done; until it is done itself, Infinity */
  nth: number
  done: Promise<void>
}

/** What a session's cookies are to hold, `undefined` where they may stay as they are, and its text. */
export interface Kept { token: string | undefined, text: string, stored: boolean }

/** Which entry a request has, and which writes it knows of. */
export interface Holder {
  readonly id: string
  /** How many writes were done when it was read */
  asOf: number
}

/** Where sessions live beside their cookies: entries in the store, and the list of those that were revoked. */
export class SessionStorage {
  readonly #sealer: SessionSealer
  readonly #client: StoreClient | undefined
  readonly #check: RevocationCheck | undefined
  readonly #list: RevocationList | undefined
  readonly #timeout: number
  readonly #where: SessionConfig['storage']
  readonly #rolling: boolean
  readonly #writes = new Lru<Write>(WRITES)
  #done = 0

  private constructor ({ store, storage, rolling, isRevoked, storeTimeout }: SessionConfig, sealer: SessionSealer) {
    this.#sealer = sealer
    this.#where = storage
    this.#rolling = rolling
    this.#timeout = storeTimeout
    this.#client = store && new StoreClient(store, storeTimeout)
    this.#list = typeof isRevoked === 'object' ? isRevoked : undefined
    this.#check = typeof isRevoked === 'object' ? (info, request) => isRevoked.check(info, request) : isRevoked
  }

  /** `undefined` where the cookie is all there is, and nothing has to be waited for. */
  static for (config: SessionConfig, sealer: SessionSealer): SessionStorage | undefined {
    return config.store === undefined && config.isRevoked === undefined ? undefined : new SessionStorage(config, sealer)
  }

  /** How many writes are done: what a request that reads now will know of. */
  get now (): number {
    return this.#done
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
    const kept = await this.write(state, text)
    if (kept === undefined) return undefined
    await this.endPast(state)
    // The cookie has nothing but the id: it changes where its time or its secret does.
    const stays = this.#rolling && state.stored && !state.asked && !state.due
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
    const client = this.#client!
    const { id, savedText: base } = state
    const ttl = this.#ttl(state)
    if (!state.stored) {
      await this.#inTurn(state, async () => { await client.set(id, text, ttl) })
      return text
    }
    if (client.canTouch && text === base) {
      await client.touch(id, ttl)
      return text
    }
    return await this.#inTurn(state, async isAlone => {
      let [theirs, merged] = [base, text]
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (!isAlone || attempt > 0) {
          const entry = await client.get(id)
          if (entry === undefined || parse(entry) === undefined) return undefined
          theirs = entry
          merged = merge(base, text, theirs)
        }
        if (!client.canReplace) {
          await client.set(id, merged, ttl)
          return merged
        }
        if (await client.replace(id, theirs, merged, ttl)) return merged
      }
      throw unavailable('replace', 'was overtaken by other requests again and again', undefined)
    })
  }

  /** Ends a session where it lives beside its cookies, and what it was before. */
  async end (state: SessionState): Promise<void> {
    await this.endPast(state)
    if (state.stored) await this.#remove(state)
    state.stored = false
  }

  /** Ends what a session was before, in the store and on the list. */
  async endPast ({ past }: SessionState): Promise<void> {
    for (const envelope of past) {
      if (envelope.stored) await this.#remove(envelope)
      await this.#revoke(envelope)
    }
  }

  async #remove (holder: Holder): Promise<void> {
    await this.#inTurn(holder, async () => { await this.#client!.delete(holder.id) })
  }

  async #revoke (envelope: Envelope): Promise<void> {
    const list = this.#list
    if (list === undefined) return
    const info = describe(this.#sealer, envelope, this.#sealer.lastMoment(envelope), null, false)
    await inTime('revoke', this.#timeout, async () => { await list.revoke(info) })
  }

  /** Milliseconds. Stores take 0 for «never». */
  #ttl (session: Pick<Envelope, 'idle' | 'createdAt'>): number {
    return Math.max(1, Math.ceil(this.#sealer.lifetime(session)))
  }

  /** One write of an entry after the other, as far as this process goes. */
  async #inTurn<T> (holder: Holder, write: (alone: boolean) => Promise<T>): Promise<T> {
    const before = this.#writes.get(holder.id)
    const alone = before === undefined || before.nth <= holder.asOf
    let finish!: () => void
    const turn: Write = { nth: Infinity, done: new Promise(resolve => { finish = resolve }) }
    this.#writes.set(holder.id, turn)
    try {
      if (!alone) await this.#client!.wait(before.done)
      return await write(alone)
    } finally {
      turn.nth = holder.asOf = ++this.#done
      finish()
    }
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
