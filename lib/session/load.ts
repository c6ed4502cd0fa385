import type { FastifyRequest } from 'fastify'
import type { SessionReason } from '../../types/index.js'
import { findCookies } from '../cookie/parse.js'
import type { Found } from '../cookie/parse.js'
import { listens, tell } from '../diagnostics.js'
import { findReservedKey } from '../json.js'
import type { SessionConfig } from '../options/options.js'
import type { Loaded, SessionSealer, Verified } from '../seal/sealer.js'
import { tokenForm } from '../seal/token.js'
import { Deadline } from '../store/deadline.js'
import type { Keeper } from '../store/keeper.js'
import { then } from '../then.js'
import type { MaybePromise } from '../then.js'
import { onRejection } from './policy.js'
import { Session } from './session.js'
import { Identity, SessionState } from './state.js'
import type { SealedSession } from './state.js'
import { UnknownKeys } from './unknown-keys.js'
import { openUnread } from './unread.js'

/** Decides whether a request may use a session. A session that is bound to a device needs a proof. */
export type Admit = (session: Identity, data: object, request: FastifyRequest, deadline: Deadline | undefined) => MaybePromise<boolean>

/**
 * The search for a request's session among its cookies. This is a class because V8 may allocate object literals in old space, once some
 * of them have survived. What they refer to, here the whole request, then waits for the slower garbage collector.
 */
class Search {
  readonly request: FastifyRequest
  readonly found: Found
  /** Why the cookies that were tried were rejected */
  readonly reasons: SessionReason[] = []
  readonly deadline: Deadline | undefined
  /** Selects one session of several, whether proven or not; `undefined` for the one that may be used */
  readonly isSought: ((session: Identity) => boolean) | undefined
  /** The first session that opened without the proof that it needs. It counts only if no other cookie holds a usable session */
  unproven: Identity | undefined

  constructor (request: FastifyRequest, found: Found, deadline: Deadline | undefined, isSought: Search['isSought']) {
    this.request = request
    this.found = found
    this.deadline = deadline
    this.isSought = isSought
  }
}

const NONE: Found = { candidates: [], parts: 0, more: false }

/** Cookie header → candidates → unseal → look up → session. */
export class Loader {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #keeper: Keeper | undefined
  readonly #unknownKeys = new UnknownKeys()
  readonly #admit: Admit | undefined

  /** @param admit checks the proof of bound sessions */
  constructor (config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined, admit?: Admit) {
    this.#config = config
    this.#sealer = sealer
    this.#keeper = keeper
    this.#admit = admit
  }

  /**
   * Loads the session of a request. The first cookie that opens wins. If a store fails, using the session throws its error.
   * @param isSought selects one session of several, whether proven or not, if sessions are bound to devices
   */
  load (request: FastifyRequest, isSought?: (session: Identity) => boolean): MaybePromise<SessionState> {
    const header = request.raw.headers.cookie
    const found = header === undefined ? NONE : findCookies(header, this.#config.cookieName, tokenForm)
    const deadline = this.#keeper === undefined || found.candidates.length === 0 ? undefined : new Deadline(this.#config.storeTimeout)
    const search = new Search(request, found, deadline, isSought)
    if (found.candidates.length === 0) return this.#start(search)
    if (deadline === undefined) {
      const state = this.#try(search, 0)
      return state instanceof Promise ? state.catch((error: unknown) => openUnread(this.#arrive(found, undefined, false, null), [], error)) : state
    }
    return deadline
      .bound(async () => await this.#try(search, 0))
      .catch(async (error: unknown) => {
        const [session, ...others] = await this.#unsealAll(found)
        return openUnread(this.#arrive(found, session, false, null), others, error)
      })
  }

  /** Unseals all cookies, so that `destroy()` can end their sessions although the store cannot be read. */
  async #unsealAll ({ candidates }: Found): Promise<Identity[]> {
    const sessions: Identity[] = []
    for (const token of candidates) {
      try {
        const loaded = await this.#sealer.unseal(token)
        if (loaded.ok) sessions.push(this.#identify(loaded.verified))
      } catch {
        // The app's schema has thrown. Using the session throws that error.
      }
    }
    return sessions
  }

  /** Unseals a token, and looks up its session in the store or the list. @throws FST_SESSION_STORE */
  open (token: string, request?: FastifyRequest, deadline?: Deadline): MaybePromise<Loaded> {
    return then(this.#sealer.unseal(token), loaded => {
      if (!loaded.ok || this.#keeper === undefined) return loaded
      return this.#lookUp(loaded, this.#keeper, request, deadline!)
    })
  }

  async #lookUp (
    { verified, data }: Loaded & { ok: true }, keeper: Keeper, request: FastifyRequest | undefined, deadline: Deadline
  ): Promise<Loaded> {
    const session = this.#identify(verified) as Identity & { kept: SealedSession }
    const found = await keeper.find(session, verified.expiresAt, request, deadline)
    if (!found.ok) return found
    const { entry, raw, seenAt } = found
    if (entry === undefined) return { ok: true, verified, data }
    const fitting = findReservedKey(entry.data) === undefined ? this.#sealer.fit(entry.data) : undefined
    if (fitting === undefined) return { ok: false, reason: 'invalid' }
    // A cookie that also holds the data is stale if another request has changed the entry.
    const stale = verified.stale || (!verified.envelope.stored && verified.envelope.text !== entry.text)
    const envelope = { ...verified.envelope, text: entry.text, idle: entry.idle }
    return { ok: true, verified: { ...verified, envelope, stale }, data: fitting, entry: { raw: raw!, sealIdle: verified.envelope.idle, seenAt } }
  }

  #try (search: Search, nth: number): MaybePromise<SessionState> {
    const { request, found, deadline } = search
    const token = found.candidates[nth]
    if (token === undefined) return this.#start(search)
    return then(this.open(token, request, deadline), loaded => {
      if (!loaded.ok) return this.#reject(search, nth, loaded.reason)
      this.#unknownKeys.opened()
      const session = this.#identify(loaded.verified, loaded.entry)
      if (this.#admit === undefined) return this.#take(search, session, loaded)
      return then(this.#admit(session, loaded.data, request, deadline), isAdmitted => {
        if (search.isSought?.(session) ?? isAdmitted) return this.#take(search, session, loaded)
        search.unproven ??= session
        return this.#reject(search, nth, 'unproven')
      })
    })
  }

  #take ({ request, found }: Search, session: Identity, { verified, data }: Loaded & { ok: true }): SessionState {
    const { id, text } = verified.envelope
    if (listens('loaded')) tell('loaded', this.#config.sessionName, request, { id, bytes: Buffer.byteLength(text) })
    return Session.open(this.#arrive(found, session, false, null), data)
  }

  #reject (search: Search, nth: number, reason: SessionReason): MaybePromise<SessionState> {
    const { sessionName } = this.#config
    search.reasons.push(reason)
    if (listens('rejected')) tell('rejected', sessionName, search.request, { reason })
    search.request.log.debug({ sessionName, reason }, 'session cookie rejected')
    // Once per request, even if it has several cookies.
    if (nth === 0 && reason === 'unknown-key') this.#unknownKeys.rejected(sessionName, search.request)
    return this.#try(search, nth + 1)
  }

  /** A session that starts empty. */
  #start ({ found, reasons, unproven }: Search): SessionState {
    if (unproven !== undefined) return Session.open(this.#arrive(found, undefined, false, 'unproven', unproven), {})
    // An untried cookie may be valid, so clear none.
    const isRejected = reasons.length > 0 && !found.more && reasons.every(reason => onRejection[reason] === 'clear')
    return Session.open(this.#arrive(found, undefined, isRejected, reasons[0] ?? 'absent'), {})
  }

  #identify ({ envelope, expiresAt, stale }: Verified, entry?: (Loaded & { ok: true })['entry']): Identity {
    const { id, createdAt, text, idle, stored, entryUntil, binding } = envelope
    const sealIdle = entry === undefined ? idle : entry.sealIdle
    // This is Infinity for a seal that never expires: its age is unknown.
    const sealedAt = expiresAt - this.#sealer.times.idleTimeout(sealIdle)
    const session = new Identity('cookie', createdAt, id, { text, idle, stored, entryUntil, raw: entry?.raw, seenAt: entry?.seenAt, expiresAt, sealedAt, isStale: stale })
    session.binding = binding
    return session
  }

  #arrive (
    { parts }: Found, session: Identity | undefined, isRejected: boolean, reason: SessionReason | null, unproven?: Identity
  ): SessionState {
    return new SessionState(this.#config, this.#sealer.times, { parts, isRejected, reason, session, unproven })
  }
}
