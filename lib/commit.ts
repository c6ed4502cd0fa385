import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieAttributes } from './attributes.js'
import { markUncacheable, varyByCookie } from './cache-headers.js'
import { clearCookies, isFor, serializeAttributes, setCookies, tooLarge } from './cookies.js'
import type { CookieFormat, SerializeCookie } from './cookies.js'
import { EMPTY, serialize } from './data.js'
import type { SessionConfig } from './options.js'
import type { SessionSealer } from './sealer.js'
import type { SessionState } from './state.js'

/** Session → compare → seal → `Set-Cookie`. */
export class Committer {
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  readonly #serializeCookie: SerializeCookie
  /** How cookies are written with the registered attributes, plain and secure */
  readonly #plain: CookieFormat
  readonly #secure: CookieFormat
  /** A secure cookie over plain HTTP is worth one warning, in production alone */
  #warns = process.env.NODE_ENV === 'production'

  constructor (config: SessionConfig, sealer: SessionSealer, serializeCookie: SerializeCookie) {
    this.#config = config
    this.#sealer = sealer
    this.#serializeCookie = serializeCookie
    this.#plain = this.#format(config.cookie, false)
    this.#secure = this.#format(config.cookie, true)
  }

  /**
   * The onSend hook. A failure goes to the app's error handler, whose answer comes through here again: then the
   * session is saved if the handler mended it, and otherwise the client keeps the cookie that it has.
   */
  save (state: SessionState, request: FastifyRequest, reply: FastifyReply, done: (error?: unknown) => void): void {
    const failedBefore = state.failed
    const failed = (error: unknown): void => {
      if (failedBefore) request.log.debug({ session: this.#config.sessionName, err: error }, 'session not saved')
      done(failedBefore ? undefined : error)
    }
    // Done is called outside the try: what the hooks after this one throw is not a failure to save.
    let saving
    try {
      saving = this.commit(state, request, reply)
    } catch (error) {
      failed(error)
      return
    }
    if (saving instanceof Promise) saving.then(() => { done() }, failed)
    else done()
  }

  /**
   * Saves what is to be saved and gives the `Set-Cookie` values, which are set on the reply too.
   * @throws FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, before anything is written
   */
  commit (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] | Promise<string[]> {
    const failed = (error: unknown): never => {
      this.#leave(state, request, reply)
      throw error
    }
    try {
      const saving = this.#save(state, request, reply)
      return saving instanceof Promise ? saving.catch(failed) : saving
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
    if (reply.raw.headersSent) {
      if (action !== 'nothing') this.warnLost(request)
      state.settle(text)
      state.failed = false
      return []
    }
    switch (action) {
      case 'nothing':
        state.settle(text)
        state.failed = false
        if (this.#config.cacheHeaders) varyByCookie(reply)
        return []
      case 'clear': {
        const cookies = clearCookies(this.#formatFor(state, request), state.held)
        state.cleared()
        return this.#write(state, reply, cookies)
      }
      case 'seal': {
        const checked = text === state.savedText ? text : serialize(state.session, text)
        const token = this.#sealer.seal(state.envelope(checked))
        return typeof token === 'string'
          ? this.#finish(state, request, reply, token, checked)
          : token.then(token => this.#finish(state, request, reply, token, checked))
      }
    }
  }

  /** For changes that come when the headers have left. */
  warnLost (request: FastifyRequest): void {
    request.log.warn({ session: this.#config.sessionName },
      'the session changed after the response headers were sent: the change is lost. ' +
      'Change it earlier, or save it with app.session.commit(request, reply)')
  }

  #finish (state: SessionState, request: FastifyRequest, reply: FastifyReply, token: string, text: string): string[] {
    const format = this.#formatFor(state, request)
    const cookies = setCookies(format, token, this.#maxAge(state))
    if (cookies === undefined) throw tooLarge(format, token, text)
    const held = (1 << cookies.length) - 1
    cookies.push(...clearCookies(format, state.held & ~held))
    state.sealed(text, held)
    return this.#write(state, reply, cookies)
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
  #maxAge ({ idle, createdAt }: SessionState): number | false {
    if (idle === false || (idle === undefined && !this.#config.persistent)) return false
    const left = this.#sealer.endOf(createdAt) - this.#sealer.now()
    return Math.ceil(Math.min(this.#sealer.idleTimeout(idle), left) / 1000)
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

/** The whole policy: what became of a session, and what that means for its cookie. */
function decide (state: SessionState, text: string | undefined): 'nothing' | 'clear' | 'seal' {
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
