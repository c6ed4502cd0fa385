import type { SessionOptions } from '../../types/index.js'
import { errors } from '../errors.js'
import { EMPTY } from '../json.js'

/** Returns the user of a session from its data as JSON; `undefined` for a session without a user. */
export type Owner = (text: string) => string | undefined

/**
 * Calls the app's `userOf` with a copy of the data, so that it cannot change the session.
 * @throws what `userOf` throws; FST_SESSION_INVALID_OPTION if it returns neither a string nor `undefined`
 */
export function ownerBy (userOf: NonNullable<SessionOptions['userOf']>): Owner {
  return text => {
    // An empty session is not stored, so it belongs to nobody.
    if (text === EMPTY) return undefined
    const user: unknown = userOf(JSON.parse(text) as Parameters<typeof userOf>[0])
    if (user === undefined || typeof user === 'string') return user
    // The error below reports that userOf is asynchronous. If its promise rejects as well, the process must not end.
    if (user instanceof Promise) user.catch(() => undefined)
    // The value may be personal data, so the message shows only its type.
    const what = user === null ? 'null' : `a value of the type ${typeof user}`
    throw new errors.FST_SESSION_INVALID_OPTION('userOf', `must return a string or undefined; it returned ${what}`)
  }
}
