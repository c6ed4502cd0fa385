import type { SessionReason } from '../../types/index.js'

/** Whether a rejected cookie is cleared. `keep` if another node or another app may accept it. */
export const onRejection: Readonly<Record<SessionReason, 'keep' | 'clear'>> = {
  absent: 'keep',
  malformed: 'clear',
  'unknown-key': 'keep',
  tampered: 'clear',
  expired: 'clear',
  outlived: 'clear',
  'wrong-name': 'keep',
  foreign: 'keep',
  // This response may arrive after that of the login which replaced the session, and must not clear the new cookie.
  revoked: 'keep',
  'not-stored': 'keep',
  invalid: 'clear',
  // The session has not ended: the browser may still refresh its proof.
  unproven: 'keep'
}

/** What the app has asked of a session since it was loaded or saved, besides changes of its data. */
export type Status = 'unmodified' | 'touched' | 'regenerated' | 'destroyed'

/** What `decide` needs to know about a session. */
export interface Facts {
  readonly status: Status
  /**
   * `gone`: another request has ended it. `unread`: it could not be loaded. `unproven`: the session of the cookie is bound to a device,
   * the request has no proof of it, and gets this empty session instead
   */
  readonly standing: 'live' | 'gone' | 'unread' | 'unproven'
  /** Whether its data differs from what was loaded or saved last */
  readonly isChanged: boolean
  /** Whether it has no data */
  readonly isEmpty: boolean
  /** Whether its cookie or entry needs renewal: it has an older secret, half of its time has passed, or `lastSeenAt` is outdated */
  readonly isDue: boolean
  /** Which cookie the client has: none that may be cleared, this session's, one that was rejected for good, or another one */
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
