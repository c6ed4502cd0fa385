import type { SessionInfo, SessionReason } from '../types/index.js'
import { MAX_IDLE } from './options/checks.js'
import type { SealerConfig } from './options/options.js'

/** A session's own idle timeout in seconds, `false` for a browser-session cookie, `undefined` for the registered timeout. */
export type Idle = number | false | undefined

/** What the times of a session are computed from: when it began, and its own idle timeout. */
export interface Times {
  /** Milliseconds since 1970 */
  readonly createdAt: number
  readonly idle: Idle
}

/** The largest time value of a Date (ECMA-262, section 21.4.1.1). */
const MAX_DATE = 8.64e15

/** How long clocks may differ, in seconds: Iron's default. */
const SKEW = 60

/** The clock and the timeouts of one registration. Durations are in milliseconds, moments in milliseconds since 1970. */
export class Lifetimes {
  /** For how long a seal still opens after its expiry */
  readonly skew: number
  readonly #offset: number
  readonly #idle: number
  readonly #absolute: number

  constructor ({ iron, idleTimeout, absoluteTimeout }: Pick<SealerConfig, 'iron' | 'idleTimeout' | 'absoluteTimeout'>) {
    this.skew = (iron?.timestampSkewSec ?? SKEW) * 1000
    this.#offset = iron?.localtimeOffsetMsec ?? 0
    this.#idle = idleTimeout * 1000
    this.#absolute = absoluteTimeout === false ? Infinity : absoluteTimeout * 1000
  }

  /** The current time, with the registered offset. */
  now (): number {
    return Date.now() + this.#offset
  }

  /** The idle timeout of a session: its own, or else the registered one. */
  idleTimeout (idle: Idle): number {
    return idle ? idle * 1000 : this.#idle
  }

  /** When the absolute timeout ends a session; Infinity without one. */
  endOf (createdAt: number): number {
    return createdAt + this.#absolute
  }

  /** How long a seal of the session would be valid if it were made now. */
  remaining ({ idle, createdAt }: Times): number {
    return Math.min(this.idleTimeout(idle), this.endOf(createdAt) - this.now())
  }

  /**
   * The last moment at which any cookie of a session may open, by the machine's clock. Concurrent requests may still seal it with a
   * longer idle timeout (`persist`), so the bound is the absolute timeout, or without one the longest idle timeout allowed. A seal
   * of another implementation has no creation time and opens until it expires.
   * @param sealExpiresAt when the session's seal expires; Infinity (never) counts as 400 days
   */
  lastMoment (createdAt: number, sealExpiresAt = 0): number {
    const longest = this.now() + MAX_IDLE * 1000
    const end = this.#absolute === Infinity ? longest : this.endOf(createdAt)
    return Math.max(end, Math.min(sealExpiresAt, longest)) + this.skew - this.#offset
  }

  /** Builds `session.info`. */
  describe (
    { id, createdAt, binding }: { id: string, createdAt: number, binding?: { provenAt?: number | undefined } | undefined },
    expiresAt: number, reason: SessionReason | null, isNew: boolean
  ): SessionInfo {
    const ends = Math.min(expiresAt, this.endOf(createdAt), MAX_DATE)
    const provenAt = binding?.provenAt === undefined ? null : new Date(binding.provenAt)
    return Object.freeze({ id, createdAt: new Date(createdAt), expiresAt: new Date(ends), isNew, reason, bound: binding !== undefined, provenAt })
  }
}
