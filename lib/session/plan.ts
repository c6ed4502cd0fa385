import type { CookieFormat } from '../cookie/serialize.js'
import { serialize } from '../json.js'
import type { Idle } from '../lifetimes.js'
import type { decide, Status } from './policy.js'
import type { Identity, Past, SessionState } from './state.js'

/** What is to become of a session, by what it was at one moment. What the app does meanwhile is for the next plan. */
export interface Plan {
  readonly action: ReturnType<typeof decide>
  readonly status: Status
  readonly session: Identity
  readonly idle: Idle
  readonly past: readonly Past[]
  readonly text: string | undefined
  readonly isLate: boolean
  /** How its cookies are written: what fits when it is sealed fits when it is set */
  readonly format: CookieFormat
}

/** Takes what was asked of a session out of its state and into a plan. */
export function take (state: SessionState, action: Plan['action'], text: string | undefined, isLate: boolean, format: CookieFormat): Plan {
  const { status, current } = state
  // A session whose first save failed was never sealed.
  const past = state.past.filter(({ session }) => session.kept !== undefined)
  state.status = 'unmodified'
  state.past = []
  return { action, status, session: current, idle: current.idle, past, text, isLate, format }
}

/** The data that is to be kept, checked unless it is what came. @throws FST_SESSION_NOT_SERIALIZABLE, FST_SESSION_RESERVED_KEY */
export function check ({ savedText, session }: SessionState, { text }: Plan): string {
  return text === savedText ? text : serialize(session, text)
}

/** The same at once, but failing only when it is asked for. */
export function checkNow (state: SessionState, plan: Plan): () => string {
  try {
    const text = check(state, plan)
    return () => text
  } catch (error) {
    return () => { throw error }
  }
}

/** The keys that still hold what `regenerate(keep)` kept of a session of the past. */
export function carriedKeys ({ session }: SessionState, { past }: Plan): string[] {
  const data = session as Record<string, unknown>
  return past.flatMap(({ left }) => left).filter(([key, value]) => Object.hasOwn(data, key) && Object.is(data[key], value)).map(([key]) => key)
}
