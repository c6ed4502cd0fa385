import '@fastify/cookie'
import type { FastifyErrorConstructor } from '@fastify/error'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// For any server (HTTP/2 and HTTPS included), type provider and logger.
type AnyReply = FastifyReply<any, any, any, any, any, any, any, any>
type AnyInstance = FastifyInstance<any, any, any, any, any>

/**
 * The plugin. It decorates requests with `request.session` and the instance with `app.session`.
 *
 * @example
 * await app.register(sessionPlugin, { secret: process.env.SESSION_SECRET })
 * @throws `app.ready()` rejects with FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION or
 * FST_SESSION_COOKIE_NAME
 */
declare function sessionPlugin (app: AnyInstance, options: sessionPlugin.SessionOptions): Promise<void>

declare namespace sessionPlugin {
  /**
   * The data of a session. Declare yours once to type `request.session` everywhere:
   *
   * @example
   * declare module 'fastify-sealed-session' {
   *   interface SessionData { user?: { id: string }; views?: number }
   * }
   */
  export interface SessionData {}

  /**
   * Why a session started empty. In {@link SessionInfo} it is `null` for a session that was loaded.
   *
   * - `absent`: the request had no cookie
   * - `malformed`: the cookie does not have the form of an Iron seal
   * - `unknown-key`: it was sealed with a secret that is not configured
   * - `tampered`: its MAC is wrong
   * - `expired`: its idle timeout has passed
   * - `outlived`: its absolute timeout has passed
   * - `wrong-name`: it was sealed for another `sessionName`
   * - `foreign`: it was sealed with our secret but is not a session, or its data is in a store that this app does not have
   * - `revoked`: `isRevoked` returned `true`
   * - `invalid`: its data is not valid: a key would hide a member of the session, the schema rejects it, or the store's entry is not
   *   a JSON object
   * - `not-stored`: the store has no entry for it
   * - `unproven`: it is bound to a device, and the request came without that device's proof; or it was not bound in time (`required`)
   */
  export type SessionReason =
    'absent' | 'malformed' | 'unknown-key' | 'tampered' | 'expired' | 'outlived' | 'wrong-name' | 'foreign' | 'revoked' |
    'invalid' | 'not-stored' | 'unproven'

  /** The metadata of a session. */
  export interface SessionInfo {
    /** 128 random bits as 22 characters of base64url (RFC 4648, section 5). `regenerate()` changes it, `clear()` keeps it */
    readonly id: string
    /** When the session was created or last regenerated */
    readonly createdAt: Date
    /** When the session ends if it is not used again: by its idle timeout or its absolute timeout, whichever comes first */
    readonly expiresAt: Date
    /** Whether the session was created in this request; `false` if it was loaded from a cookie */
    readonly isNew: boolean
    /** Why the session started empty; `null` if it was loaded */
    readonly reason: SessionReason | null
    /** Whether it is bound to a device (`deviceBound`, experimental) */
    readonly bound: boolean
    /**
     * When the device last proved that it holds the key (1970 for a cookie from before the registration); `null` where the session is
     * not bound, and outside a request
     */
    readonly provenAt: Date | null
  }

  /**
   * The attributes of the cookie (RFC 6265, section 4.1.2). `Max-Age` comes from `idleTimeout` and `persistent`; `maxAge` and `expires`
   * are FST_SESSION_INVALID_OPTION.
   */
  export interface SessionCookieOptions {
    /** `Domain`. Default: none, so that only this host receives the cookie */
    domain?: string | undefined
    /** `Path`. Default: `/` */
    path?: string | undefined
    /** `HttpOnly`, which hides the cookie from scripts. Default: `true` */
    httpOnly?: boolean | undefined
    /**
     * `SameSite` (RFC 6265bis, section 4.1.2.7), in any case. `true` is `strict`, `false` omits the attribute, `none` requires
     * `secure: true`. Default: `lax`
     */
    sameSite?: 'lax' | 'strict' | 'none' | 'Lax' | 'Strict' | 'None' | boolean | undefined
    /**
     * `Secure`. `auto` sets it where `request.protocol` is `https`, which behind a proxy needs Fastify's `trustProxy`. Default: `true` if
     * `NODE_ENV` is `production`, the cookie name has a prefix, `sameSite` is `none` or `partitioned` is `true`, otherwise `auto`
     */
    secure?: boolean | 'auto' | undefined
    /** `Priority`, which Chromium supports. Default: none */
    priority?: 'low' | 'medium' | 'high' | undefined
    /** `Partitioned` (CHIPS); requires `secure: true`. Default: `false` */
    partitioned?: boolean | undefined
  }

  /** The argument of `session.options()`: cookie attributes for this response only. Unknown keys are ignored. */
  export interface ResponseCookieOptions extends SessionCookieOptions {
    /** In seconds; the same as calling `persist(maxAge)`. Default: unchanged */
    maxAge?: number | undefined
  }

  interface IronSubOptions<Algorithm extends string> {
    /** Default: `aes-256-cbc` for encryption, `sha256` for integrity. `aes-128-ctr` does not support a raw key */
    algorithm?: Algorithm
    /** Iterations of PBKDF2, from 1. Default: 1 */
    iterations?: number
    /** Bits of salt, a multiple of 8. Default: 256 */
    saltBits?: number
    /** Characters of the shortest secret allowed. Default: 32 */
    minPasswordlength?: number
  }

  /**
   * Parameters of the Iron protocol, named as in iron-webcrypto's `SealOptions`. All are optional. `ttl` is FST_SESSION_INVALID_OPTION:
   * use `idleTimeout`.
   */
  export interface IronOptions {
    /** How the data is encrypted */
    encryption?: IronSubOptions<'aes-256-cbc' | 'aes-128-ctr'>
    /** How the MAC is computed */
    integrity?: IronSubOptions<'sha256'>
    /** In seconds: for how long a seal still opens after its expiry, because clocks differ. Default: 60 */
    timestampSkewSec?: number
    /** In milliseconds: added to the local clock. Default: 0 */
    localtimeOffsetMsec?: number
    /** Turns the envelope into the text to seal. Default: `JSON.stringify` */
    encode?: (data: unknown) => string
    /** Turns the text back into the envelope. Default: `JSON.parse` */
    decode?: (text: string) => unknown
  }

  /** A string of at least 32 characters, or exactly 32 bytes, which Iron uses as the raw key. */
  export type SecretValue = string | Uint8Array
  /**
   * A secret, with or without an id of your own (`\w+`, written into the seal); without one, an id is derived from the secret.
   * `encryption` and `integrity` are Iron's two passwords; `interop: 'iron-session'` does not support them.
   */
  export type Secret =
    SecretValue | { id: string, secret: SecretValue } | { id?: string | undefined, encryption: SecretValue, integrity: SecretValue }

  /** The result of a schema: issues, or the validated data. */
  export type StandardSchemaResult = { readonly value: unknown, readonly issues?: undefined } | { readonly issues: readonly unknown[] }

  /** A synchronous schema of the Standard Schema specification, version 1 (zod, valibot, arktype and others). */
  export interface StandardSchema {
    readonly '~standard': {
      readonly version: 1
      readonly vendor: string
      /** Returns the data to use, or what is wrong with it */
      readonly validate: (value: unknown) => StandardSchemaResult | Promise<StandardSchemaResult>
    }
  }

  /** The options of `createSealer`, which the plugin takes too. */
  export interface SealerOptions {
    /**
     * Required. One secret or several, newest first: the first seals, all unseal. `undefined` after the first is skipped, so that an
     * older secret may be missing from the environment
     */
    secret: Secret | ReadonlyArray<Secret | undefined> | undefined
    /**
     * The name of the property of the request and of the instance. It is sealed in, so a cookie of one session does not open as another.
     * Default: `session`
     */
    sessionName?: string | undefined
    /**
     * In seconds: how long a session lasts without use, as the expiry of the seal and as the cookie's Max-Age. At most 34 560 000 (400
     * days; RFC 6265bis, section 5.5) and at most `absoluteTimeout`. Default: 1 209 600 (14 days)
     */
    idleTimeout?: number | undefined
    /**
     * In seconds: how long a session lasts after its creation or `regenerate()`, however much it is used; `false` for no limit. Default:
     * 7 776 000 (90 days)
     */
    absoluteTimeout?: number | false | undefined
    /**
     * Seals of other packages. `iron` also reads data sealed by any Iron implementation, and h3's sessions. `iron-session` reads and
     * writes the cookies of iron-session 8 and 9, so that a Next.js app and a Fastify app can share a session. Default: `false`
     */
    interop?: false | 'iron' | 'iron-session' | undefined
    /**
     * Validates the data when a session is loaded. Data that does not fit starts a new session with the reason `invalid`; otherwise the
     * session's data is what the schema returns. Default: none
     */
    schema?: StandardSchema | undefined
    /** Other parameters of the Iron protocol. Any key here selects iron-webcrypto, which is slower and asynchronous. Default: none */
    iron?: IronOptions | undefined
    /** How many verified cookies are cached, in at most 4 kB of memory for each on average; 0 turns the cache off. Default: 4000 */
    cacheSize?: number | undefined
  }

  /**
   * Where sessions are kept besides the cookie. A Keyv instance works directly; `fromExpressStore` adapts an express-session store.
   * Values are JSON strings. A method that fails must reject (or, like Keyv, emit `error`), which becomes FST_SESSION_STORE. `redisStore` of
   * `fastify-sealed-session/redis` and `postgresStore` of `fastify-sealed-session/postgres` have every method, and
   * `fastify-sealed-session/store-test` has tests for a store of your own.
   */
  export interface SessionStore {
    /** Returns the value of an id, or `undefined` or `null` if there is none or it has expired */
    get(id: string): Promise<unknown>
    /**
     * Sets the value of an id. It expires after `ttlMs`, a whole number of milliseconds. With `user`, which is any string, the entry
     * belongs to that user; without it, it belongs to nobody, even if it had a user before. A store without `find` ignores `user`
     */
    set(id: string, value: string, ttlMs: number, user?: string): Promise<unknown>
    /** Deletes the entry of an id. A missing entry is not an error. A store with `find` must return whether there was an entry */
    delete(id: string): Promise<unknown>
    /**
     * Lets an existing entry expire after `ttlMs` milliseconds and keeps its user. A store with `find` must return whether there was an
     * entry. Without this method, the value is set again
     */
    touch?(id: string, ttlMs: number): Promise<unknown>
    /**
     * Atomically sets the value if the entry still has the previous one, and returns whether it did. `user` is as in `set`. Without this
     * method, changes made by another process at the same time may be overwritten.
     */
    replace?(id: string, previous: string, value: string, ttlMs: number, user?: string): Promise<boolean>
    /** Returns all entries of a user; `expiresAt` is in milliseconds since 1970. `userOf` requires this method */
    find?(user: string): Promise<Array<{ id: string, value: string, expiresAt: number }>>
    /** Returns the values of several ids, in the order of the ids; `undefined` or `null` where there is none */
    getMany?(ids: string[]): Promise<unknown[]>
    /**
     * Calls a listener with the id of each entry that `delete` has deleted, in any process, until the function that it resolves
     * to is called. A message may be lost while the connection is broken; it is made again by itself
     */
    subscribe?(ended: (id: string) => void): Promise<() => Promise<void>>
  }

  /** A store for express-session: connect-redis, connect-pg-simple, MemoryStore and others. */
  export interface ExpressStore {
    /** Passes the entry of an id to `done`, or `null` */
    get(id: string, done: (error: any, session?: any) => void): unknown
    /** Sets the entry of an id. It expires at `session.cookie.expires` */
    set(id: string, session: any, done?: (error?: any) => void): unknown
    /** Deletes the entry of an id */
    destroy(id: string, done?: (error?: any) => void): unknown
    /** Lets an existing entry expire at `session.cookie.expires` */
    touch?: ((id: string, session: any, done?: (...args: any[]) => void) => unknown) | undefined
  }

  /**
   * Returns whether a session has been revoked. `data` is a copy of the session's data, if there is any. `request` is `undefined` where a
   * token is unsealed outside a request. An error becomes FST_SESSION_STORE. `user` is the
   * session's user according to `userOf`: a string that is unique for each session name and user.
   */
  export type RevocationCheck =
    (info: SessionInfo, request?: FastifyRequest, data?: SessionDataOf<SessionData>, user?: string) => boolean | Promise<boolean>

  /** A list of revoked sessions. `denylist(store)` creates one. */
  export interface RevocationList {
    /** Called for every request that has a session, and again before the session is sealed again */
    check: RevocationCheck
    /** Called by `destroy()` and `regenerate()`. No cookie of the session opens after `info.expiresAt` */
    revoke(info: SessionInfo): Promise<void> | void
    /**
     * Called by `regenerate(keep)` instead of `revoke`: revokes a session whose data is carried over to `successor`. Returns `false` if
     * the session was already revoked; then its data is not carried over. Without this method, `check` and `revoke` are called in turn,
     * which misses a `revoke` by another process between the two
     */
    supersede?(info: SessionInfo, successor: SessionInfo, user?: string): Promise<boolean>
    /**
     * Called by `app.session.of(user).endAll()`: revokes all sessions of a user (as `check` gets it) that were created at `before` or
     * earlier, but the one with the id `except`. At `until` none of their cookies opens any more
     */
    revokeUser?(user: string, mark: { before: Date, except?: string | undefined, until: Date }): Promise<void> | void
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
    /**
     * Name of the cookie that holds the proof; default the session's cookie name and `-bound`. A cookie with `-offered` after this
     * name remembers the offer
     */
    cookieName?: string | undefined
    /** Answer a link from another site that came without the proof with a page that loads itself again; default `true` */
    reload?: boolean | undefined
    /** Seconds after its creation from which a session that is not bound is empty (`unproven`); default `false`: never */
    required?: number | false | undefined
  }

  /** The options of the plugin. With a wrong value or an unknown name, `app.ready()` rejects with FST_SESSION_INVALID_OPTION. */
  export interface SessionOptions extends SealerOptions {
    /** The name of the cookie (RFC 6265, section 4.1.1). Default: `sessionName` */
    cookieName?: string | undefined
    /** The attributes of the cookie. Default: `{ path: '/', httpOnly: true, sameSite: 'lax' }`, and `secure` as described there */
    cookie?: SessionCookieOptions | undefined
    /** Whether a session that is read is sealed again once half of its idle timeout has passed. Default: `true` */
    rolling?: boolean | undefined
    /** Whether the cookie has a Max-Age. With `false` it ends with the browser; the seal expires all the same. Default: `true` */
    persistent?: boolean | undefined
    /** 1 to 8: over how many cookies of 4096 bytes a seal may be split. Default: 1 */
    maxCookies?: number | undefined
    /** Where the data of sessions is kept that is not in the cookie. Default: none */
    store?: SessionStore | undefined
    /**
     * Where the data is kept. `cookie`: in the cookie. `store`: in the store, with only the sealed id in the cookie. `overflow`: in the
     * cookie, and in the store if it does not fit into `maxCookies`. Default: `store` if a store is given, otherwise `cookie`
     */
    storage?: 'cookie' | 'store' | 'overflow' | undefined
    /**
     * In seconds, at most 3600: how long loading or saving a session waits for `store` and `isRevoked` before it fails with
     * FST_SESSION_STORE. Default: 5
     */
    storeTimeout?: number | undefined
    /** A function that returns whether a session has been revoked, or a list that can also revoke. Default: none */
    isRevoked?: RevocationCheck | RevocationList | undefined
    /**
     * Returns the id of the session's user, or `undefined` for nobody. It is called when a session is saved, with a copy of the data.
     * With it, `app.session.of(user)` lists and ends the sessions of a user. It requires a `store` that can find (`redisStore`,
     * `postgresStore`) or `isRevoked: denylist(store)`. Default: none
     */
    userOf?: ((data: SessionDataOf<SessionData>) => string | undefined) | undefined
    /**
     * How many sessions a user may have, at least 1. When a session becomes a user's, the least recently used of that user's other
     * sessions are ended until the limit holds. It requires `userOf` and a `store` that can find. Default: no limit
     */
    maxSessions?: number | undefined
    /** Binds sessions to the device of their browser (experimental). Default: none */
    deviceBound?: DeviceBoundOptions | undefined
    /**
     * Whether to add `Vary: Cookie` where the session was read, and `Cache-Control` where a cookie is set or cleared (RFC 9111, section
     * 5.2.2). Default: `true`
     */
    cacheHeaders?: boolean | undefined
  }

  /**
   * The messages of the diagnostics channels `fastify-sealed-session.loaded`, `.rejected`, `.saved`, `.destroyed` and `.bound`
   * (`node:diagnostics_channel`). They never contain data or a cookie's value. Log lines use the same names of fields.
   */
  export interface SessionEvents {
    /** The session of a request was loaded. `bytes` is the size of its data as JSON */
    loaded: SessionEvent & { id: string, bytes: number }
    /** A cookie was rejected */
    rejected: SessionEvent & { reason: SessionReason }
    /** A session was written to its cookie or its store. `bytes` is the size of its data as JSON */
    saved: SessionEvent & { id: string, bytes: number }
    /** A session that the client had was ended, by `destroy()` or `regenerate()` */
    destroyed: SessionEvent & { id: string, by: 'destroy' | 'regenerate' }
    /** A step of binding a session to a device; `id` is the session's, where there is one, and `reason` says why a step was refused */
    bound: SessionEvent & { what: 'offered' | 'registered' | 'refreshed' | 'refused', id: string | null, reason: BoundRefusal | null }
  }
  interface SessionEvent { sessionName: string, request: FastifyRequest }

  /** Why a registration or a refresh was refused; `docs/device-bound.md` says what the browser makes of each. */
  export type BoundRefusal =
    'script' | 'no-session' | 'unknown-session' | 'unavailable' | 'already-bound' | 'not-bound' | 'malformed' | 'key' | 'signature' |
    'challenge' | 'used' | 'too-large'

  /** The members of `request.session`. They are on its prototype; its own keys are only your data. */
  export interface SessionMembers<Data extends object> {
    /** Returns the value of a key, or `undefined` */
    get<Key extends DataKey<Data>>(key: Key): Data[Key] | undefined
    /** Sets a key, like assigning the property. @throws FST_SESSION_RESERVED_KEY */
    set<Key extends DataKey<Data>>(key: Key, value: Data[Key]): void
    /** Deletes all data and keeps the id. The cookie of an empty session is cleared */
    clear(): void
    /**
     * Starts a new session with a new id and creation time, and deletes all data except the keys in `keep` (default: none). Call it at
     * every login
     */
    regenerate(keep?: ReadonlyArray<DataKey<Data>>): void
    /**
     * Ends the session: deletes its data, clears its cookie, and revokes it if there is a store or a list. Without either, copies of
     * the cookie stay valid until they expire. Data set afterwards starts a new session
     */
    destroy(): void
    /** The same as `destroy()`, for users of @fastify/secure-session */
    delete(): void
    /** Seals the session again even if nothing has changed. A new session without data still gets no cookie */
    touch(): void
    /**
     * Sets this session's own idle timeout in seconds ("remember me"; at most 34 560 000, 400 days), or `false` for a cookie that ends
     * with the browser. It is sealed in, and applies until `regenerate()`. @throws FST_SESSION_INVALID_OPTION
     */
    persist(idleTimeout: number | false): void
    /**
     * Overrides cookie attributes for this response.
     * @throws FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME
     */
    options(cookie: ResponseCookieOptions): void
    /** Returns a plain, deep copy of the data. @throws FST_SESSION_NOT_SERIALIZABLE */
    data(): SessionDataOf<Data>
    /** Whether the session has to be saved */
    readonly changed: boolean
    /** Whether the session was destroyed and no data was set since */
    readonly deleted: boolean
    /** Id, times, and why the session started empty */
    readonly info: SessionInfo
  }

  /** The keys that session data cannot have, because they are members of the session. */
  export type ReservedKey = keyof SessionMembers<object>
  type DataKey<Data> = Exclude<keyof Data & string, ReservedKey>
  type SessionDataOf<Data> = { [Key in keyof Data as Exclude<Key, ReservedKey>]: Data[Key] }

  /** The type of `request.session`: your data and the members of a session. For a second session, use `Session<AdminData>`. */
  export type Session<Data extends object = SessionData> = SessionDataOf<Data> & Readonly<SessionMembers<Data>>

  /** The result of unsealing a token. */
  export type Unsealed<Data extends object = SessionData> =
    { ok: true, data: SessionDataOf<Data>, info: SessionInfo } | { ok: false, reason: SessionReason }

  /** Seals and unseals without a request. */
  export interface Sealer<Data extends object = SessionData> {
    /**
     * Seals data into a token. With a store, this creates the entry.
     * @param options.idleTimeout this session's own idle timeout, in seconds. Default: the registered one
     * @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, FST_SESSION_INVALID_OPTION, FST_SESSION_STORE
     */
    seal(data: SessionDataOf<Data>, options?: { idleTimeout?: number | undefined }): Promise<string>
    /**
     * Opens a token. No string is an error: the result says why it did not open.
     * @throws FST_SESSION_STORE if the store is not available
     */
    unseal(token: string): Promise<Unsealed<Data>>
  }

  /** The type of `app.session`. */
  export interface SessionManager<Data extends object = SessionData> extends Sealer<Data> {
    /**
     * Returns a `name=value` pair for the `cookie` header of a test or a websocket client.
     * @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, FST_SESSION_STORE
     */
    cookie(data: SessionDataOf<Data>): Promise<string>
    /**
     * Saves the session now, for hijacked and raw replies. Returns the `Set-Cookie` values, none if there is nothing to save. They are
     * also set on `reply`, so a reply that is sent as usual has them once.
     * @throws FST_SESSION_TOO_LARGE, FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY, FST_SESSION_NOT_REGISTERED,
     * FST_SESSION_STORE
     */
    commit(request: FastifyRequest<any, any, any, any, any, any, any, any>, reply: AnyReply): Promise<string[]>
    /**
     * The sessions of a user, as `userOf` names users. Any part of the app may list and end them.
     * @throws FST_SESSION_INVALID_OPTION where `user` is no string, or `userOf` is not set
     */
    of(user: string): UserSessions<Data>
    /**
     * A signal that aborts when the request's session ends: by `destroy()`, `regenerate()`, `of(user)`, or its expiry. For websockets
     * and streams. This process notices at once; the end by another process is noticed at once where the store has `subscribe`, and
     * otherwise at the next look-up.
     * @param options.every seconds between two look-ups of the session; default 60
     * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
     */
    signal(request: FastifyRequest<any, any, any, any, any, any, any, any>, options?: { every?: number | undefined }): AbortSignal
  }

  /** What `endAll` takes. */
  export interface EndAllOptions {
    /** The id of a session that lives on: `request.session.info.id` for the caller's own */
    except?: string | undefined
  }

  /** A session of a user. */
  export interface ListedSession<Data extends object = SessionData> {
    /** `session.info.id` */
    readonly id: string
    /** When it was created or last regenerated */
    readonly createdAt: Date
    /** When it was last used, exact to ten minutes, or to half of the idle timeout where that is shorter */
    readonly lastSeenAt: Date
    /** When the store deletes it if it is not used again */
    readonly expiresAt: Date
    /** Whether it is bound to a device (`deviceBound`, experimental) */
    readonly bound: boolean
    /** A copy of its data */
    readonly data: SessionDataOf<Data>
  }

  /** The sessions of a user: `app.session.of(user)`. */
  export interface UserSessions<Data extends object = SessionData> {
    /** All of them, the last seen first. @throws FST_SESSION_STORE; FST_SESSION_INVALID_OPTION where only a denylist knows of sessions */
    list(): Promise<Array<ListedSession<Data>>>
    /**
     * Ends one. `false` for an unknown id, and for another user's session. A denylist cannot tell whose an id is: it returns `false`
     * only for a session that was revoked before. @throws FST_SESSION_STORE
     */
    end(id: string): Promise<boolean>
    /**
     * Ends all but `except`, those included that begin meanwhile, and returns how many; `NaN` where only a denylist knows of sessions.
     * Where it rejects, it may have ended some; called again, it ends the rest. @throws FST_SESSION_STORE, FST_SESSION_INVALID_OPTION
     */
    endAll(options?: EndAllOptions): Promise<number>
  }

  /**
   * Returns the session of a request, like `request.session`, also where the plugin may not be registered.
   * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
   */
  export function getSession (request: FastifyRequest<any, any, any, any, any, any, any, any>): Session
  /**
   * Returns the session with this `sessionName`, with the type that its decorator was declared with.
   * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
   */
  export function getSession<Name extends keyof FastifyRequest> (request: FastifyRequest<any, any, any, any, any, any, any, any>, name: Name): FastifyRequest[Name]
  /**
   * Returns the session with a `sessionName` whose decorator was not declared.
   * @throws FST_SESSION_NOT_REGISTERED, FST_SESSION_STORE
   */
  export function getSession (request: FastifyRequest<any, any, any, any, any, any, any, any>, name: string): Session

  /**
   * Creates a sealer, which seals and unseals sessions without Fastify: in a script, a worker, a test or another framework.
   *
   * @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION
   * @example
   * const { seal, unseal } = createSealer({ secret: process.env.SESSION_SECRET })
   */
  export function createSealer<Data extends object = SessionData> (options: SealerOptions): Sealer<Data>

  /**
   * Creates a list of revoked sessions for `isRevoked`. `destroy()` and `regenerate()` add the session's id to it, and every node that
   * uses the same store rejects the session from then on. An entry is kept until no cookie of the session can open: until its absolute
   * timeout, or for 400 days without one.
   *
   * @example
   * await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv(new KeyvRedis(url))) })
   * @throws FST_SESSION_INVALID_OPTION. The methods of the list reject with FST_SESSION_STORE if the store is not available
   */
  export function denylist (store: SessionStore): RevocationList

  /**
   * Turns an express-session store (connect-redis, connect-pg-simple, MemoryStore and others) into a `SessionStore`.
   * An entry is `{ cookie, data }`; `cookie.expires`, `maxAge` and `originalMaxAge` tell the store when it expires.
   * `touch` is used if the store has it. The same store always returns the same `SessionStore`.
   *
   * @example
   * const store = fromExpressStore(new RedisStore({ client }))
   * @throws FST_SESSION_INVALID_OPTION
   */
  export function fromExpressStore (store: ExpressStore): SessionStore

  /**
   * The classes of every error that this package throws, keyed by code, for `instanceof` and for tests.
   * They are made with `@fastify/error`: `code`, `statusCode` and `message` are set.
   *
   * @example
   * if (error instanceof errors.FST_SESSION_TOO_LARGE) { … }
   */
  export const errors: Readonly<{
    /** 500: `request.session` was read where the plugin is not registered; the message says what to add. */
    FST_SESSION_NOT_REGISTERED: FastifyErrorConstructor<{ code: string }, [name: string, advice: string]>
    /** 500, at boot: no secret was given. */
    FST_SESSION_SECRET_MISSING: FastifyErrorConstructor<{ code: string }, [option: string]>
    /** 500, at boot: a secret is too short, or guessable. */
    FST_SESSION_SECRET_WEAK: FastifyErrorConstructor<{ code: string }, [option: string, accepted: string, got: string]>
    /** 500: an option, or an argument of a session's method, has an unknown name, a wrong type or a wrong value. */
    FST_SESSION_INVALID_OPTION: FastifyErrorConstructor<{ code: string }, [option: string, fault: string]>
    /** 500, at boot: the cookie's name violates RFC 6265, or the rules of its `__Host-` or `__Secure-` prefix. */
    FST_SESSION_COOKIE_NAME: FastifyErrorConstructor<{ code: string }, [name: string, rule: string]>
    /** 500, when saving: the sealed session does not fit into `maxCookies` cookies of 4096 bytes. */
    FST_SESSION_TOO_LARGE: FastifyErrorConstructor<{ code: string }, [size: number, limit: number, cookies: number, largest: string]>
    /** 500, when saving: a value would be changed or dropped by JSON. */
    FST_SESSION_NOT_SERIALIZABLE: FastifyErrorConstructor<{ code: string }, [path: string, what: string, options?: { cause: unknown }]>
    /** 500: a key would hide a member of the session, or `request.session` itself was assigned. */
    FST_SESSION_RESERVED_KEY: FastifyErrorConstructor<{ code: string }, [advice: string]>
    /** 503: the store or `isRevoked` failed or took too long; `cause` is the original error. */
    FST_SESSION_STORE: FastifyErrorConstructor<{ code: string }, [call: string, what: string, options?: { cause: unknown }]>
  }>

  export { sessionPlugin, sessionPlugin as default }
}

export = sessionPlugin

declare module 'fastify' {
  interface FastifyRequest {
    /** The session of this request. @throws FST_SESSION_NOT_REGISTERED if the plugin is not registered here, FST_SESSION_STORE */
    readonly session: sessionPlugin.Session
  }
  interface FastifyInstance {
    /** Seals, unseals and saves sessions explicitly. */
    readonly session: sessionPlugin.SessionManager
  }
  interface FastifyContextConfig {
    /** `false` switches sessions off for this route; reading one there throws FST_SESSION_NOT_REGISTERED. Default: on */
    session?: false
  }
}
