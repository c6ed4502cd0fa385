import type { FastifyRequest } from 'fastify'
import type { Times } from '../lifetimes.js'
import type { Binding } from '../seal/envelope.js'
import type { MaybePromise } from '../then.js'
import type { DecodedEntry } from './entry.js'
import type { Content } from './merge.js'

/** Where a session's data is kept. */
export interface Place {
  /** Whether it is in the store instead of the cookie */
  readonly stored: boolean
  /** Until when the store's entry takes precedence over the data in the cookie; milliseconds since 1970 */
  readonly entryUntil: number | undefined
}

/** A session as it was last loaded or saved. */
export interface Kept extends Content, Place {
  /** Its entry, as it was read from the store or written to it */
  readonly raw: string | undefined
  /** If sessions are listed: when its entry was written, which is when it was last seen; milliseconds since 1970 */
  readonly seenAt?: number | undefined
}

/** The same, with the times of its cookie, in milliseconds since 1970. */
export interface Sealed extends Kept {
  readonly sealedAt: number
  /** When the seal expires */
  readonly expiresAt: number
}

/** What the keeper needs of a session. */
export interface Subject extends Times {
  readonly id: string
  /** `undefined` for a session that was never sealed */
  readonly kept: Sealed | undefined
  /** The device that it is bound to, if any */
  readonly binding?: Binding | undefined
}

/** A session to end. */
export interface Ending {
  readonly session: Subject
  readonly by: 'destroy' | 'regenerate'
  /** Whether an attempt of this request to end it may have failed halfway, or it could not be loaded */
  readonly wasTried: boolean
}

/** What to do for a session. */
export interface Order {
  readonly action: 'nothing' | 'save' | 'clear'
  readonly session: Subject
  /** The sessions that it replaces, which end now */
  readonly past: readonly Ending[]
  /** The keys whose values `regenerate(keep)` has kept from an earlier session */
  readonly carried: readonly string[]
  /** Whether to seal the cookie again even if only the store has changed */
  readonly mustSeal: boolean
  /** Whether it is too late to set a cookie */
  readonly isLate: boolean
  readonly request: FastifyRequest
  newId (): string
  /** The session's data as JSON. @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY */
  text (): string
  readonly seals: Seals
}

/** Seals sessions for their cookies. */
export interface Seals {
  /** @throws FST_SESSION_TOO_LARGE */
  seal (session: Subject, content: Content, place: Place): MaybePromise<string>
  /** Returns `undefined` if the token does not fit into the cookies */
  sealIfItFits (session: Subject, content: Content, place: Place): MaybePromise<string | undefined>
}

/**
 * The outcome of an order.
 *
 * - `saved`: the session was saved. There is a token if its cookie changes. With `hasDropped`, another request had ended the session
 *   that it replaces, so the data that `regenerate(keep)` kept is missing, and it may have another id
 * - `empty`: it has no data, and its cookie must be cleared. `raw` is what has replaced its entry
 * - `gone`: another request has ended it
 * - `dropped`: it had only data that `regenerate(keep)` kept, and another request had ended the session that it replaces
 * - `late`: its data belongs in a cookie, and it is too late to set one
 * - `over`: the app has ended it, but another request had already done so
 * - `done`: nothing had to be done but to end the sessions that it replaces
 */
export type Outcome =
  { readonly became: 'saved', readonly id: string, readonly token: string | undefined, readonly kept: Kept, readonly hasDropped: boolean } |
  { readonly became: 'empty', readonly raw: string | undefined } |
  { readonly became: 'gone' | 'dropped' | 'late' | 'over' | 'done' }

/** The result of looking up a session in the store and on the list. */
export type Found =
  { ok: true, entry: DecodedEntry | undefined, raw: string | undefined, seenAt: number | undefined } |
  { ok: false, reason: 'revoked' | 'not-stored' | 'invalid' }
