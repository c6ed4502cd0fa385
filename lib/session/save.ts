import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieJar } from '../cookie/jar.js'
import { tooLarge } from '../cookie/serialize.js'
import type { CookieFormat } from '../cookie/serialize.js'
import { errors } from '../errors.js'
import { EMPTY } from '../json.js'
import type { SessionConfig } from '../options/options.js'
import type { SessionSealer } from '../seal/sealer.js'
import { randomId } from '../seal/random.js'
import { Deadline } from '../store/deadline.js'
import type { Keeper } from '../store/keeper.js'
import type { Content } from '../store/merge.js'
import type { Order, Outcome, Place, Seals, Subject } from '../store/order.js'
import { attempt, then } from '../then.js'
import type { MaybePromise } from '../then.js'
import { haveHeadersLeft } from './notes.js'
import type { Notes } from './notes.js'
import { carriedKeys, check, checkNow, take } from './plan.js'
import type { Plan } from './plan.js'
import { decide } from './policy.js'
import type { SessionState } from './state.js'

/** State → plan → carry out → record the outcome. */
export class Saver {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #keeper: Keeper | undefined
  readonly #jar: CookieJar
  readonly #notes: Notes

  constructor (config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined, jar: CookieJar, notes: Notes) {
    this.#notes = notes
    this.#config = config
    this.#sealer = sealer
    this.#keeper = keeper
    this.#jar = jar
  }

  /**
   * Saves at the end of a request. A failure goes to the app's error handler, and the handler's response calls this method again.
   * The session is then saved if the handler has corrected it. Otherwise the client keeps its cookie.
   * @returns a promise only if there is something to wait for
   */
  end (state: SessionState, request: FastifyRequest, reply: FastifyReply): Promise<undefined> | undefined {
    // Do not ask a store again that has just failed.
    if (state.endFailure instanceof errors.FST_SESSION_STORE) return undefined
    // A response that reports success must not go out if a commit has failed and this save fails too.
    const isKnown = (state.endFailure ?? state.failure) !== undefined && reply.statusCode >= 400
    const saving = attempt(() => this.save(state, request, reply), () => undefined, error => {
      state.endFailure = error as Error
      if (!isKnown) {
        // Replace the status code that the app has set: the request has failed.
        reply.code((error as { statusCode?: number }).statusCode ?? 500)
        throw error
      }
      request.log.debug({ sessionName: this.#config.sessionName, err: error }, 'session not saved')
      return undefined
    })
    return saving instanceof Promise ? saving : undefined
  }

  /**
   * Saves the session, after the saves of this request that are still under way.
   * @returns the `Set-Cookie` values, which are also set on the reply
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
      this.#notes.leave(state, state.status, request, reply)
      throw error
    }
    return await this.#saveNow(state, request, reply, deadline.left)
  }

  /** Makes the next save of the request, and the end of its response, wait for this one. */
  #track (state: SessionState, saving: MaybePromise<string[]>): MaybePromise<string[]> {
    if (!(saving instanceof Promise)) return saving
    const end = (): void => {
      if (state.saving === saved) state.saving = undefined
    }
    const saved = saving.then(end, end)
    state.saving = saved
    return saving
  }

  #saveNow (state: SessionState, request: FastifyRequest, reply: FastifyReply, seconds: number): MaybePromise<string[]> {
    const text = state.text()
    const action = decide(state.facts(text))
    if (action === 'nothing' && state.past.length === 0) {
      state.status = 'unmodified'
      return this.#notes.vary(request, reply)
    }
    const plan = take(state, action, text, haveHeadersLeft(request, reply), this.#jar.formatFor(request, state.attributes))
    return attempt(
      () => this.#carryOut(state, plan, request, seconds),
      outcome => this.#notes.note(state, plan, outcome, request, reply),
      error => this.#notes.fail(state, plan, error, request, reply)
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
      // Serialized now: the app may change the session while earlier sessions are being ended.
      text: checkNow(state, plan),
      seals: this.sealsFor(plan.format)
    }
    // A timeout fails the whole plan, even if its last call still succeeds. The next save does the work again.
    const deadline = new Deadline(seconds)
    return deadline.bound(() => keeper.carryOut(order, deadline)).catch((error: unknown) => {
      keeper.giveUp(order.session)
      throw error
    })
  }

  /** Carries out a plan that concerns only the cookie. */
  #seal (state: SessionState, plan: Plan): MaybePromise<Outcome> {
    if (plan.action === 'nothing') return { became: 'done' }
    if (plan.isLate) return { became: 'late' }
    if (plan.action === 'clear') return { became: 'empty', raw: undefined }
    const text = check(state, plan)
    const { id, createdAt, idle, binding } = plan.session
    return then(this.#sealer.seal({ id, createdAt, idle, binding, text, stored: false }), token =>
      ({ became: 'saved', id, token, kept: { text, idle, stored: false, entryUntil: undefined, raw: undefined }, hasDropped: false }))
  }

  /** Seals sessions for one response, within the size limit of its cookies. Outside a response there is no limit. */
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
}
