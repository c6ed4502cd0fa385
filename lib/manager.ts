import type { SessionManager } from '../types/index.js'
import type { Committer } from './commit.js'
import { getSlot } from './guard.js'
import type { SessionConfig } from './options.js'
import { forData } from './sealer.js'
import type { SessionSealer } from './sealer.js'
import { SessionState } from './state.js'

/** `app.session` */
export function createManager (config: SessionConfig, sealer: SessionSealer, committer: Committer): SessionManager {
  const { seal, unseal } = forData(sealer)
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
