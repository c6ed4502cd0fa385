import '@fastify/cookie'
import type { FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Of any server, HTTP/2 and HTTPS included, and of any type provider and logger.
type AnyReply = FastifyReply<any, any, any, any, any, any, any, any>
type AnyInstance = FastifyInstance<any, any, any, any, any>

/**
 * The plugin: `app.register(sessionPlugin, { secret })`.
 *
 * @throws through `app.ready()`: FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION,
 * FST_SESSION_COOKIE_NAME
 */
declare function sessionPlugin (app: AnyInstance, options: sessionPlugin.SessionOptions): Promise<void>

declare namespace sessionPlugin {
  /**
   * The data of a session. Declare yours once, and `request.session` is typed everywhere:
   *
   * @example
   * declare module 'fastify-sealed-session' {
   *   interface SessionData { user?: { id: string }; views?: number }
   * }
   */
  export interface SessionData {}

  /**
   * Why a session started empty; `null` in {@link SessionInfo} for one that was loaded.
   *
   * - `absent`: no cookie came
   * - `malformed`: not an Iron seal
   * - `unknown-key`: sealed with a secret that is not among ours
   * - `tampered`: its MAC does not hold
   * - `expired`: past its idle timeout
   * - `outlived`: past the absolute timeout
   * - `wrong-name`: made for a session of another name
   * - `foreign`: a seal of our secret that is no session, or one whose data is in a store that this app does not have
   * - `revoked`: `isRevoked` says so
   * - `invalid`: its data cannot be a session's: a key of it would hide a member, it does not fit the schema, or the store's
   *   entry is no JSON object
   * - `not-stored`: the store has no entry for it
   * - `unproven`: it is bound to a device, and the request came without that device's proof; or it was not bound in time (`required`)
   */
  export type SessionReason =
    'absent' | 'malformed' | 'unknown-key' | 'tampered' | 'expired' | 'outlived' | 'wrong-name' | 'foreign' | 'revoked' |
    'invalid' | 'not-stored' | 'unproven'

  /** What is known about a session beside its data. */
  export interface SessionInfo {
    /** 128 random bits as base64url; new after `regenerate()`, kept by `clear()` */
    readonly id: string
    /** When the session was created or last regenerated */
    readonly createdAt: Date
    /** When it ends if it is not used again: the idle timeout, capped by the absolute one */
    readonly expiresAt: Date
    /** Whether it did not come from a cookie of this request */
    readonly isNew: boolean
    /** Why it started empty, `null` if it was loaded */
    readonly reason: SessionReason | null
    /** Whether it is bound to a device (`deviceBound`, experimental) */
    readonly bound: boolean
    /** When the device last proved that it holds the key; `null` where the session is not bound, and outside a request */
    readonly provenAt: Date | null
  }

  /** The cookie's attributes (RFC 6265, section 4.1.2). Lifetimes come from `idleTimeout`. */
  export interface SessionCookieOptions {
    /** `Domain`; default none: this host alone */
    domain?: string | undefined
    /** `Path`; default `/` */
    path?: string | undefined
    /** `HttpOnly`; default `true` */
    httpOnly?: boolean | undefined
    /** `SameSite`; default `lax`. `true` is `strict`, `false` leaves it out, `none` needs `secure: true` */
    sameSite?: 'lax' | 'strict' | 'none' | boolean | undefined
    /** `Secure`; default `true` where `NODE_ENV` is `production`, else `auto`, which follows `request.protocol` */
    secure?: boolean | 'auto' | undefined
    /** `Priority` (Chromium); default none */
    priority?: 'low' | 'medium' | 'high' | undefined
    /** `Partitioned` (CHIPS); default `false` */
    partitioned?: boolean | undefined
  }

  /** What `session.options()` takes: attributes for this response alone. Unknown keys are ignored. */
  export interface ResponseCookieOptions extends SessionCookieOptions {
    /** Seconds; the same as `persist(maxAge)` */
    maxAge?: number | undefined
  }

  interface IronSubOptions<Algorithm extends string> {
    algorithm?: Algorithm
    iterations?: number
    saltBits?: number
    minPasswordlength?: number
  }

  /** Parameters of the Iron protocol, as iron-webcrypto's `SealOptions` names them, each optional. */
  export interface IronOptions {
    encryption?: IronSubOptions<'aes-256-cbc' | 'aes-128-ctr'>
    integrity?: IronSubOptions<'sha256'>
    /** Seconds that clocks may differ; default 60 */
    timestampSkewSec?: number
    /** Milliseconds added to the local clock; default 0 */
    localtimeOffsetMsec?: number
    /** Text of the sealed envelope; default `JSON.stringify` */
    encode?: (data: unknown) => string
    /** The envelope of its text; default `JSON.parse` */
    decode?: (text: string) => unknown
  }

  /** Text of 32 characters or more, or exactly 32 bytes, which Iron uses as the raw key. */
  export type SecretValue = string | Uint8Array
  /** A secret, with an id of your own (`\w+`) or without; without one, an id is derived from it. */
  export type Secret = SecretValue | { id: string, secret: SecretValue }

  /** What a schema says of data: issues, or the data that it returns. */
  export type StandardSchemaResult = { readonly value: unknown, readonly issues?: undefined } | { readonly issues: readonly unknown[] }

  /** Any schema of the Standard Schema specification, version 1: of zod, valibot, arktype and others. Synchronous ones alone. */
  export interface StandardSchema {
    readonly '~standard': {
      readonly version: 1
      readonly vendor: string
      /** Gives the data that is to be used, or what is wrong with it */
      readonly validate: (value: unknown) => StandardSchemaResult | Promise<StandardSchemaResult>
    }
  }

  /** What `createSealer` takes; the plugin takes these too. */
  export interface SealerOptions {
    /** One secret or several, newest first: the first seals, all unseal. Required */
    secret: Secret | readonly Secret[] | undefined
    /** Name of the request's and the instance's decorator, bound into every seal; default `session` */
    sessionName?: string | undefined
    /** Seconds without use after which a session ends; default 1 209 600 (14 days) */
    idleTimeout?: number | undefined
    /** Seconds after its creation at which a session ends whatever its use, or `false`; default 7 776 000 (90 days) */
    absoluteTimeout?: number | false | undefined
    /**
     * Seals of others: `iron` reads bare data that any Iron implementation has sealed, and h3's sessions; `iron-session` reads
     * and writes the cookie of iron-session 8 and 9, so that a Next.js app and a Fastify app share one session. Default `false`
     */
    interop?: false | 'iron' | 'iron-session' | undefined
    /**
     * Checks the data at unsealing: what does not fit becomes a fresh session with the reason `invalid`, and what the schema
     * returns is the data. Default none
     */
    schema?: StandardSchema | undefined
    /** Other parameters of the Iron protocol; any key here selects the slower iron-webcrypto engine. Default none */
    iron?: IronOptions | undefined
    /** How many verified cookies are remembered; 0 turns it off. Default 1000 */
    cacheSize?: number | undefined
  }

  /**
   * Where sessions may live beside the cookie. A Keyv instance is one as it is; `fromExpressStore` makes one of an
   * express-session store. Values are JSON text. A failure is to reject (or, as Keyv has it, to emit `error`): it
   * becomes FST_SESSION_STORE.
   */
  export interface SessionStore {
    /** The value of an id, or `undefined` (or `null`) for an id that is not there or has expired */
    get(id: string): Promise<unknown>
    /** Sets the value, and in how many milliseconds it expires; a whole number */
    set(id: string, value: string, ttlMs: number): Promise<unknown>
    /** Deletes the entry; that there is none is no failure */
    delete(id: string): Promise<unknown>
    /** Moves the expiry of an entry, if it is there. Without it, the value is set again */
    touch?(id: string, ttlMs: number): Promise<unknown>
    /**
     * Sets the value if the entry still has the previous one, at once, and tells whether it did. With it no change of
     * another process is overwritten.
     */
    replace?(id: string, previous: string, value: string, ttlMs: number): Promise<boolean>
  }

  /** What express-session's stores have in common: connect-redis, connect-pg-simple, MemoryStore and others. */
  export interface ExpressStore {
    /** Gives the entry of an id, or `null` */
    get(id: string, done: (error: any, session?: any) => void): unknown
    /** Sets the entry, which expires at `session.cookie.expires` */
    set(id: string, session: any, done?: (error?: any) => void): unknown
    /** Deletes the entry */
    destroy(id: string, done?: (error?: any) => void): unknown
    /** Moves the expiry of the entry to `session.cookie.expires` */
    touch?: ((id: string, session: any, done?: (...args: any[]) => void) => unknown) | undefined
  }

  /**
   * Tells whether a session has been revoked. `data` is the session's data, where there is any; it is a copy. The request is
   * missing where a token is unsealed outside one.
   */
  export type RevocationCheck =
    (info: SessionInfo, request?: FastifyRequest, data?: SessionDataOf<SessionData>) => boolean | Promise<boolean>

  /** A list of revoked sessions. `denylist(store)` makes one. */
  export interface RevocationList {
    /** Asked at every request that brings a session, and again before the session is sealed anew */
    check: RevocationCheck
    /** Called by `destroy()` and `regenerate()`. `info.expiresAt` is the last moment at which any cookie of the session may open */
    revoke(info: SessionInfo): Promise<void> | void
    /**
     * Called by `regenerate(keep)` instead of `revoke`: revokes a session whose data goes on in another one. Returns `false` if the
     * session had been revoked before; then its data does not go on. Without it, `check` and `revoke` are called in turn, which
     * cannot see a `revoke` of another process between the two
     */
    supersede?(info: SessionInfo, successor: SessionInfo): Promise<boolean>
  }

  /**
   * Binds sessions to the device of their browser (Device Bound Session Credentials). Experimental: the draft and the browsers still
   * change. `docs/device-bound.md` says what it protects.
   */
  export interface DeviceBoundOptions {
    /**
     * For which sessions binding is offered, and which ones `required` is about: usually those of users who have logged in. Gets a
     * copy of the data
     */
    when: (data: SessionDataOf<SessionData>, request: FastifyRequest<any, any, any, any, any, any, any, any>) => boolean
    /** Seconds that a proof of the device lasts, 300 at least; default 600. A thief with both cookies has as long */
    timeout?: number | undefined
    /** Seconds that a challenge can be answered, 10 to 300; default 60 */
    challengeTimeout?: number | undefined
    /** Where the browser registers (`POST <path>/registration`) and refreshes (`POST <path>/refresh`); default `/dbsc` */
    path?: string | undefined
    /** Name of the cookie that holds the proof; default the session's cookie name and `-bound` */
    cookieName?: string | undefined
    /** Answer a link from another site that came without the proof with a page that loads itself again; default `true` */
    reload?: boolean | undefined
    /** Seconds after its creation from which a session that is not bound is empty (`unproven`); default `false`: never */
    required?: number | false | undefined
  }

  /** What the plugin takes. A wrong value or an unknown name rejects `app.ready()`. */
  export interface SessionOptions extends SealerOptions {
    /** Name of the cookie; default `sessionName` */
    cookieName?: string | undefined
    /** Attributes of the cookie; default `{ path: '/', httpOnly: true, sameSite: 'lax', secure: 'auto' }` */
    cookie?: SessionCookieOptions | undefined
    /** Re-seal a used session once half of its idle timeout has passed; default `true` */
    rolling?: boolean | undefined
    /** Give the cookie a Max-Age; `false` makes it end with the browser. Default `true` */
    persistent?: boolean | undefined
    /** 1 to 8: over how many cookies of 4096 bytes a seal may be split; default 1 */
    maxCookies?: number | undefined
    /** Where sessions live that are not in the cookie; default none */
    store?: SessionStore | undefined
    /**
     * Where the data is: `cookie`; `store`, with only the sealed id in the cookie; or `overflow`, in the store only
     * where it does not fit into `maxCookies`. Default `cookie`, and `store` where a store is given
     */
    storage?: 'cookie' | 'store' | 'overflow' | undefined
    /** Seconds that loading, or saving, a session may wait for `store` and `isRevoked` before it is FST_SESSION_STORE; default 5 */
    storeTimeout?: number | undefined
    /** Tells whether a session has been revoked, at every request; or a list that can revoke too. Default none */
    isRevoked?: RevocationCheck | RevocationList | undefined
    /** Bind sessions to the device of their browser (experimental); default none */
    deviceBound?: DeviceBoundOptions | undefined
    /** Add `Vary` and `Cache-Control` where the session was read or set; default `true` */
    cacheHeaders?: boolean | undefined
  }

  /**
   * What is published on the diagnostics channels `fastify-sealed-session.loaded`, `.rejected`, `.saved`, `.destroyed` and `.bound`
   * (`node:diagnostics_channel`): never data, never a cookie's value.
   */
  export interface SessionEvents {
    /** A session was read for the first time in a request that brought it. `bytes` are of its data as JSON */
    loaded: SessionEvent & { id: string, bytes: number }
    /** A cookie came that is no session (any more) */
    rejected: SessionEvent & { reason: SessionReason }
    /** A session was written to its cookie or its store. `bytes` are of its data as JSON */
    saved: SessionEvent & { id: string, bytes: number }
    /** A session that the client had was ended */
    destroyed: SessionEvent & { id: string, by: 'destroy' | 'regenerate' }
    /** A step of binding a session to a device; `id` is the session's, where there is one, and `reason` says why a step was refused */
    bound: SessionEvent & { what: 'offered' | 'registered' | 'refreshed' | 'refused', id: string | null, reason: BoundRefusal | null }
  }
  interface SessionEvent { sessionName: string, request: FastifyRequest }

  /** Why a registration or a refresh was refused; `docs/device-bound.md` says what the browser makes of each. */
  export type BoundRefusal =
    'script' | 'no-session' | 'unknown-session' | 'unavailable' | 'already-bound' | 'not-bound' | 'malformed' | 'key' | 'signature' |
    'challenge' | 'used' | 'too-large'

  /** The members of `request.session`. They live on its prototype: its own keys are your data alone. */
  export interface SessionMembers<Data extends object> {
    /** The value of a key, as the property would give it */
    get<Key extends DataKey<Data>>(key: Key): Data[Key] | undefined
    /** Sets a key, as assigning the property would. @throws FST_SESSION_RESERVED_KEY */
    set<Key extends DataKey<Data>>(key: Key, value: Data[Key]): void
    /** Drops all data and keeps the id; an empty session has its cookie cleared */
    clear(): void
    /** Gives a new id and creation time and drops all data but `keep`. Call it at every login */
    regenerate(keep?: ReadonlyArray<DataKey<Data>>): void
    /** Ends the session: data gone, cookie cleared. What is set afterwards starts a new one */
    destroy(): void
    /** The same as `destroy()` */
    delete(): void
    /** Re-seals even if nothing changed */
    touch(): void
    /**
     * This session's own idle timeout in seconds («remember me»), or `false` for a cookie that ends with the
     * browser. It is sealed in, so it holds until `regenerate()`. @throws FST_SESSION_INVALID_OPTION
     */
    persist(idleTimeout: number | false): void
    /** Cookie attributes for this response, over the registered ones. @throws FST_SESSION_INVALID_OPTION */
    options(cookie: ResponseCookieOptions): void
    /** A plain, deep copy of the data. @throws FST_SESSION_NOT_SERIALIZABLE */
    data(): SessionDataOf<Data>
    /** Whether there is anything to save */
    readonly changed: boolean
    /** Whether it was destroyed and nothing was set since */
    readonly deleted: boolean
    /** Id, times, and why it started empty */
    readonly info: SessionInfo
  }

  /** Keys that no session data can have: they name the members of the session. */
  export type ReservedKey = keyof SessionMembers<object>
  type DataKey<Data> = Exclude<keyof Data & string, ReservedKey>
  type SessionDataOf<Data> = { [Key in keyof Data as Exclude<Key, ReservedKey>]: Data[Key] }

  /** `request.session`: your data, and the members of a session. For a second session, `Session<AdminData>`. */
  export type Session<Data extends object = SessionData> = SessionDataOf<Data> & Readonly<SessionMembers<Data>>

  /** What unsealing a token gives. */
  export type Unsealed<Data extends object = SessionData> =
    { ok: true, data: SessionDataOf<Data>, info: SessionInfo } | { ok: false, reason: SessionReason }

  /** Sealing without a request. */
  export interface Sealer<Data extends object = SessionData> {
    /**
     * Seals data into a token.
     * @param options.idleTimeout seconds; this session's own idle timeout. Default: the registered one
     * @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, FST_SESSION_INVALID_OPTION, FST_SESSION_STORE
     */
    seal(data: SessionDataOf<Data>, options?: { idleTimeout?: number | undefined }): Promise<string>
    /** Opens a token. Whatever the text, it is no error. @throws FST_SESSION_STORE where the store is not available */
    unseal(token: string): Promise<Unsealed<Data>>
  }

  /** `app.session` */
  export interface SessionManager<Data extends object = SessionData> extends Sealer<Data> {
    /** A `name=value` pair for the `cookie` header of a test or a websocket client. */
    cookie(data: SessionDataOf<Data>): Promise<string>
    /**
     * Saves now, for hijacked and raw replies, and gives the `Set-Cookie` values (none if there is nothing to
     * save). They are set on `reply` too, so a reply that is sent in the usual way carries them once.
     * @throws FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
     */
    commit(request: FastifyRequest<any, any, any, any, any, any, any, any>, reply: AnyReply): Promise<string[]>
  }

  /**
   * The session of a request, or an error that says why there is none.
   * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
   */
  export function getSession (request: FastifyRequest<any, any, any, any, any, any, any, any>): Session
  /**
   * The session of a `sessionName`, with the type that its decorator was declared with.
   * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
   */
  export function getSession<Name extends keyof FastifyRequest> (request: FastifyRequest<any, any, any, any, any, any, any, any>, name: Name): FastifyRequest[Name]
  /** The session of a `sessionName` that was not declared. */
  export function getSession (request: FastifyRequest<any, any, any, any, any, any, any, any>, name: string): Session

  /**
   * Seals and unseals sessions without Fastify: for a script, a worker, a test, another framework.
   *
   * @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION
   * @example
   * const { seal, unseal } = createSealer({ secret: process.env.SESSION_SECRET })
   */
  export function createSealer<Data extends object = SessionData> (options: SealerOptions): Sealer<Data>

  /**
   * Makes a list of revoked sessions, for `isRevoked`: `destroy()` and `regenerate()` put the session's id on it, and every
   * node that asks the same store refuses the session from then on. An entry lives until no cookie of the session can open: until
   * its absolute timeout, or for 400 days where there is none.
   *
   * @example
   * await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv(new KeyvRedis(url))) })
   * @throws FST_SESSION_INVALID_OPTION; from its methods FST_SESSION_STORE, where the store is not available
   */
  export function denylist (store: SessionStore): RevocationList

  /**
   * Makes a `SessionStore` of an express-session store: connect-redis, connect-pg-simple, MemoryStore and others.
   * An entry is `{ cookie, data }`; `cookie.expires`, `maxAge` and `originalMaxAge` tell the store how long it lives.
   * `touch` is used where the store has it. The same store gives the same `SessionStore` every time.
   *
   * @example
   * const store = fromExpressStore(new RedisStore({ client }))
   * @throws FST_SESSION_INVALID_OPTION
   */
  export function fromExpressStore (store: ExpressStore): SessionStore

  /**
   * Every error this package throws, keyed by its code, for `instanceof` and for tests.
   * Each is made once with `@fastify/error`: `code`, `statusCode` and `message` are set.
   *
   * @example
   * if (error instanceof errors.FST_SESSION_TOO_LARGE) { … }
   */
  export const errors: Readonly<{
    /** 500: `request.session` was read where the plugin does not apply; the message says what to add. */
    FST_SESSION_NOT_REGISTERED: FastifyErrorConstructor<{ code: string }, [name: string, advice: string]>
    /** 500, at boot: no secret was given. */
    FST_SESSION_SECRET_MISSING: FastifyErrorConstructor<{ code: string }, [option: string]>
    /** 500, at boot: a secret is too short to be one. */
    FST_SESSION_SECRET_WEAK: FastifyErrorConstructor<{ code: string }, [option: string, accepted: string, got: string]>
    /** 500: an option, or an argument of a session's method, has a wrong name, type or value. */
    FST_SESSION_INVALID_OPTION: FastifyErrorConstructor<{ code: string }, [option: string, fault: string]>
    /** 500, at boot: the cookie's name breaks RFC 6265 or the rules of its `__Host-` or `__Secure-` prefix. */
    FST_SESSION_COOKIE_NAME: FastifyErrorConstructor<{ code: string }, [name: string, rule: string]>
    /** 500, when saving: the sealed session does not fit into its cookies. */
    FST_SESSION_TOO_LARGE: FastifyErrorConstructor<{ code: string }, [size: number, limit: number, cookies: number, largest: string]>
    /** 500, when saving: a value would not come back from JSON as it went in. */
    FST_SESSION_NOT_SERIALIZABLE: FastifyErrorConstructor<{ code: string }, [path: string, what: string, options?: { cause: unknown }]>
    /** 500: a key would hide a member of the session, or `request.session` itself was assigned. */
    FST_SESSION_RESERVED_KEY: FastifyErrorConstructor<{ code: string }, [advice: string]>
    /** 503: the store or `isRevoked` failed or took too long; `cause` is its own error. */
    FST_SESSION_STORE: FastifyErrorConstructor<{ code: string }, [call: string, what: string, options?: { cause: unknown }]>
  }>

  export { sessionPlugin, sessionPlugin as default }
}

export = sessionPlugin

declare module 'fastify' {
  interface FastifyRequest {
    /** The session of this request. @throws FST_SESSION_NOT_REGISTERED where the plugin does not apply, FST_SESSION_STORE */
    readonly session: sessionPlugin.Session
  }
  interface FastifyInstance {
    /** Sealing and saving sessions by hand. */
    readonly session: sessionPlugin.SessionManager
  }
  interface FastifyContextConfig {
    /** `false`: this route takes no part in sessions; reading one there throws */
    session?: false
  }
}
