import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieJar } from '../cookie/jar.js'
import { listens, tell } from '../diagnostics.js'
import { EMPTY } from '../json.js'
import type { Lifetimes } from '../lifetimes.js'
import type { SessionConfig } from '../options/options.js'
import type { Endings } from '../store/endings.js'
import type { Keeper } from '../store/keeper.js'
import { merge } from '../store/merge.js'
import type { Kept, Outcome } from '../store/order.js'
import type { Plan } from './plan.js'
import type { Status } from './policy.js'
import { Session } from './session.js'
import type { SessionState } from './state.js'

const NONE: string[] = []
const DROPPED = 'another request ended the session meanwhile: the data that regenerate() kept is lost'

/** Records the outcome of a plan in the state, the response, the log and the diagnostics channels. */
export class Notes {
  readonly #config: SessionConfig
  readonly #times: Lifetimes
  readonly #keeper: Keeper | undefined
  readonly #jar: CookieJar
  readonly #endings: Endings

  constructor (config: SessionConfig, times: Lifetimes, keeper: Keeper | undefined, jar: CookieJar, endings: Endings) {
    this.#config = config
    this.#times = times
    this.#keeper = keeper
    this.#jar = jar
    this.#endings = endings
  }

  /** Records a save. Changes that the app has made meanwhile stay. @returns the `Set-Cookie` values */
  note (state: SessionState, plan: Plan, outcome: Outcome, request: FastifyRequest, reply: FastifyReply): string[] {
    state.failure = undefined
    const lines = this.#noteOutcome(state, plan, outcome, request, reply)
    for (const { session: { id }, by } of plan.past) {
      this.#endings.announce(id)
      if (listens('destroyed')) tell('destroyed', this.#config.sessionName, request, { id, by })
    }
    return lines
  }

  #noteOutcome (state: SessionState, plan: Plan, outcome: Outcome, request: FastifyRequest, reply: FastifyReply): string[] {
    const { session } = plan
    switch (outcome.became) {
      case 'saved': {
        const lines = this.#noteSaved(state, plan, outcome, request, reply)
        if (listens('saved')) tell('saved', this.#config.sessionName, request, { id: session.id, bytes: Buffer.byteLength(outcome.kept.text) })
        return lines
      }
      case 'empty':
        // Another request may have deleted the keys that this one left.
        if (plan.text !== EMPTY) adopt(state, plan, EMPTY)
        // The session keeps its id, and copies of its cookie may exist, so it can still be ended.
        session.kept = session.kept && { ...session.kept, text: EMPTY, raw: outcome.raw }
        return state.parts === 0 || haveHeadersLeft(request, reply) ? this.vary(request, reply) : this.#clear(state, request, reply)
      case 'gone':
        session.standing = 'gone'
        state.holds = 'newer'
        this.#endings.announce(session.id)
        request.log.warn({ sessionName: this.#config.sessionName }, 'another request ended the session meanwhile: the change is lost')
        break
      case 'dropped':
        adopt(state, plan, EMPTY)
        state.holds = 'newer'
        request.log.warn({ sessionName: this.#config.sessionName }, DROPPED)
        break
      case 'late':
        state.toldText = plan.text
        this.warnLost(request)
        break
      case 'over':
        state.holds = 'newer'
        break
      case 'done':
        break
    }
    return this.vary(request, reply)
  }

  #noteSaved (
    state: SessionState, plan: Plan, { id, token, kept, hasDropped }: Outcome & { became: 'saved' }, request: FastifyRequest, reply: FastifyReply
  ): string[] {
    const { session } = plan
    if (token !== undefined && !plan.isLate && haveHeadersLeft(request, reply)) return this.#noteTooLate(state, plan, id, kept, request)
    // Before the state is updated, because this may throw.
    const set = token === undefined ? undefined : this.#jar.set(reply, plan.format, token, { createdAt: session.createdAt, idle: kept.idle }, state.parts, kept.text)
    const now = this.#times.now()
    session.kept = set === undefined
      ? { ...session.kept!, ...kept }
      : { ...kept, sealedAt: now, expiresAt: now + this.#times.idleTimeout(kept.idle), isStale: false }
    session.id = id
    if (session.idle === plan.idle) session.idle = kept.idle
    if (kept.text !== plan.text) adopt(state, plan, kept.text)
    if (hasDropped) request.log.warn({ sessionName: this.#config.sessionName }, DROPPED)
    if (set === undefined) return this.vary(request, reply)
    state.parts = set.parts
    state.isSet = state.current === session
    state.holds = state.isSet ? 'own' : 'other'
    return set.lines
  }

  /** The headers were sent while the session was being saved, so its cookie can no longer be set. */
  #noteTooLate (state: SessionState, { session, text }: Plan, id: string, kept: Kept, request: FastifyRequest): string[] {
    if (session.kept === undefined && kept.stored) this.#keeper!.discard(id)
    state.toldText = text
    this.warnLost(request)
    return NONE
  }

  fail (state: SessionState, plan: Plan, error: unknown, request: FastifyRequest, reply: FastifyReply): never {
    // The next save does what this one could not, before anything that the app has asked for since.
    state.past = [...plan.past.map(one => ({ ...one, wasTried: true })), ...state.past]
    if (state.status === 'unmodified' && state.current === plan.session) state.status = plan.status
    state.toldText = plan.text
    state.failure = error as Error
    this.leave(state, plan.status, request, reply)
    throw error
  }

  /** Sets the headers of a response whose session could not be saved. A destroyed session's cookie is cleared all the same. */
  leave (state: SessionState, status: Status, request: FastifyRequest, reply: FastifyReply): void {
    if (status === 'destroyed' && state.parts !== 0 && !haveHeadersLeft(request, reply)) this.#clear(state, request, reply)
    else this.vary(request, reply)
  }

  #clear (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] {
    const lines = this.#jar.clear(reply, this.#jar.formatFor(request, state.attributes), state.parts)
    state.parts = 0
    state.isSet = false
    return lines
  }

  vary (request: FastifyRequest, reply: FastifyReply): string[] {
    if (!haveHeadersLeft(request, reply)) this.#jar.vary(reply)
    return NONE
  }

  /** Warns once about changes that were not saved before the response ended. */
  sayLost (state: SessionState, request: FastifyRequest): void {
    if (!state.isRead || state.failure !== undefined || !state.changed || state.text() === state.toldText) return
    state.toldText = state.text()
    this.warnLost(request)
  }

  /** Warns about changes that come too late to be saved. */
  warnLost (request: FastifyRequest): void {
    const advice = this.#config.store === undefined
      ? 'A session in a cookie needs a header: change it before the response, the stream or the websocket\'s handshake is sent, or use a store'
      : 'Change it earlier, or save it with `await app.session.commit(request, reply)` before the response, the stream or the websocket ends'
    request.log.warn({ sessionName: this.#config.sessionName }, `the session changed after the response headers were sent: the change is lost. ${advice}`)
  }
}

/** Updates `request.session` to what was saved, which may include changes of other requests. The app's changes meanwhile stay. */
function adopt (state: SessionState, { session, text }: Plan, saved: string): void {
  const now = state.text()
  if (state.current !== session || now === undefined) return
  Session.refill(state, now === text ? saved : merge(text!, now, saved))
}

/** @fastify/websocket marks its requests. */
export function isWebsocket (request: FastifyRequest): boolean {
  return (request as { ws?: unknown }).ws === true
}

/**
 * Whether it is too late to set a header. A websocket's handshake bypasses Node's ServerResponse, so `headersSent` stays false;
 * its reply is hijacked, and `reply.sent` is true.
 */
export function haveHeadersLeft (request: FastifyRequest, reply: FastifyReply): boolean {
  return reply.raw.headersSent || (isWebsocket(request) && reply.sent)
}
