import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieJar } from '../cookie/jar.js'
import { tooLarge } from '../cookie/serialize.js'
import type { CookieFormat } from '../cookie/serialize.js'
import { listens, tell } from '../diagnostics.js'
import { errors } from '../errors.js'
import { EMPTY, serialize } from '../json.js'
import type { Idle } from '../lifetimes.js'
import type { SessionConfig } from '../options/options.js'
import type { SessionSealer } from '../seal/sealer.js'
import { randomId } from '../seal/random.js'
import { Deadline } from '../store/deadline.js'
import type { Endings } from '../store/endings.js'
import type { Keeper, Kept, Order, Outcome, Place, Seals, Subject } from '../store/keeper.js'
import { merge } from '../store/merge.js'
import type { Content } from '../store/merge.js'
import { attempt, then } from '../then.js'
import type { MaybePromise } from '../then.js'
import { decide } from './policy.js'
import type { Status } from './policy.js'
import { Session } from './session.js'
import type { Identity, Past, SessionState } from './state.js'

/** What is to become of a session, by what it was at one moment. What the app does meanwhile is for the next plan. */
interface Plan {
  readonly action: ReturnType<typeof decide>
  readonly status: Status
  readonly session: Identity
  readonly idle: Idle
  readonly past: readonly Past[]
  readonly text: string | undefined
  readonly isLate: boolean
  /** How its cookies are written: what fits when it is sealed fits when it is set */
  readonly format: CookieFormat
}

const NONE: string[] = []
const DROPPED = 'another request ended the session meanwhile: what regenerate() kept of it is lost'

/** State → plan → carry out → note down. */
export class Saver {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #keeper: Keeper | undefined
  readonly #jar: CookieJar
  readonly #endings: Endings

  constructor (config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined, jar: CookieJar, endings: Endings) {
    this.#endings = endings
    this.#config = config
    this.#sealer = sealer
    this.#keeper = keeper
    this.#jar = jar
  }

  /**
   * Saves at the end of a request. A failure goes to the app's error handler, whose answer comes through here again: then the
   * session is saved if the handler mended it, and otherwise the client keeps the cookie that it has.
   * @returns a promise only where there is something to wait for
   */
  end (state: SessionState, request: FastifyRequest, reply: FastifyReply): Promise<undefined> | undefined {
    // A store that failed is not asked again for the same thing.
    if (state.endFailure instanceof errors.FST_SESSION_STORE) return undefined
    // An answer that says that all went well must not go out where a commit failed, and this save fails too.
    const isKnown = (state.endFailure ?? state.failure) !== undefined && reply.statusCode >= 400
    const saving = attempt(() => this.save(state, request, reply), () => undefined, error => {
      state.endFailure = error as Error
      if (!isKnown) {
        // Whatever the app has answered so far, this is what became of the request.
        reply.code((error as { statusCode?: number }).statusCode ?? 500)
        throw error
      }
      request.log.debug({ sessionName: this.#config.sessionName, err: error }, 'session not saved')
      return undefined
    })
    return saving instanceof Promise ? saving : undefined
  }

  /**
   * Saves what is to be saved, after the saves of this request that are still under way.
   * @returns the `Set-Cookie` values, which are set on the reply too
   * @throws FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, before anything is written;
   * FST_SESSION_STORE
   */
  save (state: SessionState, request: FastifyRequest, reply: FastifyReply): MaybePromise<string[]> {
    const { saving } = state
    const { storeTimeout } = this.#config
    return this.#track(state, saving === undefined
      ? this.#saveNow(state, request, reply, storeTimeout)
      : this.#saveAfter(saving, state, request, reply, new Deadline(storeTimeout)))
  }

  async #saveAfter (earlier: Promise<void>, state: SessionState, request: FastifyRequest, reply: FastifyReply, deadline: Deadline): Promise<string[]> {
    try {
      await deadline.bound(async () => {
        deadline.next('an earlier save of the request')
        await earlier
      })
    } catch (error) {
      this.#leave(state, state.status, request, reply)
      throw error
    }
    return await this.#saveNow(state, request, reply, deadline.left)
  }

  /** Lets the next save of the request, and the end of its response, wait for this one. */
  #track (state: SessionState, saving: MaybePromise<string[]>): MaybePromise<string[]> {
    if (!(saving instanceof Promise)) return saving
    const saved = saving.then(() => {}, () => {}).then(() => {
      if (state.saving === saved) state.saving = undefined
    })
    state.saving = saved
    return saving
  }

  #saveNow (state: SessionState, request: FastifyRequest, reply: FastifyReply, seconds: number): MaybePromise<string[]> {
    const text = state.text()
    const action = decide(state.facts(text))
    if (action === 'nothing' && state.past.length === 0) {
      state.status = 'unmodified'
      return this.#vary(request, reply)
    }
    const plan = take(state, action, text, haveHeadersLeft(request, reply), this.#jar.formatFor(request, state.attributes))
    return attempt(
      () => this.#carryOut(state, plan, request, seconds),
      outcome => this.#note(state, plan, outcome, request, reply),
      error => this.#fail(state, plan, error, request, reply)
    )
  }

  #carryOut (state: SessionState, plan: Plan, request: FastifyRequest, seconds: number): MaybePromise<Outcome> {
    const keeper = this.#keeper
    const isOnlyCookie = plan.action === 'clear' && plan.session.kept === undefined && plan.past.length === 0
    if (keeper === undefined || isOnlyCookie) return this.#seal(state, plan)
    const order: Order = {
      action: plan.action,
      session: plan.session.snapshot(),
      past: plan.past.map(({ session, by, wasTried }) => ({ session: session.snapshot(), by, wasTried })),
      carried: carriedKeys(state, plan),
      mustSeal: !this.#config.rolling || state.isSet || plan.status !== 'unmodified' || state.isDue,
      isLate: plan.isLate,
      request,
      newId: randomId,
      // Serialized now: the app may change the session while what was destroyed ends.
      text: checkNow(state, plan),
      seals: this.sealsFor(plan.format)
    }
    // When the time is up the plan has failed, whatever its last call still does: what it was to do is for the next one.
    const deadline = new Deadline(seconds)
    return deadline.bound(async () => await keeper.carryOut(order, deadline)).catch((error: unknown) => {
      keeper.giveUp(order.session)
      throw error
    })
  }

  /** The same where the cookie is all there is. */
  #seal (state: SessionState, plan: Plan): MaybePromise<Outcome> {
    if (plan.action === 'nothing') return { became: 'done' }
    if (plan.isLate) return { became: 'late' }
    if (plan.action === 'clear') return { became: 'empty', raw: undefined }
    const text = check(state, plan)
    const { id, createdAt, idle, binding } = plan.session
    return then(this.#sealer.seal({ id, createdAt, idle, binding, text, stored: false }), token =>
      ({ became: 'saved', id, token, kept: { text, idle, stored: false, entryUntil: undefined, raw: undefined }, hasDropped: false }))
  }

  /** Seals for the cookies of one response, which must fit into them; outside a response there is no limit. */
  sealsFor (format: CookieFormat, isResponse = true): Seals {
    const seal = ({ id, createdAt, binding }: Subject, { text, idle }: Content, place: Place): MaybePromise<string> =>
      this.#sealer.seal({ id, createdAt, idle, binding, text: place.stored ? EMPTY : text, ...place })
    const fits = (token: string, { createdAt }: Subject, { idle }: Content): boolean => this.#jar.lines(format, token, { createdAt, idle }) !== undefined
    return {
      seal: (session, content, place) => then(seal(session, content, place), token => {
        if (isResponse && !fits(token, session, content)) throw tooLarge(format, token, content.text)
        return token
      }),
      sealIfItFits: (session, content, place) =>
        then(seal(session, content, place), token => fits(token, session, content) ? token : undefined)
    }
  }

  /** The one place that writes down what became of a plan. What the app has done meanwhile stays. */
  #note (state: SessionState, plan: Plan, outcome: Outcome, request: FastifyRequest, reply: FastifyReply): string[] {
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
        // Another request may have deleted what this one left.
        if (plan.text !== EMPTY) adopt(state, plan, EMPTY)
        // It keeps its id, and copies of its cookie: it can still end.
        session.kept = session.kept && { ...session.kept, text: EMPTY, raw: outcome.raw }
        return state.parts === 0 || haveHeadersLeft(request, reply) ? this.#vary(request, reply) : this.#clear(state, request, reply)
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
    return this.#vary(request, reply)
  }

  #noteSaved (
    state: SessionState, plan: Plan, { id, token, kept, hasDropped }: Outcome & { became: 'saved' }, request: FastifyRequest, reply: FastifyReply
  ): string[] {
    const { session } = plan
    if (token !== undefined && !plan.isLate && haveHeadersLeft(request, reply)) return this.#noteTooLate(state, plan, id, kept, request)
    // First, since it may fail: then nothing was saved.
    const set = token === undefined ? undefined : this.#jar.set(reply, plan.format, token, { createdAt: session.createdAt, idle: kept.idle }, state.parts, kept.text)
    const now = this.#sealer.times.now()
    session.kept = set === undefined
      ? { ...session.kept!, ...kept }
      : { ...kept, sealedAt: now, expiresAt: now + this.#sealer.times.idleTimeout(kept.idle), isStale: false }
    session.id = id
    if (session.idle === plan.idle) session.idle = kept.idle
    if (kept.text !== plan.text) adopt(state, plan, kept.text)
    if (hasDropped) request.log.warn({ sessionName: this.#config.sessionName }, DROPPED)
    if (set === undefined) return this.#vary(request, reply)
    state.parts = set.parts
    state.isSet = state.current === session
    state.holds = state.isSet ? 'own' : 'other'
    return set.lines
  }

  /** The headers have left while the session was being saved: nobody gets its cookie. */
  #noteTooLate (state: SessionState, { session, text }: Plan, id: string, kept: Kept, request: FastifyRequest): string[] {
    if (session.kept === undefined && kept.stored) this.#keeper!.discard(id)
    state.toldText = text
    this.warnLost(request)
    return NONE
  }

  #fail (state: SessionState, plan: Plan, error: unknown, request: FastifyRequest, reply: FastifyReply): never {
    // What was asked is still to be done. What was asked since comes after it.
    state.past = [...plan.past.map(one => ({ ...one, wasTried: true })), ...state.past]
    if (state.status === 'unmodified' && state.current === plan.session) state.status = plan.status
    state.toldText = plan.text
    state.failure = error as Error
    this.#leave(state, plan.status, request, reply)
    throw error
  }

  /** What an answer gets whose session could not be saved: a destroyed session loses its cookie all the same. */
  #leave (state: SessionState, status: Status, request: FastifyRequest, reply: FastifyReply): void {
    if (status === 'destroyed' && state.parts !== 0 && !haveHeadersLeft(request, reply)) this.#clear(state, request, reply)
    else this.#vary(request, reply)
  }

  #clear (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] {
    const lines = this.#jar.clear(reply, this.#jar.formatFor(request, state.attributes), state.parts)
    state.parts = 0
    state.isSet = false
    return lines
  }

  #vary (request: FastifyRequest, reply: FastifyReply): string[] {
    if (!haveHeadersLeft(request, reply)) this.#jar.vary(reply)
    return NONE
  }

  /** Looks once more at a session whose response has ended: what it holds now and was not saved is lost, which is said once. */
  sayLost (state: SessionState, request: FastifyRequest): void {
    if (state.failure !== undefined || !state.changed || state.text() === state.toldText) return
    state.toldText = state.text()
    this.warnLost(request)
  }

  /** For changes that come too late to be saved. */
  warnLost (request: FastifyRequest): void {
    const advice = this.#config.store === undefined
      ? 'It is kept in a cookie, which needs a header: change it before the response, the stream or the websocket\'s handshake is sent, or use a store'
      : 'Change it earlier, or save it with `await app.session.commit(request, reply)` before the response, the stream or the websocket ends'
    request.log.warn({ sessionName: this.#config.sessionName }, `the session changed after the response headers were sent: the change is lost. ${advice}`)
  }
}

/** Takes what was asked of a session out of its state and into a plan. */
function take (state: SessionState, action: Plan['action'], text: string | undefined, isLate: boolean, format: CookieFormat): Plan {
  const { status, current } = state
  // A session whose first save failed was never sealed.
  const past = state.past.filter(({ session }) => session.kept !== undefined)
  state.status = 'unmodified'
  state.past = []
  return { action, status, session: current, idle: current.idle, past, text, isLate, format }
}

/** The data that is to be kept, checked unless it is what came. @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY */
function check ({ savedText, session }: SessionState, { text }: Plan): string {
  return text === savedText ? text : serialize(session, text)
}

/** The same at once, but failing only when it is asked for. */
function checkNow (state: SessionState, plan: Plan): () => string {
  try {
    const text = check(state, plan)
    return () => text
  } catch (error) {
    return () => { throw error }
  }
}

/** The keys that still hold what `regenerate(keep)` kept of a session of the past. */
function carriedKeys ({ session }: SessionState, { past }: Plan): string[] {
  const data = session as Record<string, unknown>
  return past.flatMap(({ left }) => left).filter(([key, value]) => Object.hasOwn(data, key) && Object.is(data[key], value)).map(([key]) => key)
}

/** Shows the app what was saved where that is more, or less, than it had. Changes that it has made meanwhile stay. */
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
 * Whether it is too late for a header. A websocket's answer leaves past Node's ServerResponse, which does not know of it:
 * its reply is hijacked then.
 */
function haveHeadersLeft (request: FastifyRequest, reply: FastifyReply): boolean {
  return reply.raw.headersSent || (isWebsocket(request) && reply.sent)
}
