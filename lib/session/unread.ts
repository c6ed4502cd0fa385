import { inspect } from 'node:util'
import { Session } from './session.js'
import type { Identity, SessionState } from './state.js'

/** The members of a session that say how it ends, and need to know nothing of it. */
const ENDS: ReadonlySet<unknown> = new Set(['destroy', 'delete'])

/**
 * Stands for a session that could not be loaded. It can be destroyed: a logout clears the cookie, store or no store. Whatever
 * else is done with it throws the error, so that an outage never looks like an empty session. This is the one place for a Proxy:
 * only it sees a key that nobody has declared.
 * @param others sessions of other cookies of the name, which end with it
 */
export function openUnread (state: SessionState, others: readonly Identity[], error: unknown): SessionState {
  const thrown = error instanceof Error ? error : new Error(String(error))
  const fail = (): never => { throw thrown }
  const destroy = (): void => {
    Session.open(state, {})
    state.past = others.map(session => ({ session, by: 'destroy', left: [], wasTried: true }))
    state.replace('destroy')
  }
  // Its inspection does not go through the Proxy, so that console.log works.
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
