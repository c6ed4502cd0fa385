import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BoundRefusal, SessionReason } from '../../types/index.js'
import { errors } from '../errors.js'
import type { Binding } from '../seal/envelope.js'
import type { Loader } from '../session/load.js'
import type { Saver } from '../session/save.js'
import type { Identity, SessionState } from '../session/state.js'
import type { Parts } from './bound.js'
import { parseProof, stringOf } from './jws.js'
import type { Proof } from './jws.js'
import { algorithmOf, hasSigned, shorten } from './key.js'
import type { Kind, Note } from './notes.js'
import { bindingIdOf } from './proofs.js'
import type { Answer } from './routes.js'

/** Why a session cannot be used here that another node may know: the browser is to keep its binding. */
const ELSEWHERE: ReadonlyArray<SessionReason | null> = ['unknown-key', 'foreign']

/** Answers the two requests that a browser makes for a binding. Nobody has to be trusted: each answer follows from what was sealed and signed. */
export class Registrar {
  readonly #parts: Parts
  readonly #loader: Loader
  readonly #saver: Saver

  constructor (parts: Parts, loader: Loader, saver: Saver) {
    this.#parts = parts
    this.#loader = loader
    this.#saver = saver
  }

  /** Binds a session to the key that the browser has made for it. */
  async register (request: FastifyRequest, reply: FastifyReply): Promise<Answer> {
    return await this.#guarded(request, async state => {
      const { proofs, marks, sealer: { times } } = this.#parts
      const session = state.arrival.session
      if (session === undefined) return this.#refuse(request, state, state.arrival.unproven?.binding === undefined ? 'no-session' : 'already-bound')
      if (session.binding !== undefined) return this.#refuse(request, state, 'already-bound')
      const proof = this.#proofOf(request)
      if (proof?.jwk === undefined) return this.#refuse(request, state, 'malformed')
      const key = shorten(proof.jwk, proof.algorithm)
      if (key === undefined) return this.#refuse(request, state, 'key')
      const challenge = await this.#challenge(proof, 'registration', session.id)
      if (challenge === undefined) return this.#refuse(request, state, 'challenge')
      if (!hasSigned(key, proof.input, proof.signature)) return this.#refuse(request, state, 'signature')
      if (await marks?.take(proof.challenge, challenge, times.now()) === false) return this.#refuse(request, state, 'used')

      session.binding = { id: bindingIdOf(session.id), key, provenAt: times.now() }
      state.touch()
      try {
        await this.#saver.save(state, request, reply)
      } catch (error) {
        if (!(error instanceof errors.FST_SESSION_TOO_LARGE)) throw error
        request.log.warn({ sessionName: this.#parts.session.sessionName, err: error }, 'a session cannot be bound')
        return this.#refuse(request, state, 'too-large')
      }
      // Another request has ended it meanwhile.
      if (session.standing !== 'live') return this.#refuse(request, state, 'no-session')
      await this.#noteBound(state, session.binding, request)
      await proofs.issue(session.binding.id, reply)
      proofs.dropOffer(request, reply)
      this.#parts.tell('registered', request, session.id)
      return { status: 200, body: this.#instructions(session.binding.id, request) }
    })
  }

  /** Gives the browser a new proof for a challenge that it has signed. */
  async refresh (request: FastifyRequest, reply: FastifyReply): Promise<Answer> {
    const id = stringOf(request.headers['sec-secure-session-id'])
    // Another cookie of the name may come first, for example from a sibling host.
    const isSought = (session: Identity): boolean => session.binding?.id === id
    return await this.#guarded(request, async state => {
      const { proofs, marks, sealer: { times } } = this.#parts
      const session = state.arrival.session ?? state.arrival.unproven
      if (session === undefined) return this.#refuse(request, state, 'no-session')
      const { binding } = session
      // Also the browser's binding of an earlier session.
      if (binding === undefined || binding.id !== id) return this.#refuse(request, state, 'not-bound')
      if (request.headers['secure-session-response'] === undefined) return await this.#ask(binding.id)
      const proof = this.#proofOf(request)
      if (proof === undefined || proof.jwk !== undefined || proof.algorithm !== algorithmOf(binding.key)) return this.#refuse(request, state, 'malformed')
      const challenge = await this.#challenge(proof, 'refresh', binding.id)
      if (challenge === undefined) return await this.#askAnew(request, session.id, binding.id, 'challenge')
      if (!hasSigned(binding.key, proof.input, proof.signature)) return this.#refuse(request, state, 'signature')
      if (await marks?.take(proof.challenge, challenge, times.now()) === false) return await this.#askAnew(request, session.id, binding.id, 'used')

      await proofs.issue(binding.id, reply)
      this.#parts.tell('refreshed', request, session.id)
      return { status: 200, body: this.#instructions(binding.id, request) }
    }, isSought)
  }

  /** Loads the session, and makes sure that what fails on our side never ends a binding. */
  async #guarded (request: FastifyRequest, work: (state: SessionState) => Promise<Answer>, isSought?: (session: Identity) => boolean): Promise<Answer> {
    // A page's script cannot send this mode together with headers of its choice.
    const mode = request.headers['sec-fetch-mode']
    if (mode !== undefined && mode !== 'no-cors') return this.#refuse(request, undefined, 'script')
    try {
      const state = await this.#loader.load(request, isSought)
      // Throws what loading has failed with.
      Object.keys(state.session)
      if (ELSEWHERE.includes(state.arrival.reason)) return this.#unavailable(request, 'unknown-session')
      return await work(state)
    } catch (error) {
      request.log.error({ sessionName: this.#parts.session.sessionName, err: error as Error }, 'a binding could not be answered')
      return this.#unavailable(request, 'unavailable')
    }
  }

  #proofOf (request: FastifyRequest): Proof | undefined {
    const text = stringOf(request.headers['secure-session-response'])
    return text === undefined ? undefined : parseProof(text)
  }

  /** The challenge that a proof answers, if it is ours, for this, and still good. */
  async #challenge (proof: Proof, kind: Kind, about: string): Promise<Note | undefined> {
    const note = await this.#parts.notes.open(proof.challenge, kind)
    return note?.about === about ? note : undefined
  }

  /** Asks the browser to sign a challenge; it answers with a second request. */
  async #ask (bindingId: string): Promise<Answer> {
    const challenge = await this.#parts.notes.seal('refresh', bindingId, this.#parts.config.challengeTimeout)
    return { status: 403, headers: { 'secure-session-challenge': `"${challenge}";id="${bindingId}"` }, body: {} }
  }

  async #askAnew (request: FastifyRequest, sessionId: string, bindingId: string, reason: BoundRefusal): Promise<Answer> {
    this.#parts.tell('refused', request, sessionId, reason)
    return await this.#ask(bindingId)
  }

  /** Ends the registration, or the binding. */
  #refuse (request: FastifyRequest, state: SessionState | undefined, reason: BoundRefusal): Answer {
    const session = state?.arrival.session ?? state?.arrival.unproven
    request.log.debug({ sessionName: this.#parts.session.sessionName, reason }, 'binding refused')
    this.#parts.tell('refused', request, session?.id ?? null, reason)
    return { status: 400, body: { refused: reason } }
  }

  #unavailable (request: FastifyRequest, reason: BoundRefusal): Answer {
    this.#parts.tell('refused', request, null, reason)
    return { status: 503, body: { refused: reason } }
  }

  /** The session is bound whether this works or not: without it, cookies from before the registration stay good. */
  async #noteBound ({ current: { id, createdAt, kept } }: SessionState, binding: Binding, request: FastifyRequest): Promise<void> {
    const { marks, sealer: { times } } = this.#parts
    try {
      await marks?.noteBound(id, binding, times.now(), times.lastMoment(createdAt, kept!.expiresAt))
    } catch (error) {
      request.log.error({ sessionName: this.#parts.session.sessionName, err: error as Error }, 'older cookies of a bound session stay good')
    }
  }

  /** https://w3c.github.io/webappsec-dbsc/, "session instructions" */
  #instructions (bindingId: string, request: FastifyRequest): object {
    const { path, config: { cookieName }, proofs: { attributes } } = this.#parts
    return {
      session_identifier: bindingId,
      refresh_url: `${path}/refresh`,
      scope: { origin: `${request.protocol}://${request.host}`, include_site: false },
      credentials: [{ type: 'cookie', name: cookieName, attributes }]
    }
  }
}
