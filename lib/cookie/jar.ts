import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookieAttributes } from './attributes.js'
import { markUncacheable, varyByCookie } from './cache-headers.js'
import { clearCookies, isFor, serializeAttributes, setCookies, tooLarge } from './parse.js'
import type { CookieFormat, SerializeCookie } from './parse.js'
import type { Envelope } from '../seal/envelope.js'
import type { SessionConfig } from '../options/options.js'
import type { SessionSealer } from '../seal/sealer.js'
import type { SessionState } from '../session/state.js'

/** A session's times, which its Max-Age comes from. */
type Times = Pick<Envelope, 'idle' | 'createdAt'>

/** Writes `Set-Cookie`, and the headers that go with it. */
export class CookieWriter {
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

  /** Whether a token fits into the cookies that a session may have; with a state, into those of its response. */
  fits (token: string, times: Times, state?: SessionState, request?: FastifyRequest): boolean {
    const format = state === undefined ? this.#secure : this.#formatFor(state, request!)
    return setCookies(format, token, this.#maxAge(times)) !== undefined
  }

  /**
   * Gives the client a token, over as many cookies as it needs, and takes note of it.
   * @throws FST_SESSION_TOO_LARGE, before anything is written
   */
  set (state: SessionState, request: FastifyRequest, reply: FastifyReply, token: string, text: string, stored: boolean): string[] {
    const format = this.#formatFor(state, request)
    const cookies = setCookies(format, token, this.#maxAge(state))
    if (cookies === undefined) throw tooLarge(format, token, text)
    const held = (1 << cookies.length) - 1
    cookies.push(...clearCookies(format, state.held & ~held))
    state.sealed(text, held, stored)
    return this.#write(reply, cookies)
  }

  /** Makes the client drop every cookie of the session that it holds. */
  clear (state: SessionState, request: FastifyRequest, reply: FastifyReply): string[] {
    return this.#write(reply, clearCookies(this.#formatFor(state, request), state.held))
  }

  /** Says that the answer depends on the session. */
  vary (reply: FastifyReply): void {
    if (this.#config.cacheHeaders) varyByCookie(reply)
  }

  /** One `Set-Cookie` per cookie: ours take the place of what others set under these names. */
  #write (reply: FastifyReply, cookies: string[]): string[] {
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
    return cookies
  }

  /** Seconds: the idle timeout, capped by what is left of the absolute one. */
  #maxAge (times: Times): number | false {
    if (times.idle === false || (times.idle === undefined && !this.#config.persistent)) return false
    return Math.ceil(this.#sealer.lifetime(times) / 1000)
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
