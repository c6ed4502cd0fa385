import type { SessionManager } from '../types/index.js'
import type { CookieJar } from './cookie/jar.js'
import { errors } from './errors.js'
import { getSession, getSlot } from './guard.js'
import { parseInteger, refused } from './options/checks.js'
import type { SessionConfig } from './options/options.js'
import { forData } from './seal/sealer.js'
import type { SessionSealer } from './seal/sealer.js'
import type { Loader } from './session/load.js'
import type { Saver } from './session/save.js'
import { SessionState } from './session/state.js'
import type { Identity } from './session/state.js'
import { Deadline } from './store/deadline.js'
import type { Endings } from './store/endings.js'
import type { Keeper } from './store/keeper.js'

/** Creates `app.session`. */
export function createManager (
  config: SessionConfig, sealer: SessionSealer, keeper: Keeper | undefined, loader: Loader, saver: Saver, jar: CookieJar, endings: Endings
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

  /** Whether a session that a websocket or a stream uses has not ended. */
  async function lives ({ id, createdAt, idle, kept }: Identity): Promise<boolean> {
    // A session that was never sealed exists only in its request.
    if (kept === undefined) return true
    const { times } = sealer
    const isSealValid = Math.min(kept.expiresAt, times.endOf(createdAt)) > times.now()
    if (keeper === undefined) return isSealValid
    const deadline = new Deadline(config.storeTimeout)
    const found = await deadline.bound(async () => await keeper.find({ id, createdAt, idle, kept }, kept.expiresAt, undefined, deadline))
    if (found.ok) return found.entry !== undefined || isSealValid
    // The session may have become small enough for its cookie, so that its entry has expired.
    return config.storage === 'overflow' && found.reason === 'not-stored' && isSealValid
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
    },
    of (user) {
      const users = keeper?.users
      if (users === undefined) throw refused('userOf', 'it is not set. It tells whose a session is, for example userOf: data => data.user?.id')
      // The value may be personal data, so the message shows only its type.
      if (typeof user !== 'string') throw new errors.FST_SESSION_INVALID_OPTION('user', `must be a string; got a value of the type ${typeof user}`)
      return users.of(user, id => {
        if (id === undefined) endings.lookNow()
        else endings.announce(id)
      })
    },
    signal (request, { every = 60 } = {}) {
      parseInteger('every', every, 1, 86_400)
      const { id } = getSession(request, config.sessionName).info
      const { current, response } = getSlot(request, config.sessionName) as SessionState
      if (current.standing === 'gone') return AbortSignal.abort(new Error('the session has ended'))
      // The request closes as soon as its body has been read, the response later. Before the plugin's hook there is only the request.
      return endings.watch(id, every, async () => await lives(current), response ?? request.raw)
    }
  })
}
