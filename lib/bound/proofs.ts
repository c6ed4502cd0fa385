import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { findCookies } from '../cookie/parse.js'
import { clearCookies } from '../cookie/serialize.js'
import { tokenForm } from '../seal/token.js'
import type { CookieJar } from '../cookie/jar.js'
import { then } from '../then.js'
import type { MaybePromise } from '../then.js'
import type { Note, Notes } from './notes.js'
import type { BoundConfig } from './options.js'

/** Seconds for which a browser that did not take an offer gets no other one. */
const OFFER_PAUSE = 3600

/** Seconds by which the cookie ends before its proof, so that a proof that a browser sends is still good when it arrives, on any node. */
const AHEAD = 10

/**
 * The second cookie, which holds the proof of the device, and a third one that says that binding was offered. They need two names: an
 * offer may reach the browser after a proof, and a browser that has a cookie of the proof's name does not refresh.
 */
export class ProofCookie {
  /** The attributes, as the browser is told to expect them */
  readonly attributes: string
  readonly #config: BoundConfig
  readonly #notes: Notes
  readonly #jar: CookieJar
  readonly #suffix: string

  /** @param suffix the attributes as they stand in `Set-Cookie`, Max-Age apart */
  constructor (config: BoundConfig, notes: Notes, jar: CookieJar, suffix: string) {
    this.#config = config
    this.#notes = notes
    this.#jar = jar
    this.#suffix = suffix
    this.attributes = suffix.slice('; '.length)
  }

  /** The proof that a request brings for a binding. */
  find (bindingId: string, request: FastifyRequest): MaybePromise<Note | undefined> {
    const { candidates } = findCookies(request.raw.headers.cookie!, this.#config.cookieName, tokenForm)
    const next = (nth: number): MaybePromise<Note | undefined> => {
      const token = candidates[nth]
      if (token === undefined) return undefined
      return then(this.#notes.open(token, 'proof'), note => note?.about === bindingId ? note : next(nth + 1))
    }
    return next(0)
  }

  /** Gives the browser a new proof. */
  issue (bindingId: string, reply: FastifyReply): MaybePromise<void> {
    const { timeout } = this.#config
    return then(this.#notes.seal('proof', bindingId, timeout), token => { this.#set(reply, this.#config.cookieName, token, timeout - AHEAD) })
  }

  /** Whether the browser of a session has been offered to bind it, a while ago at most. */
  wasOffered (sessionId: string, request: FastifyRequest): boolean {
    const { cookie } = request.raw.headers
    return cookie?.includes(`${this.#config.offerName}=${bindingIdOf(sessionId)}`) === true
  }

  noteOffer (sessionId: string, reply: FastifyReply): void {
    this.#set(reply, this.#config.offerName, bindingIdOf(sessionId), OFFER_PAUSE)
  }

  /** Forgets the offer: a session that comes unbound after all is offered anew. */
  dropOffer (request: FastifyRequest, reply: FastifyReply): void {
    this.#drop(this.#config.offerName, request, reply)
  }

  /** Drops both cookies, if the browser has them. */
  drop (request: FastifyRequest, reply: FastifyReply): void {
    this.#drop(this.#config.cookieName, request, reply)
    this.dropOffer(request, reply)
  }

  #drop (name: string, request: FastifyRequest, reply: FastifyReply): void {
    if (request.raw.headers.cookie?.includes(`${name}=`) !== true) return
    this.#jar.write(reply, clearCookies({ name, attributes: this.#suffix, maxCookies: 1 }, 1), name)
  }

  #set (reply: FastifyReply, name: string, value: string, maxAge: number): void {
    this.#jar.write(reply, [`${name}=${value}; Max-Age=${maxAge}${this.#suffix}`], name)
  }
}

/** What a browser calls the binding of a session. It stays the same when the session is registered again, so that the browser replaces its key. */
export function bindingIdOf (sessionId: string): string {
  return createHash('sha256').update(`device-bound ${sessionId}`).digest().toString('base64url', 0, 16)
}
