import type { FastifyRequest } from 'fastify'
import type { SessionReason } from '../../types/index.js'
import { findCookies } from '../cookie/parse.js'
import type { Found } from '../cookie/parse.js'
import { listens, tell } from '../diagnostics.js'
import type { SessionConfig } from '../options/options.js'
import type { Loaded, SessionSealer } from '../seal/sealer.js'
import { Session } from './session.js'
import { SessionState } from './state.js'
import type { SessionStorage } from '../store/keeper.js'

/** A cookie rejected for one of these is left: another node may know the key, or another app the cookie. */
const LEFT: ReadonlySet<SessionReason> = new Set(['unknown-key', 'wrong-name', 'foreign'])

const NONE: Found = { candidates: [], held: 0, more: false }

/** Cookie header → candidates → unseal → session. The first candidate that opens wins. */
export function load (config: SessionConfig, sealer: SessionSealer, request: FastifyRequest): SessionState {
  return choose(config, sealer, request, find(config, request), token => sealer.unseal(token) as Loaded)
}

/**
 * The same, where unsealing has to be waited for, or there is more to ask than the cookie.
 * @throws FST_SESSION_STORE
 */
export async function loadLater (
  config: SessionConfig, sealer: SessionSealer, storage: SessionStorage | undefined, request: FastifyRequest
): Promise<SessionState> {
  const asOf = storage?.now ?? 0
  const found = find(config, request)
  const opened = new Map<string, Loaded>()
  for (const token of found.candidates) {
    const unsealed = await sealer.unseal(token)
    const loaded = storage === undefined ? unsealed : await storage.open(unsealed, request)
    opened.set(token, loaded)
    if (loaded.ok) break
  }
  const state = choose(config, sealer, request, found, token => opened.get(token)!)
  state.asOf = asOf
  return state
}

function find ({ cookieName }: SessionConfig, request: FastifyRequest): Found {
  const header = request.raw.headers.cookie
  return header === undefined ? NONE : findCookies(header, cookieName)
}

function choose (
  config: SessionConfig, sealer: SessionSealer, request: FastifyRequest, found: Found, open: (token: string) => Loaded
): SessionState {
  const reasons: SessionReason[] = []
  for (const token of found.candidates) {
    const loaded = open(token)
    if (loaded.ok) {
      const state = new SessionState(config, sealer, loaded.verified)
      state.held = found.held
      const { id, text } = loaded.verified.envelope
      if (listens('loaded')) tell('loaded', config.sessionName, request, { id, bytes: Buffer.byteLength(text) })
      return Session.open(state, loaded.data)
    }
    const { reason } = loaded
    reasons.push(reason)
    if (listens('rejected')) tell('rejected', config.sessionName, request, { reason })
    request.log.debug({ session: config.sessionName, reason }, 'session cookie rejected')
  }
  const state = new SessionState(config, sealer, undefined)
  state.held = found.held
  const [reason] = reasons
  if (reason !== undefined) {
    state.reason = reason
    // One that was not tried may be good.
    state.rejected = !found.more && !reasons.some(reason => LEFT.has(reason))
  }
  return Session.open(state, {})
}
