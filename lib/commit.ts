import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieAttributes } from './attributes.js'
import { markUncacheable, varyByCookie } from './cache-headers.js'
import { clearCookies, isFor, serializeAttributes, setCookies, tooLarge } from './cookies.js'
import type { CookieFormat, SerializeCookie } from './cookies.js'
import { EMPTY, serialize } from './data.js'
import { tell } from './diagnostics.js'
import type { Envelope } from './envelope.js'
import { errors } from './errors.js'
import type { SessionConfig } from './options.js'
import type { SessionSealer } from './sealer.js'
import { Session } from './session.js'
import type { SessionState } from './state.js'
import type { SessionStorage } from './storage.js'

/** Session → compare → seal → `Set-Cookie`. */
export class Committer {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #storage: SessionStorage | undefined
  readonly #serializeCookie: SerializeCookie
  /** How cookies are written with the registered attributes, plain and secure */
  readonly #plain: CookieFormat
  readonly #secure: CookieFormat
  /** A secure cookie over plain HTTP is worth one warning, in production alone */
  #warns = process.env.NODE_ENV === 'production'

  constructor (
    config: SessionConfig, sealer: SessionSealer, storage: SessionStorage | undefined, serializeCookie: SerializeCookie
  ) {
    this.#config = config
    this.#sealer = sealer
    this.#storage = storage
    this.#serializeCookie = serializeCookie
    this.#plain = this.#format(config.cookie, false)
    this.#secure = this.#format(config.cookie, true)
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
      this.#write(state, reply, clearCookies(this.#formatFor(state, request), state.held))
      state.held = 0
      state.failed = true
    } else if (this.#config.cacheHeaders) {
      varyByCookie(reply)
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
    const kept = await storage.keep(state, checked, token => this.fits(token, state, this.#formatFor(state, request)))
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
    state.failed = false
    if (this.#config.cacheHeaders && !haveHeadersLeft(request, reply)) varyByCookie(reply)
    return []
  }

  #clear (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] {
    if (state.held === 0) return this.#settle(state, request, reply, EMPTY)
    const cookies = clearCookies(this.#formatFor(state, request), state.held)
    state.cleared()
    return this.#write(state, reply, cookies)
  }

  /** For changes that come when the headers have left. */
  warnLost (request: FastifyRequest): void {
    request.log.warn({ session: this.#config.sessionName },
      'the session changed after the response headers were sent: the change is lost. ' +
      'Change it earlier, or save it with app.session.commit(request, reply)')
  }

  /** Whether a token fits into the cookies that a session may have. */
  fits (token: string, { idle, createdAt }: Pick<Envelope, 'idle' | 'createdAt'>, format = this.#secure): boolean {
    return setCookies(format, token, this.#maxAge({ idle, createdAt })) !== undefined
  }

  #finish (
    state: SessionState, request: FastifyRequest, reply: FastifyReply, token: string, text: string, stored: boolean
  ): string[] {
    const format = this.#formatFor(state, request)
    const cookies = setCookies(format, token, this.#maxAge(state))
    if (cookies === undefined) throw tooLarge(format, token, text)
    const held = (1 << cookies.length) - 1
    cookies.push(...clearCookies(format, state.held & ~held))
    state.sealed(text, held, stored)
    this.#tellSaved(state, request, text)
    return this.#write(state, reply, cookies)
  }

  #tellSaved ({ id }: SessionState, request: FastifyRequest, text: string): void {
    tell('saved', this.#config.sessionName, request, () => ({ id, bytes: Buffer.byteLength(text) }))
  }

  /** What a session was before has been ended wherever it was. */
  #tellEnds ({ past }: SessionState, request: FastifyRequest): void {
    for (const { id, by } of past) tell('destroyed', this.#config.sessionName, request, () => ({ id, by }))
    past.length = 0
  }

  /** One `Set-Cookie` per cookie: ours take the place of what others set under these names. */
  #write (state: SessionState, reply: FastifyReply, cookies: string[]): string[] {
    const before = reply.getHeader('set-cookie')
    if (before !== undefined) {
      const others = [before as string | string[]].flat().filter(cookie => !isFor(this.#config.cookieName, cookie))
      reply.removeHeader('set-cookie')
      if (others.length > 0) reply.header('set-cookie', others)
    }
    reply.header('set-cookie', cookies.length === 1 ? cookies[0] : cookies)
    if (this.#config.cacheHeaders) {
      varyByCookie(reply)
      markUncacheable(reply)
    }
    state.failed = false
    return cookies
  }

  /** Seconds: the idle timeout, capped by what is left of the absolute one. */
  #maxAge (session: Pick<Envelope, 'idle' | 'createdAt'>): number | false {
    if (session.idle === false || (session.idle === undefined && !this.#config.persistent)) return false
    return Math.ceil(this.#sealer.lifetime(session) / 1000)
  }

  #formatFor (state: SessionState, request: FastifyRequest): CookieFormat {
    const attributes = state.attributes ?? this.#config.cookie
    const secure = attributes.secure === 'auto' ? request.protocol === 'https' : attributes.secure
    if (this.#warns && attributes.secure === true && request.protocol !== 'https') {
      this.#warns = false
      request.log.warn({ session: this.#config.sessionName },
        'a secure session cookie was set over plain HTTP, and browsers will drop it. Behind a proxy that ends TLS, ' +
        'set Fastify\'s trustProxy')
    }
    if (state.attributes !== undefined) return this.#format(state.attributes, secure)
    return secure ? this.#secure : this.#plain
  }

  #format (attributes: CookieAttributes, secure: boolean): CookieFormat {
    const { cookieName: name, maxCookies } = this.#config
    return { name, maxCookies, attributes: serializeAttributes(this.#serializeCookie, attributes, secure) }
  }
}

/** The data that is to be kept, checked unless it is what came. */
function check (state: SessionState, text: string | undefined): string {
  return text === state.savedText ? text : serialize(state.session, text)
}

/** Whether it is too late for a header. A websocket's answer leaves past Node's ServerResponse, which does not know of it. */
function haveHeadersLeft (request: FastifyRequest, reply: FastifyReply): boolean {
  return reply.raw.headersSent || (request.raw.headers.upgrade !== undefined && reply.sent)
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
