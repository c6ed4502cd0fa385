import type { ServerResponse } from 'node:http'
import type { ResponseCookieOptions, SessionInfo, SessionReason } from '../../types/index.js'
import { overrideAttributes } from '../cookie/attributes.js'
import type { CookieAttributes } from '../cookie/attributes.js'
import { EMPTY, hasFunction } from '../json.js'
import type { Idle, Lifetimes } from '../lifetimes.js'
import { parseIdleTimeout } from '../options/checks.js'
import type { SessionConfig } from '../options/options.js'
import type { Binding } from '../seal/envelope.js'
import { randomId } from '../seal/random.js'
import type { Sealed, Subject } from '../store/order.js'
import type { Facts, Status } from './policy.js'

/** The resolution of `lastSeenAt`, in milliseconds. A read within this time writes nothing. */
const SEEN_AFTER = 600_000

/** The session cookies of a request, and what they contain. It never changes. */
export interface Arrival {
  /** Which session cookies the client has: bit 0 is the name itself, bit n is chunk n */
  readonly parts: number
  /** Whether the cookies were rejected for good and should be cleared */
  readonly isRejected: boolean
  /** Why the session starts empty, `null` for one that was loaded */
  readonly reason: SessionReason | null
  /** The session that was loaded, if there is one */
  readonly session: Identity | undefined
  /** A session that opened without the proof that it needs. Nothing is saved over it, but the app may end it */
  readonly unproven?: Identity | undefined
}

/** A session as it was last loaded or saved, and whether its cookie is stale. */
export interface SealedSession extends Sealed {
  /** Whether its cookie was sealed with an older secret, or is older than its entry */
  readonly isStale: boolean
}

/** One session under one id. `regenerate()` and `destroy()` give a request another one. */
export class Identity {
  readonly createdAt: number
  /** How it was created */
  readonly origin: 'cookie' | 'new' | 'regenerate' | 'destroy'
  idle: Idle
  /** The device that it is bound to, if any */
  binding: Binding | undefined
  standing: Facts['standing'] = 'live'
  /** The session as it was last loaded or saved; `undefined` if it was never sealed, and exists only in this request */
  kept: SealedSession | undefined
  #id: string

  constructor (origin: Identity['origin'], createdAt: number, id = '', kept: SealedSession | undefined = undefined) {
    this.origin = origin
    this.createdAt = createdAt
    this.#id = id
    this.kept = kept
    this.idle = kept?.idle
  }

  /** Generated on first use: most new sessions stay empty and need none. */
  get id (): string {
    if (this.#id === '') this.#id = randomId()
    return this.#id
  }

  /** Set when the session was saved under another id. */
  set id (id: string) {
    this.#id = id
  }

  /** A copy of its present state. */
  snapshot (): Subject {
    const { id, createdAt, idle, kept, binding } = this
    return { id, createdAt, idle, kept, binding }
  }
}

/** A session that another one has replaced in the same request. */
export interface Past {
  readonly session: Identity
  readonly by: 'destroy' | 'regenerate'
  /** What `regenerate(keep)` kept from it */
  readonly left: ReadonlyArray<readonly [key: string, value: unknown]>
  /** Whether it is unknown if it has ended: it was not loaded, or the save that should have ended it has failed */
  readonly wasTried: boolean
}

/** The session of one request: everything about it that is not its data. */
export class SessionState {
  /** `request.session`; set by `Session.open` */
  session!: object
  readonly arrival: Arrival
  /** The present session */
  current: Identity
  status: Status = 'unmodified'
  /** The sessions that it has replaced, until they have ended */
  past: readonly Past[] = []
  /** Which session cookies the client has once it has received this response */
  parts: number
  /** Whose cookies these are. `newer`: another request has ended the session and may have set the cookie of a new one */
  holds: 'own' | 'rejected' | 'other' | 'newer'
  /** Whether this response has set a cookie of the current session */
  isSet = false
  /** Cookie attributes of this response, if they differ from the registered ones */
  attributes: CookieAttributes | undefined
  /** The response, from the plugin's hook on. Its `close` event releases the signals of the session */
  response: ServerResponse | undefined
  /** Whether the app has read `request.session`. Until then the session does not affect the response */
  isRead = false
  /** The error of the last save, which the app has already received */
  failure: Error | undefined
  /** The error of the save at the end of the request, which the app's error handler has received */
  endFailure: Error | undefined
  /** The unsaved data, as JSON, that an error or a warning has already reported */
  toldText: string | undefined
  /** The save that is under way; never rejects */
  saving: Promise<void> | undefined
  /** Called when the session is used after its response has ended; `undefined` before that */
  onLateUse: (() => void) | undefined
  readonly #config: SessionConfig
  readonly #times: Lifetimes

  constructor (config: SessionConfig, times: Lifetimes, arrival: Arrival) {
    this.#config = config
    this.#times = times
    this.arrival = arrival
    this.current = arrival.session ?? new Identity('new', times.now())
    if (arrival.unproven !== undefined) this.current.standing = 'unproven'
    this.parts = arrival.parts
    this.holds = arrival.session !== undefined ? 'own' : arrival.isRejected ? 'rejected' : 'other'
  }

  get info (): SessionInfo {
    const { id, createdAt, idle, kept, binding } = this.current
    const expiresAt = kept?.expiresAt ?? createdAt + this.#times.idleTimeout(idle)
    return this.#times.describe({ id, createdAt, binding }, expiresAt, this.arrival.reason, this.isNew)
  }

  get isNew (): boolean {
    return this.current.origin !== 'cookie'
  }

  /** Whether its cookie needs renewal although nothing has changed. */
  get isDue (): boolean {
    const { origin, kept } = this.current
    if (kept === undefined || origin !== 'cookie') return false
    return kept.isStale || (this.#config.rolling && this.#times.now() > (kept.sealedAt + kept.expiresAt) / 2)
  }

  /** Whether its entry must be written again to update `lastSeenAt`. */
  get isUnseen (): boolean {
    const { idle, kept } = this.current
    if (kept?.seenAt === undefined || !this.#config.rolling) return false
    return this.#times.now() > kept.seenAt + Math.min(SEEN_AFTER, this.#times.idleTimeout(idle) / 2)
  }

  get changed (): boolean {
    if (this.current.standing !== 'live') return false
    return this.status !== 'unmodified' || this.text() !== this.savedText
  }

  get deleted (): boolean {
    return this.current.origin === 'destroy' && Object.keys(this.session).length === 0
  }

  /** The data in the cookie or the store, as JSON. A session has changed if its data differs from it. */
  get savedText (): string {
    return this.current.kept?.text ?? EMPTY
  }

  /**
   * The data as JSON, without the checks; `undefined` if it cannot be serialized, which counts as a change. JSON drops functions
   * silently, so data that looks unchanged is searched for them here. Changed data is checked when it is saved.
   */
  text (): string | undefined {
    try {
      const text = JSON.stringify(this.session)
      return text === this.savedText && hasFunction(this.session) ? undefined : text
    } catch {
      return undefined
    }
  }

  /** The facts that `decide` needs. */
  facts (text: string | undefined): Facts {
    return {
      status: this.status,
      standing: this.current.standing,
      isChanged: text !== this.savedText,
      isEmpty: text === EMPTY,
      isDue: this.isDue || this.isUnseen,
      cookie: this.parts === 0 || this.holds === 'newer' ? 'none' : this.holds
    }
  }

  touch (): void {
    this.onLateUse?.()
    if (this.status === 'unmodified') this.status = 'touched'
  }

  /** Replaces the session by a new one, which has a new id and creation time and is not saved yet. */
  replace (by: Past['by'], left: Past['left'] = []): void {
    this.onLateUse?.()
    const { current } = this
    const ended = current.standing === 'unproven' ? this.arrival.unproven! : current
    // A session that was never sealed exists only in this request. One that is being saved may be sealed in a moment.
    if (ended.kept !== undefined || this.saving !== undefined) this.past = [...this.past, { session: ended, by, left, wasTried: current.standing === 'unread' }]
    this.current = new Identity(by, this.#times.now())
    // Kept data stays bound: otherwise a thief could get an unbound session while a stolen proof lasts.
    if (left.length > 0) this.current.binding = current.binding
    this.status = by === 'destroy' ? 'destroyed' : 'regenerated'
    if (this.holds === 'own') this.holds = 'other'
    this.isSet = false
    this.failure = undefined
    this.endFailure = undefined
  }

  persist (idle: number | false): void {
    this.current.idle = idle === false ? false : parseIdleTimeout('persist', idle, 'a number of seconds above 0, or false')
    this.touch()
  }

  override (options: ResponseCookieOptions): void {
    const { maxAge } = options
    if (maxAge !== undefined) this.persist(maxAge)
    this.attributes = overrideAttributes(this.#config.cookieName, this.attributes ?? this.#config.cookie, options)
  }
}
