import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { BoundRefusal, SessionEvents } from '../../types/index.js'
import type { CookieJar } from '../cookie/jar.js'
import { serializeAttributes } from '../cookie/serialize.js'
import { listens, tell } from '../diagnostics.js'
import { EMPTY } from '../json.js'
import { refused } from '../options/checks.js'
import type { SessionConfig } from '../options/options.js'
import type { SessionSealer } from '../seal/sealer.js'
import type { Admit, Loader } from '../session/load.js'
import type { Saver } from '../session/save.js'
import type { Identity, SessionState } from '../session/state.js'
import type { Deadline } from '../store/deadline.js'
import { then } from '../then.js'
import type { MaybePromise } from '../then.js'
import { Marks } from './marks.js'
import type { Mark } from './marks.js'
import { Notes } from './notes.js'
import type { BoundConfig } from './options.js'
import { ProofCookie } from './proofs.js'
import { Registrar } from './registrar.js'
import { answerReload, mayBeReloaded } from './reload.js'
import { serveRoutes } from './routes.js'

/** What the parts of this folder share. */
export interface Parts {
  readonly session: SessionConfig
  readonly config: BoundConfig
  /** The full path of the routes */
  readonly path: string
  readonly sealer: SessionSealer
  readonly notes: Notes
  readonly proofs: ProofCookie
  readonly marks: Marks | undefined
  tell (what: SessionEvents['bound']['what'], request: FastifyRequest, id: string | null, reason?: BoundRefusal): void
}

/** Sessions that are bound to a device: offered, registered, refreshed, and asked for their proof. */
export class DeviceBound {
  readonly #parts: Parts

  /** @throws FST_SESSION_INVALID_OPTION */
  constructor (app: FastifyInstance, session: SessionConfig, config: BoundConfig, sealer: SessionSealer, jar: CookieJar) {
    const notes = new Notes(sealer, session.sessionName, session.cacheSize)
    const suffix = serializeAttributes(app.serializeCookie, { ...session.cookie, priority: undefined }, true)
    this.#parts = {
      session,
      config,
      path: fullPath(app, session, config),
      sealer,
      notes,
      proofs: new ProofCookie(config, notes, jar, suffix),
      marks: Marks.for(session),
      tell (what, request, id, reason) {
        if (listens('bound')) tell('bound', session.sessionName, request, { what, id, reason: reason ?? null })
      }
    }
  }

  /** Whether a session may be used: a bound one needs its proof, and one that was bound long ago must not come unbound. */
  readonly admit: Admit = (session, data, request, deadline) => {
    const { binding } = session
    if (binding === undefined) return this.#admitUnbound(session, data, request, deadline)
    return then(this.#parts.proofs.find(binding.id, request), proof => {
      if (proof === undefined) return false
      session.binding = { ...binding, provenAt: proof.issuedAt }
      return true
    })
  }

  #admitUnbound (session: Identity, data: object, request: FastifyRequest, deadline: Deadline | undefined): MaybePromise<boolean> {
    const { config: { required }, marks, sealer: { times } } = this.#parts
    const isLate = required !== false && times.now() > session.createdAt + required * 1000
    if ((!isLate && marks === undefined) || !this.#chooses(JSON.stringify(data), request)) return true
    if (marks === undefined) return false
    return marks.find(session.id, times.now(), deadline!).then(async mark => mark === undefined ? !isLate : await this.#admitMarked(session, mark, request))
  }

  /**
   * A cookie from before the registration may come from a request that was under way, and may be a copy. It is bound from here on: it
   * must not be registered with another key, and nothing that follows from it may be unbound.
   */
  async #admitMarked (session: Identity, { binding, isOld }: Mark, request: FastifyRequest): Promise<boolean> {
    const proof = await this.#parts.proofs.find(binding.id, request)
    session.binding = { ...binding, provenAt: proof?.issuedAt ?? NEVER }
    // A write that was under way at the registration may have put it back into the browser.
    session.kept = { ...session.kept!, isStale: true }
    return proof !== undefined || !isOld
  }

  /** Answers the browser's own requests before any hook that comes after this, and links from other sites that came without the proof. */
  serve (app: FastifyInstance, loader: Loader, saver: Saver, stateOf: (request: FastifyRequest) => SessionState | undefined): void {
    const { path, config: { reload } } = this.#parts
    const { isOurs, answer } = serveRoutes(app, path, new Registrar(this.#parts, loader, saver))
    app.addHook('onRequest', (request, reply, done) => {
      // By the route, because its URL may come in another case or with percent-encoding.
      if (isOurs(request)) return answer(request, reply)
      if (reload && mayBeReloaded(request) && stateOf(request)?.arrival.unproven !== undefined) {
        answerReload(request, reply)
        return
      }
      done()
    })
  }

  /** What a response needs once its session is saved. */
  finish (saving: Promise<undefined> | undefined, state: SessionState, request: FastifyRequest, reply: FastifyReply): Promise<undefined> | undefined {
    if (state.current.binding !== undefined) return saving
    if (saving !== undefined) return saving.then(async () => { await this.#offer(state, request, reply) }) as Promise<undefined>
    const offering = this.#offer(state, request, reply)
    return offering instanceof Promise ? offering as Promise<undefined> : undefined
  }

  #offer (state: SessionState, request: FastifyRequest, reply: FastifyReply): MaybePromise<void> {
    const { config, path, notes, proofs, tell } = this.#parts
    const { id, origin, standing, kept } = state.current
    // The proof goes with the session that it was for.
    if (origin === 'destroy' || origin === 'regenerate') proofs.drop(request, reply)
    if (standing === 'unproven' && state.text() !== EMPTY) {
      request.log.warn({ sessionName: this.#parts.session.sessionName }, 'nothing is saved over a session that was not proven: the change is lost. Call regenerate() at a login')
    }
    if (standing !== 'live' || kept === undefined || kept.text === EMPTY || state.parts === 0) return
    if (!mayRegister(request) || proofs.wasOffered(id, request) || !this.#isWanted(kept.text, request)) return
    return then(notes.seal('registration', id, config.challengeTimeout), challenge => {
      const offer = `(ES256 RS256);path="${path}/registration";challenge="${challenge}"`
      const others = [reply.getHeader('secure-session-registration') ?? []].flat().map(String)
      reply.header('secure-session-registration', [...others.filter(other => !other.includes(`"${path}/registration"`)), offer].join(', '))
      proofs.noteOffer(id, reply)
      tell('offered', request, id)
    })
  }

  /** @throws FST_SESSION_INVALID_OPTION for a promise, which would choose every session; what the app's function throws */
  #chooses (text: string, request: FastifyRequest): boolean {
    const result: unknown = this.#parts.config.when(JSON.parse(text) as Parameters<BoundConfig['when']>[0], request)
    if (!(result instanceof Promise)) return Boolean(result)
    result.catch(() => {}) // its result is not used, so a rejection must not crash the process
    throw refused('deviceBound.when', 'it returns a promise, and must say at once which sessions are bound')
  }

  /** The response is as good as sent: an error of the app's function costs the offer alone. */
  #isWanted (text: string, request: FastifyRequest): boolean {
    try {
      return this.#chooses(text, request)
    } catch (error) {
      request.log.error({ sessionName: this.#parts.session.sessionName, err: error as Error }, 'deviceBound.when has failed: binding was not offered')
      return false
    }
  }
}

/** When the device was last proven of a session that came without a proof, and is used for a moment all the same: so long ago that no check passes. */
const NEVER = 0

/**
 * Whether a browser could register on this response: over HTTPS, and not where another site has led to it. There the browser would
 * send the registration without the `SameSite=Lax` cookie of the session.
 */
function mayRegister ({ protocol, headers }: FastifyRequest): boolean {
  return protocol === 'https' && [undefined, 'same-origin', 'none'].includes(headers['sec-fetch-site'] as string | undefined)
}

/** @throws FST_SESSION_INVALID_OPTION where browsers cannot reach the routes, or would not send the session's cookie there */
function fullPath (app: FastifyInstance, { cookie }: SessionConfig, { path }: BoundConfig): string {
  const full = app.prefix.replace(/\/$/, '') + path
  if (!/^(?:\/[\w.~-]+)+$/.test(full)) throw refused('deviceBound.path', 'the prefix of its scope has parameters. Register the plugin in a scope whose prefix has none')
  if (!full.startsWith(cookie.path.replace(/\/?$/, '/'))) throw refused('deviceBound.path', `cookie.path keeps the session's cookie from ${full}`)
  for (const route of ['registration', 'refresh']) {
    if (app.hasRoute({ method: 'POST', url: `${full}/${route}` })) throw refused('deviceBound.path', `there is a route at ${full}/${route} already. Give each session a path of its own`)
  }
  return full
}

export function createDeviceBound (...args: ConstructorParameters<typeof DeviceBound>): DeviceBound {
  return new DeviceBound(...args)
}
