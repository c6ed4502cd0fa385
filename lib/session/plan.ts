import type { CookieFormat } from '../cookie/serialize.js'
import { serialize } from '../json.js'
import type { Idle } from '../lifetimes.js'
import type { decide, Status } from './policy.js'
import type { Identity, Past, SessionState } from './state.js'

/** What to do with a session, decided from its state at one moment. What the app does meanwhile goes into the next plan. */
export interface Plan {
  readonly action: ReturnType<typeof decide>
  readonly status: Status
  readonly session: Identity
  readonly idle: Idle
  readonly past: readonly Past[]
  readonly text: string | undefined
  readonly isLate: boolean
  /** The cookie format, the same for sealing and for setting, so that a token that fits once fits later */
  readonly format: CookieFormat
}

/** Moves what the app has asked of a session from its state into a plan. */
export function take (state: SessionState, action: Plan['action'], text: string | undefined, isLate: boolean, format: CookieFormat): Plan {
  const { status, current } = state
  // A session whose first save failed was never sealed.
  const past = state.past.filter(({ session }) => session.kept !== undefined)
  state.status = 'unmodified'
  state.past = []
  return { action, status, session: current, idle: current.idle, past, text, isLate, format }
}

/** The data to save, as JSON. Unchanged data needs no check. @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY */
export function check ({ savedText, session }: SessionState, { text }: Plan): string {
  return text === savedText ? text : serialize(session, text)
}

/** Checks the data now. An error is thrown only when the returned function is called. */
export function checkNow (state: SessionState, plan: Plan): () => string {
  try {
    const text = check(state, plan)
    return () => text
  } catch (error) {
    return () => { throw error }
  }
}

/** The keys that still hold values which `regenerate(keep)` kept from an earlier session. */
export function carriedKeys ({ session }: SessionState, { past }: Plan): string[] {
  const data = session as Record<string, unknown>
  return past.flatMap(({ left }) => left).filter(([key, value]) => Object.hasOwn(data, key) && Object.is(data[key], value)).map(([key]) => key)
}
