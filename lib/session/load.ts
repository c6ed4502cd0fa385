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
import { UnknownKeys } from './unknown-keys.js'
import { openUnread } from './unread.js'

const NONE: Found = { candidates: [], parts: 0, more: false }

/** Cookie header → candidates → unseal → look up → session. */
export class Loader {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #keeper: Keeper | undefined
  readonly #unknownKeys = new UnknownKeys()

  constructor (config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined) {
    this.#config = config
    this.#sealer = sealer
    this.#keeper = keeper
  }

  /** The session of a request. The first cookie that opens wins; where a store fails, the session stands for its error. */
  load (request: FastifyRequest): MaybePromise<SessionState> {
    const header = request.raw.headers.cookie
    const found = header === undefined ? NONE : findCookies(header, this.#config.cookieName, tokenForm)
    if (found.candidates.length === 0) return this.#start(found, [])
    if (this.#keeper === undefined) {
      const state = this.#try(request, found, 0, [], undefined)
      return state instanceof Promise ? state.catch((error: unknown) => openUnread(this.#arrive(found, undefined, false, null), [], error)) : state
    }
    const deadline = new Deadline(this.#config.storeTimeout)
    return deadline
      .bound(async () => await this.#try(request, found, 0, [], deadline))
      .catch(async (error: unknown) => {
        const [session, ...others] = await this.#unsealAll(found)
        return openUnread(this.#arrive(found, session, false, null), others, error)
      })
  }

  /** The sessions of all cookies that open: what can be ended where nothing can be looked up. */
  async #unsealAll ({ candidates }: Found): Promise<Identity[]> {
    const sessions: Identity[] = []
    for (const token of candidates) {
      try {
        const loaded = await this.#sealer.unseal(token)
        if (loaded.ok) sessions.push(this.#identify(loaded.verified))
      } catch {
        // The app's schema has thrown, which is what the session stands for.
      }
    }
    return sessions
  }

  /** What a token holds, looked up where it is kept. @throws FST_SESSION_STORE */
  open (token: string, request?: FastifyRequest, deadline?: Deadline): MaybePromise<Loaded> {
    return then(this.#sealer.unseal(token), loaded => {
      if (!loaded.ok || this.#keeper === undefined) return loaded
      return this.#lookUp(loaded, this.#keeper, request, deadline!)
    })
  }

  async #lookUp (
    { verified, data }: Loaded & { ok: true }, keeper: Keeper, request: FastifyRequest | undefined, deadline: Deadline
  ): Promise<Loaded> {
    const { id, createdAt, idle, kept } = this.#identify(verified)
    const found = await keeper.find({ id, createdAt, idle, kept: kept! }, verified.expiresAt, request, deadline)
    if (!found.ok) return found
    const { entry, raw, seenAt } = found
    if (entry === undefined) return { ok: true, verified, data }
    const stored = JSON.parse(entry.text) as object
    const fitting = findReservedKey(stored) === undefined ? this.#sealer.fit(stored) : undefined
    if (fitting === undefined) return { ok: false, reason: 'invalid' }
    // A cookie that has the data too lags behind where another request has changed the entry.
    const stale = verified.stale || (!verified.envelope.stored && verified.envelope.text !== entry.text)
    const envelope = { ...verified.envelope, text: entry.text, idle: entry.idle }
    return { ok: true, verified: { ...verified, envelope, stale }, data: fitting, entry: { raw: raw!, sealIdle: verified.envelope.idle, seenAt } }
  }

  #try (
    request: FastifyRequest, found: Found, nth: number, reasons: SessionReason[], deadline: Deadline | undefined
  ): MaybePromise<SessionState> {
    const token = found.candidates[nth]
    if (token === undefined) return this.#start(found, reasons)
    return then(this.open(token, request, deadline), loaded => {
      const { sessionName } = this.#config
      if (loaded.ok) {
        this.#unknownKeys.opened()
        const { id, text } = loaded.verified.envelope
        if (listens('loaded')) tell('loaded', sessionName, request, { id, bytes: Buffer.byteLength(text) })
        return Session.open(this.#arrive(found, this.#identify(loaded.verified, loaded.entry), false, null), loaded.data)
      }
      const { reason } = loaded
      reasons.push(reason)
      if (listens('rejected')) tell('rejected', sessionName, request, { reason })
      request.log.debug({ sessionName, reason }, 'session cookie rejected')
      // Once per request, however many cookies it brings.
      if (nth === 0 && reason === 'unknown-key') this.#unknownKeys.rejected(sessionName, request)
      return this.#try(request, found, nth + 1, reasons, deadline)
    })
  }

  /** A session that starts empty. */
  #start (found: Found, reasons: readonly SessionReason[]): SessionState {
    // An untried cookie may be valid, so clear none.
    const isRejected = reasons.length > 0 && !found.more && reasons.every(reason => onRejection[reason] === 'clear')
    return Session.open(this.#arrive(found, undefined, isRejected, reasons[0] ?? 'absent'), {})
  }

  #identify ({ envelope, expiresAt, stale }: Verified, entry?: (Loaded & { ok: true })['entry']): Identity {
    const { id, createdAt, text, idle, stored, entryUntil } = envelope
    const sealIdle = entry === undefined ? idle : entry.sealIdle
    // A seal that never expires says nothing of when it was made.
    const sealedAt = expiresAt - this.#sealer.times.idleTimeout(sealIdle)
    return new Identity('cookie', createdAt, id, { text, idle, stored, entryUntil, raw: entry?.raw, seenAt: entry?.seenAt, expiresAt, sealedAt, isStale: stale })
  }

  #arrive ({ parts }: Found, session: Identity | undefined, isRejected: boolean, reason: SessionReason | null): SessionState {
    return new SessionState(this.#config, this.#sealer.times, { parts, isRejected, reason, session })
  }
}
