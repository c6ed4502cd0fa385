import { inspect } from 'node:util'
import type { ResponseCookieOptions, SessionInfo } from '../../types/index.js'
import { reservedKeyError, reservedKeys, serialize } from '../json.js'
import type { SessionState } from './state.js'

/**
 * `request.session`. Its own keys are the data. Its members are on a prototype that inherits from nothing,
 * so `toString`, `constructor` and `__proto__` are ordinary keys.
 */
export class Session {
  readonly #state: SessionState

  // Copied key by key: changing the prototype of the parsed object takes longer than parsing it.
  private constructor (state: SessionState, data: object) {
    this.#state = state
    const from = data as Record<string, unknown>
    const to = this as unknown as Record<string, unknown>
    for (const key of Object.keys(from)) to[key] = from[key]
  }

  /** Creates the session of a state. @param data freshly parsed: the session takes it over */
  static open (state: SessionState, data: object): SessionState {
    state.session = new Session(state, data)
    return state
  }

  /** Replaces the data of a session that is in use. @param text JSON */
  static refill (state: SessionState, text: string): void {
    wipe(state.session as Session)
    Object.assign(state.session, JSON.parse(text))
  }

  get (key: string): unknown {
    return Object.hasOwn(this, key) ? (this as unknown as Record<string, unknown>)[key] : undefined
  }

  set (key: string, value: unknown): void {
    (this as unknown as Record<string, unknown>)[key] = value
  }

  clear (): void {
    wipe(this)
  }

  regenerate (keep: readonly string[] = []): void {
    const kept = keep.filter(key => Object.hasOwn(this, key)).map(key => [key, this.get(key)] as const)
    wipe(this)
    this.#state.replace('regenerate', kept)
    for (const [key, value] of kept) this.set(key, value)
  }

  destroy (): void {
    wipe(this)
    this.#state.replace('destroy')
  }

  delete (): void {
    this.destroy()
  }

  touch (): void {
    this.#state.touch()
  }

  persist (idleTimeout: number | false): void {
    this.#state.persist(idleTimeout)
  }

  options (cookie: ResponseCookieOptions): void {
    this.#state.override(cookie)
  }

  data (): object {
    return JSON.parse(serialize(this)) as object
  }

  get changed (): boolean {
    return this.#state.changed
  }

  get deleted (): boolean {
    return this.#state.deleted
  }

  get info (): SessionInfo {
    return this.#state.info
  }

  /** `console.log(request.session)` shows the data. */
  [inspect.custom] (_depth: number, options: object): string {
    return `Session ${inspect({ ...this }, options)}`
  }
}

function wipe (session: Session): void {
  for (const key of Object.keys(session)) Reflect.deleteProperty(session, key)
}

// Each member becomes an accessor, so that assigning to it throws, as `set` does.
Object.setPrototypeOf(Session.prototype, null)
delete (Session.prototype as { constructor?: unknown }).constructor
for (const name of reservedKeys) {
  const { value, get = () => value } = Object.getOwnPropertyDescriptor(Session.prototype, name)!
  Object.defineProperty(Session.prototype, name, { get, set () { throw reservedKeyError(name) }, configurable: false })
}
