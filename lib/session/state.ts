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

/** How exact the time is at which a listed session was seen last, in milliseconds: a read within it writes nothing. */
const SEEN_AFTER = 600_000

/** What a request brought. It never changes. */
export interface Arrival {
  /** Which cookies of ours the client holds: bit 0 is the name itself, bit n is chunk n */
  readonly parts: number
  /** Whether what came was rejected for good, so that it is to be cleared */
  readonly isRejected: boolean
  /** Why the session starts empty, `null` for one that was loaded */
  readonly reason: SessionReason | null
  /** The session that came, if one did */
  readonly session: Identity | undefined
  /** The session that came without the proof that it needs: nothing is saved over it, but the app may end it */
  readonly unproven?: Identity | undefined
}

/** A session as it was loaded or saved last, and whether its cookie is to be sealed anew. */
export interface SealedSession extends Sealed {
  /** Whether it was sealed with an older secret, or its cookie lags behind its entry */
  readonly isStale: boolean
}

/** One session under one id. A request may go through several, by `regenerate()` and `destroy()`. */
export class Identity {
  readonly createdAt: number
  /** How it came to be */
  readonly origin: 'cookie' | 'new' | 'regenerate' | 'destroy'
  idle: Idle
  /** The device that it is bound to, if it is */
  binding: Binding | undefined
  standing: Facts['standing'] = 'live'
  /** How it was loaded or saved last; `undefined` for one that was never sealed, and so exists in this request alone */
  kept: SealedSession | undefined
  #id: string

  constructor (origin: Identity['origin'], createdAt: number, id = '', kept: SealedSession | undefined = undefined) {
    this.origin = origin
    this.createdAt = createdAt
    this.#id = id
    this.kept = kept
    this.idle = kept?.idle
  }

  /** Drawn when it is first asked for: most new sessions stay empty and need none. */
  get id (): string {
    if (this.#id === '') this.#id = randomId()
    return this.#id
  }

  /** Takes note that it was saved under another id. */
  set id (id: string) {
    this.#id = id
  }

  /** What it is at this moment. */
  snapshot (): Subject {
    const { id, createdAt, idle, kept, binding } = this
    return { id, createdAt, idle, kept, binding }
  }
}

/** A session that another one took the place of, in the same request. */
export interface Past {
  readonly session: Identity
  readonly by: 'destroy' | 'regenerate'
  /** What `regenerate(keep)` kept of it */
  readonly left: ReadonlyArray<readonly [key: string, value: unknown]>
  /** Whether nobody can say if it has ended: it was not loaded, or a save has failed that was to end it */
  readonly wasTried: boolean
}

/** The session of one request: everything about it that is not its data. */
export class SessionState {
  /** `request.session`, which puts itself here */
  session!: object
  readonly arrival: Arrival
  /** Who the session is by now */
  current: Identity
  status: Status = 'unmodified'
  /** The sessions that it was before, until they have ended */
  past: readonly Past[] = []
  /** Cookies of ours that the client holds, as far as this response has told it */
  parts: number
  /** Whose they are: `newer` where another request has ended the session, and may have given the client another one */
  holds: 'own' | 'rejected' | 'other' | 'newer'
  /** Whether this response has set a cookie of the current session */
  isSet = false
  /** Cookie attributes of this response, where they differ from the registered ones */
  attributes: CookieAttributes | undefined
  /** What is sent to the client, from the plugin's hook on; its `close` ends what the session is held open for */
  response: ServerResponse | undefined
  /** Whether the app has asked for it; until then it takes no part in the response */
  isRead = false
  /** Why the last save has failed, which the app knows already */
  failure: Error | undefined
  /** Why the save at the end of the request has failed, which the app's error handler knows */
  endFailure: Error | undefined
  /** The data that the app knows to be unsaved, as JSON: by an error, or by a warning */
  toldText: string | undefined
  /** The save under way, which never rejects */
  saving: Promise<void> | undefined
  /** Called when the session is used after its response has ended, until when it is `undefined` */
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

  /** Whether its cookie is to be sealed anew though nothing changed. */
  get isDue (): boolean {
    const { origin, kept } = this.current
    if (kept === undefined || origin !== 'cookie') return false
    return kept.isStale || (this.#config.rolling && this.#times.now() > (kept.sealedAt + kept.expiresAt) / 2)
  }

  /** Whether its entry is to be written anew, so that it says when the session was seen last. */
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

  /** The data as it is on the client or in the store, in JSON: what changes are measured against. */
  get savedText (): string {
    return this.current.kept?.text ?? EMPTY
  }

  /**
   * The data as JSON without the checks; `undefined` where it has none, which differs from any string. What JSON drops would pass
   * for unchanged data, so that is looked for here; changed data is checked when it is saved.
   */
  text (): string | undefined {
    try {
      const text = JSON.stringify(this.session)
      return text === this.savedText && hasFunction(this.session) ? undefined : text
    } catch {
      return undefined
    }
  }

  /** What there is to decide by. */
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

  /** Another session from here on: a new id and creation time, nothing saved yet. */
  replace (by: Past['by'], left: Past['left'] = []): void {
    this.onLateUse?.()
    const { current } = this
    const ended = current.standing === 'unproven' ? this.arrival.unproven! : current
    // A session that was never sealed exists in this request alone. One that is being saved may be sealed by then.
    if (ended.kept !== undefined || this.saving !== undefined) this.past = [...this.past, { session: ended, by, left, wasTried: current.standing === 'unread' }]
    this.current = new Identity(by, this.#times.now())
    // Data that goes on stays bound: a thief who may act for a while must not leave with an unbound session.
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
