import type { SessionManager } from '../types/index.js'
import type { Committer } from './session/save.js'
import type { CookieWriter } from './cookie/jar.js'
import { getSlot } from './guard.js'
import type { SessionConfig } from './options/options.js'
import { forData } from './seal/sealer.js'
import type { SessionSealer } from './seal/sealer.js'
import { SessionState } from './session/state.js'
import type { SessionStorage } from './store/keeper.js'

/** `app.session` */
export function createManager (
  config: SessionConfig, sealer: SessionSealer, storage: SessionStorage | undefined, committer: Committer, cookies: CookieWriter
): SessionManager {
  const { seal, unseal } = storage === undefined
    ? forData(sealer)
    : forData(sealer, envelope => storage.seal(envelope, token => cookies.fits(token, envelope)), loaded => storage.open(loaded))
  return Object.freeze<SessionManager>({
    seal,
    unseal,
    async cookie (data) {
      return `${config.cookieName}=${await seal(data)}`
    },
    async commit (request, reply) {
      const state = getSlot(request, config.sessionName)
      return state instanceof SessionState && state.isRead ? await committer.commit(state, request, reply) : []
    }
  })
}
