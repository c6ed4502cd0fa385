import type { SessionInfo, SessionReason } from '../types/index.js'
import { MAX_IDLE } from './options/checks.js'
import type { SealerConfig } from './options/options.js'

/** A session's own idle timeout in seconds, `false` for a browser-session cookie, `undefined` for the registered timeout. */
export type Idle = number | false | undefined

/** When a session began, and its own idle timeout: what its times come from. */
export interface Times {
  /** Milliseconds since 1970 */
  readonly createdAt: number
  readonly idle: Idle
}

/** The last moment that a Date can hold (ECMA-262, section 21.4.1.1). */
const MAX_DATE = 8.64e15

/** How long clocks may differ, in seconds: Iron's default. */
const SKEW = 60

/** The clock and the timeouts of one registration. All times are in milliseconds, moments since 1970. */
export class Lifetimes {
  /** By how much a seal may be past its expiry and still open */
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

  /** Now, by the clock that seals are judged by. */
  now (): number {
    return Date.now() + this.#offset
  }

  /** The idle timeout of a session. */
  idleTimeout (idle: Idle): number {
    return idle ? idle * 1000 : this.#idle
  }

  /** When a session's absolute timeout ends it; never is Infinity. */
  endOf (createdAt: number): number {
    return createdAt + this.#absolute
  }

  /** How long a seal of a session would last if it were made now. */
  remaining ({ idle, createdAt }: Times): number {
    return Math.min(this.idleTimeout(idle), this.endOf(createdAt) - this.now())
  }

  /**
   * The last moment at which any cookie of a session may open, by the clock of the machine. Requests that are under way may
   * still seal it with a longer idle timeout (`persist`), so only the absolute timeout bounds it, or else the longest idle
   * timeout that there is. A seal of another implementation has no creation time, and opens until it expires itself.
   * @param sealExpiresAt when the seal expires that the session came with; never is Infinity, and counts as 400 days
   */
  lastMoment (createdAt: number, sealExpiresAt = 0): number {
    const longest = this.now() + MAX_IDLE * 1000
    const end = this.#absolute === Infinity ? longest : this.endOf(createdAt)
    return Math.max(end, Math.min(sealExpiresAt, longest)) + this.skew - this.#offset
  }

  /** `session.info` */
  describe (
    { id, createdAt, binding }: { id: string, createdAt: number, binding?: { provenAt?: number | undefined } | undefined },
    expiresAt: number, reason: SessionReason | null, isNew: boolean
  ): SessionInfo {
    const ends = Math.min(expiresAt, this.endOf(createdAt), MAX_DATE)
    const provenAt = binding?.provenAt === undefined ? null : new Date(binding.provenAt)
    return Object.freeze({ id, createdAt: new Date(createdAt), expiresAt: new Date(ends), isNew, reason, bound: binding !== undefined, provenAt })
  }
}
