import type { SessionReason } from '../../types/index.js'

/** What a rejected cookie's reason means for the cookie: `keep` where another node, or another app, may know it. */
export const onRejection: Readonly<Record<SessionReason, 'keep' | 'clear'>> = {
  absent: 'keep',
  malformed: 'clear',
  'unknown-key': 'keep',
  tampered: 'clear',
  expired: 'clear',
  outlived: 'clear',
  'wrong-name': 'keep',
  foreign: 'keep',
  // The answer may reach the browser after that of the login which replaced the session.
  revoked: 'keep',
  'not-stored': 'keep',
  invalid: 'clear',
  // The browser may refresh its proof; the session is not over.
  unproven: 'keep'
}

/** What the app has asked of a session since it was loaded or saved, besides changes of its data. */
export type Status = 'unmodified' | 'touched' | 'regenerated' | 'destroyed'

/** What a request knows of its session when it is to be saved. */
export interface Facts {
  readonly status: Status
  /**
   * `gone`: another request has ended it. `unread`: it could not be loaded. `unproven`: the session that came is bound to a device that
   * was not proven, and this empty one stands in for it
   */
  readonly standing: 'live' | 'gone' | 'unread' | 'unproven'
  /** Whether its data differs from what was loaded or saved last */
  readonly isChanged: boolean
  /** Whether it has no data */
  readonly isEmpty: boolean
  /** Whether its cookie or its entry is to be written anew by now: an older secret, half of its time gone, or not seen for long */
  readonly isDue: boolean
  /** Which cookie the client holds: none that is ours to clear, one of this session, one that was rejected for good, or some other */
  readonly cookie: 'none' | 'own' | 'rejected' | 'other'
}

/** The whole policy: whether a session is written, or its cookie cleared. */
export function decide ({ status, standing, isChanged, isEmpty, isDue, cookie }: Facts): 'nothing' | 'save' | 'clear' {
  if (standing !== 'live') return 'nothing'
  const isWanted = isChanged || isDue || status === 'touched' || status === 'regenerated'
  if (!isEmpty) return isWanted ? 'save' : 'nothing'
  // An empty session needs no cookie.
  switch (cookie) {
    case 'none': return 'nothing'
    case 'own': return isWanted ? 'clear' : 'nothing'
    case 'rejected': return 'clear'
    case 'other': return status === 'regenerated' || status === 'destroyed' ? 'clear' : 'nothing'
  }
}
