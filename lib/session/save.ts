import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieWriter } from '../cookie/jar.js'
import { EMPTY, serialize } from '../json.js'
import { listens, tell } from '../diagnostics.js'
import { errors } from '../errors.js'
import type { SessionConfig } from '../options/options.js'
import type { SessionSealer } from '../seal/sealer.js'
import { Session } from './session.js'
import type { SessionState } from './state.js'
import type { SessionStorage } from '../store/keeper.js'

/** Session → compare → seal → `Set-Cookie`. */
export class Committer {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #storage: SessionStorage | undefined
  readonly #cookies: CookieWriter

  constructor (config: SessionConfig, sealer: SessionSealer, storage: SessionStorage | undefined, cookies: CookieWriter) {
    this.#config = config
    this.#sealer = sealer
    this.#storage = storage
    this.#cookies = cookies
  }

  /**
   * Saves at the end of a request. A failure goes to the app's error handler, whose answer comes through here again: then the
   * session is saved if the handler mended it, and otherwise the client keeps the cookie that it has. A store that
   * failed is not asked again.
   */
  save (state: SessionState, request: FastifyRequest, reply: FastifyReply): unknown {
    if (state.abandoned) return undefined
    const failedBefore = state.failed
    const failed = (error: unknown): void => {
      state.abandoned = error instanceof errors.FST_SESSION_STORE
      if (!failedBefore) throw error
      request.log.debug({ session: this.#config.sessionName, err: error }, 'session not saved')
    }
    try {
      const saving = this.commit(state, request, reply)
      return saving instanceof Promise ? saving.catch(failed) : saving
    } catch (error) {
      return failed(error)
    }
  }

  /**
   * Saves what is to be saved and gives the `Set-Cookie` values, which are set on the reply too.
   * @throws FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, before anything is written;
   * FST_SESSION_STORE
   */
  commit (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] | Promise<string[]> {
    const failed = (error: unknown): never => {
      this.#leave(state, request, reply)
      throw error
    }
    const done = (cookies: string[]): string[] => {
      state.failed = false
      this.#tellEnds(state, request)
      return cookies
    }
    try {
      const saving = this.#save(state, request, reply)
      return saving instanceof Promise ? saving.then(done, failed) : done(saving)
    } catch (error) {
      return failed(error)
    }
  }

  /** What an answer gets whose session could not be saved: an ended session stays ended all the same. */
  #leave (state: SessionState, request: FastifyRequest, reply: FastifyReply): void {
    if (state.status === 'destroyed' && state.held !== 0) {
      this.#cookies.clear(state, request, reply)
      state.held = 0
    } else {
      this.#cookies.vary(reply)
    }
  }

  #save (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] | Promise<string[]> {
    // Until it is done it has failed: whatever throws below leaves this mark.
    state.failed = true
    const text = state.text()
    const action = decide(state, text)
    const storage = this.#storage
    if (storage !== undefined && (action !== 'nothing' || state.past.length > 0)) {
      return this.#saveBeside(storage, state, request, reply, text)
    }
    if (action === 'nothing') return this.#settle(state, request, reply, text)
    if (haveHeadersLeft(request, reply)) {
      this.warnLost(request)
      state.past.length = 0
      return this.#settle(state, request, reply, text)
    }
    if (action === 'clear') return this.#clear(state, request, reply)
    const checked = check(state, text)
    const token = this.#sealer.seal(state.envelope(checked, false))
    return typeof token === 'string'
      ? this.#finish(state, request, reply, token, checked, false)
      : token.then(token => this.#finish(state, request, reply, token, checked, false))
  }

  /** The same where there is more than the cookie. */
  async #saveBeside (
    storage: SessionStorage, state: SessionState, request: FastifyRequest, reply: FastifyReply, text: string | undefined
  ): Promise<string[]> {
    // What was destroyed ends first, whatever becomes of that which was set after it.
    if (state.status === 'destroyed') await storage.endPast(state)
    if (haveHeadersLeft(request, reply)) return await this.#saveLate(storage, state, request, reply, text)
    if (text === EMPTY) {
      await storage.end(state)
      return this.#clear(state, request, reply)
    }
    const checked = check(state, text)
    const kept = await storage.keep(state, checked, token => this.#cookies.fits(token, state, state, request))
    if (kept === undefined) return this.#endedMeanwhile(state, request, reply, checked)
    if (kept.text !== checked) Session.refill(state, kept.text)
    if (kept.token !== undefined) return this.#finish(state, request, reply, kept.token, kept.text, kept.stored)
    this.#tellSaved(state, request, kept.text)
    return this.#settle(state, request, reply, kept.text)
  }

  /** The headers have left: what needs no cookie can still be saved, in the store. */
  async #saveLate (
    storage: SessionStorage, state: SessionState, request: FastifyRequest, reply: FastifyReply, text: string | undefined
  ): Promise<string[]> {
    const isStored = state.stored
    const ends = state.past.length > 0 || isStored
    await (text === EMPTY ? storage.end(state) : storage.endPast(state))
    if (text === EMPTY ? !ends : !isStored) {
      this.warnLost(request)
      return this.#settle(state, request, reply, text)
    }
    if (text === EMPTY) return this.#settle(state, request, reply, text)
    const checked = check(state, text)
    const kept = await storage.write(state, checked)
    if (kept === undefined) return this.#endedMeanwhile(state, request, reply, checked)
    if (kept !== checked) Session.refill(state, kept)
    this.#tellSaved(state, request, kept)
    return this.#settle(state, request, reply, kept)
  }

  /** Another request ended the session while this one changed it: an ended session does not come back. */
  #endedMeanwhile (state: SessionState, request: FastifyRequest, reply: FastifyReply, text: string): string[] {
    request.log.warn({ session: this.#config.sessionName }, 'another request ended the session meanwhile: the change is lost')
    state.status = 'lost'
    return this.#settle(state, request, reply, text)
  }

  #settle (state: SessionState, request: FastifyRequest, reply: FastifyReply, text: string | undefined): string[] {
    state.settle(text)
    if (!haveHeadersLeft(request, reply)) this.#cookies.vary(reply)
    return []
  }

  #clear (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] {
    if (state.held === 0) return this.#settle(state, request, reply, EMPTY)
    const cookies = this.#cookies.clear(state, request, reply)
    state.cleared()
    return cookies
  }

  /** For changes that come when the headers have left. */
  warnLost (request: FastifyRequest): void {
    request.log.warn({ session: this.#config.sessionName },
      'the session changed after the response headers were sent: the change is lost. ' +
      'Change it earlier, or save it with app.session.commit(request, reply)')
  }

  #finish (
    state: SessionState, request: FastifyRequest, reply: FastifyReply, token: string, text: string, stored: boolean
  ): string[] {
    const cookies = this.#cookies.set(state, request, reply, token, text, stored)
    this.#tellSaved(state, request, text)
    return cookies
  }

  #tellSaved ({ id }: SessionState, request: FastifyRequest, text: string): void {
    if (listens('saved')) tell('saved', this.#config.sessionName, request, { id, bytes: Buffer.byteLength(text) })
  }

  /** What a session was before has been ended wherever it was. */
  #tellEnds ({ past }: SessionState, request: FastifyRequest): void {
    for (const { id, by } of past) if (listens('destroyed')) tell('destroyed', this.#config.sessionName, request, { id, by })
    past.length = 0
  }
}

/** The data that is to be kept, checked unless it is what came. */
function check (state: SessionState, text: string | undefined): string {
  return text === state.savedText ? text : serialize(state.session, text)
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

/** The whole policy: what became of a session, and what that means for its cookie. */
function decide (state: SessionState, text: string | undefined): 'nothing' | 'clear' | 'seal' {
  if (state.status === 'lost') return 'nothing'
  const toSeal = text !== state.savedText || state.asked || state.due
  if (text !== EMPTY) return toSeal ? 'seal' : 'nothing'
  // An empty session needs no cookie: one that is there goes, if the session came from it or has ended.
  if (state.held === 0) return 'nothing'
  switch (state.status) {
    case 'regenerated':
    case 'destroyed':
      return 'clear'
    case 'touched':
    case 'unmodified':
    case 'ended':
      return state.rejected || (toSeal && state.isHeld) ? 'clear' : 'nothing'
  }
}
