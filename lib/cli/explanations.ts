import type { SessionReason } from '../../types/index.js'

/** What a reason means for somebody who looks at a cookie, and what to try. */
export const explanations: Readonly<Record<SessionReason, string>> = {
  absent: 'There is no cookie with this name. If the session has another name, give it with --name, or with --cookie where the cookie\'s ' +
    'name differs from the session\'s.',
  malformed: 'It does not have the form of an Iron seal (Fe26.2*…). Copy the value whole. A session that is split over several cookies ' +
    '(name, name.1, …) needs all of them: pass the whole Cookie header.',
  'unknown-key': 'It was sealed with another secret. Put an older one into OLD_SESSION_SECRET, or several into a file for --secret-file.',
  tampered: 'It was changed or cut off after it was sealed, or it was sealed with another secret (see --secret-file) or with other ' +
    'parameters than Iron\'s defaults (option iron), which this command does not know.',
  expired: 'It was not used for longer than its idle timeout. --expired opens it all the same.',
  outlived: 'It is older than the default absolute timeout, 90 days. --expired opens it all the same.',
  'wrong-name': 'It is a session with another sessionName. Give that with --name.',
  foreign: 'It was sealed with this secret, but not as a session of this package.',
  revoked: 'It was revoked.',
  invalid: 'Its data cannot be that of a session: it is no object, or one of its keys is reserved.',
  'not-stored': 'The store has no entry for it.',
  unproven: 'It is bound to a device that has not proven itself. inspect opens it.'
}
