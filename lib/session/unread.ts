import { inspect } from 'node:util'
import { Session } from './session.js'
import type { Identity, SessionState } from './state.js'

/** The members that end a session without reading its data. */
const ENDS: ReadonlySet<unknown> = new Set(['destroy', 'delete'])

/**
 * Opens a session that could not be loaded. It can be destroyed, so that a logout clears the cookie even during an outage.
 * Any other use throws the error, so that an outage never looks like an empty session. This is the only Proxy: nothing else
 * can intercept keys that are not declared.
 * @param others the sessions of other cookies of the same name, which are destroyed with it
 */
export function openUnread (state: SessionState, others: readonly Identity[], error: unknown): SessionState {
  const thrown = error instanceof Error ? error : new Error(String(error))
  const fail = (): never => { throw thrown }
  const destroy = (): void => {
    Session.open(state, {})
    state.past = others.map(session => ({ session, by: 'destroy', left: [], wasTried: true }))
    state.replace('destroy')
  }
  // util.inspect bypasses the Proxy, so console.log works.
  const target = { [inspect.custom]: () => 'Session (could not be loaded)' }
  state.session = new Proxy(target, {
    get: (_target, key) => ENDS.has(key) ? destroy : fail(),
    has: fail,
    set: fail,
    deleteProperty: fail,
    defineProperty: fail,
    ownKeys: fail,
    getOwnPropertyDescriptor: fail,
    getPrototypeOf: fail,
    setPrototypeOf: fail,
    isExtensible: fail,
    preventExtensions: fail
  })
  state.current.standing = 'unread'
  return state
}
