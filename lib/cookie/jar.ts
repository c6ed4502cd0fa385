import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Lifetimes, Times } from '../lifetimes.js'
import type { SessionConfig } from '../options/options.js'
import type { CookieAttributes } from './attributes.js'
import { markUncacheable, varyByCookie } from './cache-headers.js'
import { clearCookies, isFor, serializeAttributes, setCookies, tooLarge } from './serialize.js'
import type { CookieFormat, SerializeCookie } from './serialize.js'

/** Writes `Set-Cookie`, `Vary` and `Cache-Control`. */
export class CookieJar {
  readonly #config: SessionConfig
  readonly #times: Lifetimes
  readonly #serializeCookie: SerializeCookie
  /** The registered attributes in serialized form, without and with `Secure` */
  readonly #plain: CookieFormat
  readonly #secure: CookieFormat
  /** Each warning is logged once per registration */
  #hasWarnedOfProxy = false
  #hasWarnedOfHttp = false

  constructor (config: SessionConfig, times: Lifetimes, serializeCookie: SerializeCookie) {
    this.#config = config
    this.#times = times
    this.#serializeCookie = serializeCookie
    this.#plain = this.#format(config.cookie, false)
    this.#secure = this.#format(config.cookie, true)
  }

  /** How the cookies of a response are written. Without a request, HTTPS is assumed. */
  formatFor (request: FastifyRequest | undefined, override: CookieAttributes | undefined): CookieFormat {
    if (request === undefined) return this.#secure
    const attributes = override ?? this.#config.cookie
    const isHttps = request.protocol === 'https'
    if (!isHttps) this.#warnOfHttp(request, attributes)
    const secure = attributes.secure === 'auto' ? isHttps : attributes.secure
    if (override !== undefined) return this.#format(override, secure)
    return secure ? this.#secure : this.#plain
  }

  /** Warns of a cookie that browsers will drop, or that is less protected than it could be. */
  #warnOfHttp ({ headers, log }: FastifyRequest, { secure }: CookieAttributes): void {
    const { sessionName } = this.#config
    const forwarded = headers['x-forwarded-proto']
    // From a trusted hop Fastify takes the last entry for the protocol: where that is https, the hop is not trusted.
    if (forwarded !== undefined && /(?:^|,)\s*https\s*$/i.test(String(forwarded))) {
      if (this.#hasWarnedOfProxy) return
      this.#hasWarnedOfProxy = true
      log.warn({ sessionName }, 'X-Forwarded-Proto says https, but Fastify does not trust the hop that sent it and treats the request as ' +
        'plain HTTP. If a proxy terminates TLS, set Fastify\'s trustProxy')
    } else if (secure === true && !this.#hasWarnedOfHttp) {
      this.#hasWarnedOfHttp = true
      log.warn({ sessionName }, 'A secure session cookie was set over plain HTTP. If a proxy terminates TLS, set Fastify\'s trustProxy; ' +
        'otherwise browsers will not store the cookie, localhost excepted')
    }
  }

  /** The `Set-Cookie` values for a token, or `undefined` if it does not fit. */
  lines (format: CookieFormat, token: string, times: Times): string[] | undefined {
    return setCookies(format, token, this.#maxAge(times))
  }

  /**
   * Sets the cookies for a token, and clears the chunks that are no longer needed.
   * @param parts which cookies the client holds: bit 0 is the name itself, bit n is chunk n
   * @param text the data as JSON, for the error
   * @returns the `Set-Cookie` values, and which cookies the client holds afterwards
   * @throws FST_SESSION_TOO_LARGE, before anything is written
   */
  set (reply: FastifyReply, format: CookieFormat, token: string, times: Times, parts: number, text: string): { lines: string[], parts: number } {
    const lines = this.lines(format, token, times)
    if (lines === undefined) throw tooLarge(format, token, text)
    const now = (1 << lines.length) - 1
    if ((parts & ~now) !== 0) lines.push(...clearCookies(format, parts & ~now))
    this.write(reply, lines)
    return { lines, parts: now }
  }

  /** Clears every cookie of the session that the client holds. */
  clear (reply: FastifyReply, format: CookieFormat, parts: number): string[] {
    const lines = clearCookies(format, parts)
    this.write(reply, lines)
    return lines
  }

  /** Adds `Vary: Cookie` where `cacheHeaders` is on. */
  vary (reply: FastifyReply): void {
    if (this.#config.cacheHeaders) varyByCookie(reply)
  }

  /** Writes one `Set-Cookie` per cookie, replacing what was set earlier under the same names (RFC 6265, section 4.1.1). */
  write (reply: FastifyReply, lines: string[], name = this.#config.cookieName): void {
    const before = reply.getHeader('set-cookie')
    if (before !== undefined) {
      const others = [before as string | string[]].flat().filter(cookie => !isFor(name, cookie))
      reply.removeHeader('set-cookie')
      if (others.length > 0) reply.header('set-cookie', others)
    }
    reply.header('set-cookie', lines.length === 1 ? lines[0] : lines)
    if (this.#config.cacheHeaders) {
      varyByCookie(reply)
      markUncacheable(reply)
    }
  }

  /** Max-Age in seconds: the idle timeout, capped by the rest of the absolute timeout. */
  #maxAge (times: Times): number | false {
    if (times.idle === false || (times.idle === undefined && !this.#config.persistent)) return false
    return Math.ceil(this.#times.remaining(times) / 1000)
  }

  #format (attributes: CookieAttributes, secure: boolean): CookieFormat {
    const { cookieName: name, maxCookies } = this.#config
    return { name, maxCookies, attributes: serializeAttributes(this.#serializeCookie, attributes, secure) }
  }
}
