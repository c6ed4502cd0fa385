import type { ResponseCookieOptions, SessionInfo, SessionReason } from '../../types/index.js'
import { overrideAttributes } from '../cookie/attributes.js'
import type { CookieAttributes } from '../cookie/attributes.js'
import { MAX_SECONDS, parseTimeout } from '../options/checks.js'
import { EMPTY } from '../json.js'
import type { Envelope } from '../seal/envelope.js'
import type { SessionConfig } from '../options/options.js'
import { randomId } from '../seal/random.js'
import { describe } from '../seal/sealer.js'
import type { SessionSealer, Verified } from '../seal/sealer.js'

/**
 * What was asked of a session, beside changes to its data, which are found by comparing:
 * nothing · to be sealed whatever its data · a new id · its end · its end, and that has been saved · another request
 * has ended it, so that it cannot be saved
 */
export type Status = 'unmodified' | 'touched' | 'regenerated' | 'destroyed' | 'ended' | 'lost'

/** What a session was before it was given a new id: to be ended where it lives beside its cookies. */
export interface Past extends Envelope {
  /** How many writes to the store were done when it was read */
  asOf: number
  by: 'destroy' | 'regenerate'
  /** Whether data of it goes on in the session that takes its place */
  goesOn: boolean
  /** When the seal expires that it came with, in milliseconds since 1970 */
  sealExpiresAt: number
  /** Whether it has been ended there */
  isOver: boolean
}

/** One session of one request: everything about it that is not its data. */
export class SessionState {
  /** `request.session`, which puts itself here */
  session!: object
  status: Status = 'unmodified'
  /** The data as it is on the client or in the store, in JSON: what changes are measured against */
  savedText = EMPTY
  isNew = true
  /** Whether the cookie that the client holds is of this session, not of one before it */
  isHeld = false
  /** Whether this response has a seal of it */
  isSealed = false
  /** Whether the app has asked for it; until then it takes no part in the response */
  isRead = false
  /** Whether saving it has failed, which the app's error handler knows already */
  failed = false
  /** Whether the store has failed in saving it: it is not asked again for this response */
  abandoned = false
  /** Whether it was sealed with an older secret */
  stale = false
  /** When its seal expires, in milliseconds since 1970; 0 for a session that has none */
  sealExpiresAt = 0
  /** Which cookies of ours the client holds: bit 0 is the name itself, bit n is chunk n */
  held = 0
  /** Whether what came was rejected for good and is to be cleared */
  rejected = false
  reason: SessionReason | null = 'absent'
  /** Whether the store has an entry for it */
  stored = false
  /** How many writes to the store were done when it was read */
  asOf = 0
  /** The sessions that it was before */
  readonly past: Past[] = []
  /** Cookie attributes of this response, where they differ from the registered ones */
  attributes: CookieAttributes | undefined
  idle: Envelope['idle']
  longest: Envelope['longest']
  createdAt: number
  readonly #config: SessionConfig
  readonly #sealer: SessionSealer
  #id = ''

  constructor (config: SessionConfig, sealer: SessionSealer, verified: Verified | undefined) {
    this.#config = config
    this.#sealer = sealer
    if (verified === undefined) {
      this.createdAt = sealer.now()
    } else {
      const { envelope, expiresAt, stale } = verified
      this.#id = envelope.id
      this.createdAt = envelope.createdAt
      this.idle = envelope.idle
      this.longest = envelope.longest
      if (config.isRevoked !== undefined) this.#outlast((expiresAt - sealer.now()) / 1000)
      this.savedText = envelope.text
      this.stored = envelope.stored
      this.sealExpiresAt = expiresAt
      this.stale = stale
      this.isNew = false
      this.isHeld = true
      this.reason = null
    }
  }

  /** Drawn when it is first asked for: most new sessions stay empty and need none. */
  get id (): string {
    if (this.#id === '') this.#id = randomId()
    return this.#id
  }

  get info (): SessionInfo {
    const { id, createdAt, idle } = this
    const expiresAt = this.sealExpiresAt || createdAt + this.#sealer.idleTimeout(idle)
    return describe(this.#sealer, { id, createdAt }, expiresAt, this.reason, this.isNew)
  }

  /** Whether a seal of this session is to be made anew though nothing changed: an older secret, or half its time gone. */
  get due (): boolean {
    if (this.isNew) return false
    if (this.stale) return true
    return this.#config.rolling && this.sealExpiresAt - this.#sealer.now() < this.#sealer.idleTimeout(this.idle) / 2
  }

  /** Whether sealing was asked for, whatever became of the data. */
  get asked (): boolean {
    return this.status === 'touched' || this.status === 'regenerated'
  }

  get changed (): boolean {
    return this.asked || this.status === 'destroyed' || this.text() !== this.savedText
  }

  get deleted (): boolean {
    return (this.status === 'destroyed' || this.status === 'ended') && Object.keys(this.session).length === 0
  }

  touch (): void {
    if (this.status === 'unmodified') this.status = 'touched'
  }

  /** Another session from here on: a new id and creation time, an empty past. */
  renew (status: 'regenerated' | 'destroyed', goesOn = false): void {
    // One that nobody has had a seal of was never anywhere but here.
    if (this.sealExpiresAt !== 0) {
      const by = status === 'destroyed' ? 'destroy' : 'regenerate'
      const { asOf, sealExpiresAt } = this
      this.past.push({ ...this.envelope(EMPTY, this.stored), asOf, sealExpiresAt, by, goesOn, isOver: false })
    }
    this.status = status
    this.stored = false
    this.savedText = EMPTY
    this.isNew = true
    this.isHeld = false
    this.isSealed = false
    this.stale = false
    this.sealExpiresAt = 0
    this.idle = undefined
    this.longest = undefined
    this.createdAt = this.#sealer.now()
    this.#id = ''
  }

  persist (idle: number | false): void {
    const before = this.#sealer.idleTimeout(this.idle) / 1000
    this.idle = idle === false ? false : parseTimeout('persist', idle, 'a number of seconds above 0, or false')
    if (this.sealExpiresAt !== 0) this.#outlast(before)
    this.touch()
  }

  /** Copies of its cookie may live longer than it does from here on: its revocation has to know. */
  #outlast (seconds: number): void {
    // Clocks may differ by a minute.
    if (seconds > this.#sealer.idleTimeout(this.idle) / 1000 + 60) this.longest = Math.min(Math.max(Math.ceil(seconds), this.longest ?? 0), MAX_SECONDS)
  }

  override (options: ResponseCookieOptions): void {
    const { maxAge } = options
    if (maxAge !== undefined) this.persist(maxAge)
    this.attributes = overrideAttributes(this.#config.cookieName, this.attributes ?? this.#config.cookie, options)
  }

  /** What is to be sealed */
  envelope (text: string, stored: boolean): Envelope {
    return { id: this.id, createdAt: this.createdAt, idle: this.idle, longest: this.longest, text, stored }
  }

  /** The data as JSON without the checks; `undefined` where JSON refuses it, which differs from any text. */
  text (): string | undefined {
    try {
      return JSON.stringify(this.session)
    } catch {
      return undefined
    }
  }

  /** Takes note that all that was asked has been done: only what comes after counts as a change. */
  settle (text: string | undefined): void {
    if (this.status === 'destroyed') this.status = 'ended'
    else if (this.status !== 'ended' && this.status !== 'lost') this.status = 'unmodified'
    if (text !== undefined) this.savedText = text
  }

  /** Takes note that the client was given a seal of this text, in these parts. */
  sealed (text: string, held: number, stored: boolean): void {
    this.status = 'unmodified'
    this.stored = stored
    this.savedText = text
    this.held = held
    this.isHeld = true
    this.isSealed = true
    this.stale = false
    this.rejected = false
    this.sealExpiresAt = this.#sealer.now() + this.#sealer.idleTimeout(this.idle)
  }

  /** Takes note that the client was told to drop every part. */
  cleared (): void {
    this.settle(EMPTY)
    this.stored = false
    this.held = 0
    this.isHeld = false
    this.rejected = false
  }
}
