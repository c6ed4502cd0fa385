import type { SessionOptions } from '../../types/index.js'
import { errors } from '../errors.js'
import { EMPTY } from '../json.js'

/** Whose a session is, by its data as JSON; `undefined` for nobody's. */
export type Owner = (text: string) => string | undefined

/**
 * Asks the app's `userOf`, which gets a copy of the data: it cannot change the session.
 * @throws what `userOf` throws, FST_SESSION_INVALID_OPTION where it returns neither a string nor `undefined`
 */
export function ownerBy (userOf: NonNullable<SessionOptions['userOf']>): Owner {
  return text => {
    // An empty session is not kept, so it is nobody's.
    if (text === EMPTY) return undefined
    const user: unknown = userOf(JSON.parse(text) as Parameters<typeof userOf>[0])
    if (user === undefined || typeof user === 'string') return user
    // That it is asynchronous is the error to show. What becomes of its promise must not end the process.
    if (user instanceof Promise) user.catch(() => undefined)
    // What it returned may be somebody's data, and is not shown.
    const what = user === null ? 'null' : `a value of the type ${typeof user}`
    throw new errors.FST_SESSION_INVALID_OPTION('userOf', `must return a string or undefined; it returned ${what}`)
  }
}
