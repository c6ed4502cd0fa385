import type { FastifyRequest } from 'fastify'
import type { Times } from '../lifetimes.js'
import type { Binding } from '../seal/envelope.js'
import type { MaybePromise } from '../then.js'
import type { Entry } from './entry.js'
import type { Content } from './merge.js'

/** Where a session's data is. */
export interface Place {
  /** In the store, and not in the cookie */
  readonly stored: boolean
  /** Until when the store's entry counts for more than the data in the cookie; milliseconds since 1970 */
  readonly entryUntil: number | undefined
}

/** A session as it was loaded or saved last. */
export interface Kept extends Content, Place {
  /** Its entry, as the store returned it or was given it */
  readonly raw: string | undefined
  /** When its entry was written, in milliseconds since 1970, where sessions are listed: that is when it was seen last */
  readonly seenAt?: number | undefined
}

/** The same, with the times of its cookie in milliseconds since 1970. */
export interface Sealed extends Kept {
  readonly sealedAt: number
  /** When the seal expires */
  readonly expiresAt: number
}

/** A session, as far as its keeper has to know it. */
export interface Subject extends Times {
  readonly id: string
  /** `undefined` for a session that was never kept anywhere */
  readonly kept: Sealed | undefined
  /** The device that it is bound to, if it is */
  readonly binding?: Binding | undefined
}

/** A session that is to end. */
export interface Ending {
  readonly session: Subject
  readonly by: 'destroy' | 'regenerate'
  /** Whether this request has tried to end it before, and failed */
  readonly wasTried: boolean
}

/** What is to be done for a session. */
export interface Order {
  readonly action: 'nothing' | 'save' | 'clear'
  readonly session: Subject
  /** The sessions that it was before, which end now */
  readonly past: readonly Ending[]
  /** The keys whose values `regenerate(keep)` has kept of a session of the past */
  readonly carried: readonly string[]
  /** Whether the cookie is to be sealed anew even where the store alone has changed */
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
  /** `undefined` where the seal does not fit into the cookies */
  sealIfItFits (session: Subject, content: Content, place: Place): MaybePromise<string | undefined>
}

/**
 * What became of a session.
 *
 * - `saved`: with a token where its cookie changes; under another id, and without what another session left it, where that one had
 *   been ended by another request (`hasDropped`)
 * - `empty`: it has no data; its cookie is to be cleared. `raw` is what its entry was replaced by
 * - `gone`: another request has ended it
 * - `dropped`: it had nothing but what another session left it, and that one had been ended by another request
 * - `late`: only a cookie could keep it, and it is too late for one
 * - `over`: it was to end, and another request had ended it
 * - `done`: there was nothing to do but to end what it was before
 */
export type Outcome =
  { readonly became: 'saved', readonly id: string, readonly token: string | undefined, readonly kept: Kept, readonly hasDropped: boolean } |
  { readonly became: 'empty', readonly raw: string | undefined } |
  { readonly became: 'gone' | 'dropped' | 'late' | 'over' | 'done' }

/** How a session was found beside its cookie. */
export type Found =
  { ok: true, entry: Entry | undefined, raw: string | undefined, seenAt: number | undefined } |
  { ok: false, reason: 'revoked' | 'not-stored' | 'invalid' }
