import type { SessionManager } from '../types/index.js'
import type { CookieJar } from './cookie/jar.js'
import { getSlot } from './guard.js'
import type { SessionConfig } from './options/options.js'
import { forData } from './seal/sealer.js'
import type { SessionSealer } from './seal/sealer.js'
import type { Loader } from './session/load.js'
import type { Saver } from './session/save.js'
import { SessionState } from './session/state.js'
import { Deadline } from './store/deadline.js'
import type { Keeper } from './store/keeper.js'

/** Creates `app.session`. */
export function createManager (
  config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined, loader: Loader, saver: Saver, jar: CookieJar
): SessionManager {
  const { seal, unseal } = keeper === undefined ? forData(sealer) : withKeeper(keeper)

  function withKeeper (keeper: Keeper): ReturnType<typeof forData> {
    const seals = saver.sealsFor(jar.formatFor(undefined, undefined), false)
    return forData(
      sealer,
      async ({ id, createdAt, idle, text }) => {
        const deadline = new Deadline(config.storeTimeout)
        const session = { id, createdAt, idle, kept: undefined }
        try {
          return await deadline.bound(async () => await keeper.seal(session, { text, idle }, seals, deadline))
        } catch (error) {
          keeper.giveUp(session)
          throw error
        }
      },
      async token => {
        const deadline = new Deadline(config.storeTimeout)
        return await deadline.bound(async () => await loader.open(token, undefined, deadline))
      }
    )
  }

  return Object.freeze<SessionManager>({
    seal,
    unseal,
    async cookie (data) {
      return `${config.cookieName}=${await seal(data)}`
    },
    async commit (request, reply) {
      const state = getSlot(request, config.sessionName)
      return state instanceof SessionState && state.isRead ? await saver.save(state, request, reply) : []
    }
  })
}
