import { isDeepStrictEqual } from 'node:util'
import type { Sealer, SealerOptions, SessionData, SessionReason } from '../../types/index.js'
import { then } from '../then.js'
import type { MaybePromise } from '../then.js'
import { decodeBare, encodeBare, META_KEY, VERSION_SUFFIX } from './interop.js'
import { parseIdleTimeout } from '../options/checks.js'
import { findReservedKey, isDictionary, serialize } from '../json.js'
import { decode, encode } from './envelope.js'
import type { Decoded, Envelope } from './envelope.js'
import type { Engine, Opened } from './engine.js'
import { Lifetimes } from '../lifetimes.js'
import type { Idle } from '../lifetimes.js'
import { errors } from '../errors.js'
import { copyOf, Doorkeeper, Lru } from './lru.js'
import { parseSealerOptions } from '../options/options.js'
import type { SealerConfig } from '../options/options.js'
import { randomId } from './random.js'
import { validate } from '../schema.js'
import { IronEngine } from './engine-iron.js'
import { NodeEngine } from './engine-node.js'
import { parseToken } from './token.js'

/** A verified token, as the cache keeps it. */
export interface Verified {
  readonly token: string
  readonly envelope: Envelope
  /** The seal's own expiry in milliseconds since 1970; Infinity for a seal without one */
  readonly expiresAt: number
  /** Whether to seal it again: it was sealed with an older secret, or it is in another format than ours */
  readonly stale: boolean
}

/**
 * A token's session. `data` is parsed for each call and belongs to the caller. If there is an entry in the store, `raw` is what the
 * store returned, and `sealIdle` the session's own idle timeout when its cookie was sealed, which the entry may have changed since.
 * `seenAt` is when the entry was written, in milliseconds since 1970, if sessions are listed.
 */
export type Loaded =
  { ok: true, verified: Verified, data: object, entry?: { raw: string, sealIdle: Idle, seenAt: number | undefined } } |
  { ok: false, reason: SessionReason }

/** How many characters of a MAC are the key of the cache: 72 bits. The whole MAC, let alone the whole token, takes longer to hash */
const CACHE_KEY = 12
/** What an entry of the cache takes besides the token and the text, measured */
const ENTRY_BYTES = 500

/** Seals envelopes into tokens and opens them, with one engine, checks of the times, and a cache of verified tokens. */
export class SessionSealer {
  /** Whether it returns values; otherwise it returns promises */
  readonly sync: boolean
  readonly times: Lifetimes
  readonly #config: SealerConfig
  readonly #quotedName: string
  readonly #engine: Engine
  readonly #cache: Lru<Verified>
  readonly #met: Doorkeeper

  constructor (config: SealerConfig) {
    const { keyring, iron, cacheSize } = config
    this.#config = config
    this.#quotedName = JSON.stringify(config.sessionName)
    this.#engine = iron === undefined ? new NodeEngine(keyring) : new IronEngine(keyring, iron)
    this.sync = this.#engine.sync
    this.#cache = new Lru(cacheSize)
    this.#met = new Doorkeeper(cacheSize)
    this.times = new Lifetimes(config)
  }

  seal (envelope: Envelope): MaybePromise<string> {
    const expiresAt = Math.ceil(this.times.now() + this.times.idleTimeout(envelope.idle))
    // With this option the engine is always the synchronous one.
    if (this.#config.interop === 'iron-session') {
      return this.#engine.seal(encodeBare(this.#config.sessionName, envelope), expiresAt) as string + VERSION_SUFFIX
    }
    const token = this.#engine.seal(encode(this.#quotedName, envelope), expiresAt)
    // Count the sealing as the first sighting, so that the token's first return is cached.
    if (typeof token === 'string') this.#met.before(token)
    return token
  }

  unseal (text: string): MaybePromise<Loaded> {
    const known = this.#cache.get(text.slice(-CACHE_KEY))
    if (known?.token === text) return this.#judge(known, undefined)
    const isIronSession = text.endsWith(VERSION_SUFFIX)
    const token = isIronSession ? text.slice(0, -VERSION_SUFFIX.length) : text
    if (isIronSession && this.#config.interop !== 'iron-session') return { ok: false, reason: parseToken(token) === undefined ? 'malformed' : 'foreign' }
    return then(this.#engine.open(token), opened => this.#accept(text, opened))
  }

  /** Seals a text that is no session's, with its exact expiry in milliseconds since 1970. */
  sealText (text: string, expiresAt: number): MaybePromise<string> {
    return this.#engine.seal(text, expiresAt)
  }

  /** Opens any token that one of the secrets has sealed. Its expiry is for the caller to check. */
  openText (text: string): MaybePromise<Opened> {
    return this.#engine.open(text)
  }

  #accept (text: string, opened: Opened): Loaded {
    if (!opened.ok) return opened
    const decoded = this.#decode(opened.text, text)
    if (!decoded.ok) return decoded
    const { envelope, data } = decoded
    const misplaced = this.#misplaced(envelope)
    if (misplaced !== undefined) return { ok: false, reason: misplaced }
    if (findReservedKey(data) !== undefined) return { ok: false, reason: 'invalid' }
    const stale = opened.key !== this.#config.keyring.newest || decoded.converted
    const verified = { token: text, envelope, expiresAt: opened.expiresAt, stale }
    if (this.#met.before(text)) this.#remember({ ...verified, token: copyOf(text) })
    return this.#judge(verified, data)
  }

  #remember (verified: Verified): void {
    const { token, envelope } = verified
    // `unseal` compares the whole token. A string that is not Latin-1 takes two bytes for each character.
    this.#cache.set(token.slice(-CACHE_KEY), verified, ENTRY_BYTES + token.length + 2 * envelope.text.length)
  }

  #decode (text: string, token: string): Decoded {
    const { sessionName, interop } = this.#config
    if (token.endsWith(VERSION_SUFFIX)) return decodeBare(sessionName, text, token, this.times.now(), false)
    const decoded = decode(this.#quotedName, text)
    switch (interop) {
      case false: return decoded
      case 'iron': return decoded.ok || decoded.reason !== 'foreign' ? decoded : decodeBare(sessionName, text, token, this.times.now(), true)
      case 'iron-session':
        if (!decoded.ok) return decoded
        return Object.hasOwn(decoded.data, META_KEY) ? { ok: false, reason: 'invalid' } : { ...decoded, converted: true }
    }
  }

  /** Rejects a seal that points to a store which the app does not have, and one with data where all data is in the store. */
  #misplaced ({ stored, binding }: Envelope): SessionReason | undefined {
    if (binding !== undefined && !this.#config.opensBound) return 'foreign'
    switch (this.#config.storage) {
      case 'cookie': return stored ? 'foreign' : undefined
      case 'store': return stored ? undefined : 'not-stored'
      case 'overflow': return undefined
    }
  }

  /** Checks the times, for cached tokens too. */
  #judge (verified: Verified, data: object | undefined): Loaded {
    const { envelope, expiresAt } = verified
    const now = this.times.now()
    if (expiresAt <= now - this.times.skew) return { ok: false, reason: 'expired' }
    if (this.times.endOf(envelope.createdAt) <= now) return { ok: false, reason: 'outlived' }
    const own = data ?? JSON.parse(envelope.text) as object
    if (this.#config.schema === undefined || envelope.stored) return { ok: true, verified, data: own }
    const fitting = this.fit(own)
    return fitting === undefined ? { ok: false, reason: 'invalid' } : { ok: true, verified, data: fitting }
  }

  /**
   * The data as the app's schema returns it, or `undefined` if it does not fit. The result is a copy, because a schema may return the
   * same object again, or the data itself if only the order of its keys has changed, so that reading alone saves nothing.
   * @throws FST_SESSION_INVALID_OPTION if the schema returns a promise, FST_SESSION_NOT_SERIALIZABLE if it returns what JSON cannot hold
   */
  fit (data: object): object | undefined {
    const { schema } = this.#config
    if (schema === undefined) return data
    const result = validate(schema, data)
    if (result.issues !== undefined || !isDictionary(result.value) || findReservedKey(result.value) !== undefined) return undefined
    const own = JSON.parse(serialize(result.value)) as object
    return isDeepStrictEqual(own, data) ? data : own
  }
}

/** The public `seal` and `unseal`, which take any data and any string. With a store, `keep` creates the entry and `open` looks it up. */
export function forData (
  sealer: SessionSealer,
  keep: (envelope: Envelope) => MaybePromise<string> = envelope => sealer.seal(envelope),
  open: (token: string) => MaybePromise<Loaded> = token => sealer.unseal(token)
): Sealer {
  return {
    async seal (data, { idleTimeout } = {}) {
      if (!isDictionary(data)) throw new errors.FST_SESSION_NOT_SERIALIZABLE('session', 'not an object')
      const idle = idleTimeout === undefined ? undefined : parseIdleTimeout('idleTimeout', idleTimeout)
      return await keep({ id: randomId(), createdAt: sealer.times.now(), idle, text: serialize(data), stored: false })
    },
    async unseal (token) {
      const loaded = typeof token === 'string' ? await open(token) : malformed
      if (!loaded.ok) return loaded
      const { envelope, expiresAt } = loaded.verified
      // A token alone does not show that its device is there.
      if (envelope.binding !== undefined) return { ok: false, reason: 'unproven' }
      return { ok: true, data: loaded.data, info: sealer.times.describe(envelope, expiresAt, null, false) }
    }
  }
}

const malformed = { ok: false, reason: 'malformed' } as const

/**
 * Creates a sealer, which seals and unseals sessions without Fastify: in a script, a worker, a test or another framework.
 *
 * @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION
 * @example
 * const { seal, unseal } = createSealer({ secret: process.env.SESSION_SECRET })
 */
export function createSealer<Data extends object = SessionData> (options: SealerOptions): Sealer<Data> {
  return forData(new SessionSealer(parseSealerOptions(options))) as Sealer as Sealer<Data>
}
