import type { FastifyRequest } from 'fastify'
import type { RevocationCheck, RevocationList, SessionInfo } from '../../types/index.js'
import type { Lifetimes } from '../lifetimes.js'
import type { Binding } from '../seal/envelope.js'
import { asUnavailable } from './deadline.js'
import type { Deadline } from './deadline.js'
import type { Content } from './merge.js'
import { queueOf } from './write-queue.js'

/** A session, as a list knows it. */
interface Listed {
  readonly id: string
  readonly createdAt: number
  readonly kept: { readonly expiresAt: number } | undefined
  readonly binding?: Binding | undefined
}

/** What `isRevoked` knows: which sessions are revoked and, with a list, who ended them. */
export class Revocations {
  readonly #times: Lifetimes
  readonly #check: RevocationCheck
  /** `undefined` where `isRevoked` is a function: then nothing can be revoked here */
  readonly #list: RevocationList | undefined

  constructor (isRevoked: RevocationCheck | RevocationList, times: Lifetimes) {
    this.#times = times
    this.#list = typeof isRevoked === 'object' ? isRevoked : undefined
    this.#check = typeof isRevoked === 'object' ? isRevoked.check.bind(isRevoked) : isRevoked
  }

  get canRevoke (): boolean {
    return this.#list !== undefined
  }

  /** @throws FST_SESSION_STORE */
  async has (
    session: Listed, expiresAt: number, content: Content | undefined, request: FastifyRequest | undefined, deadline: Deadline
  ): Promise<boolean> {
    deadline.next('isRevoked')
    const info = this.#times.describe(session, expiresAt, null, false)
    const data = content === undefined ? undefined : JSON.parse(content.text) as object
    try {
      return await this.#check(info, request, data)
    } catch (error) {
      throw asUnavailable('isRevoked', error)
    }
  }

  /**
   * Revokes a session. `false` if it had been revoked before. Only where `canRevoke`.
   * @param isRetry whether it may have been revoked by half before
   */
  async end (session: Listed, isRetry: boolean, deadline: Deadline): Promise<boolean> {
    return await this.#turn(session, deadline, async list => {
      const info = this.#infoOf(session)
      if (await list.check(info) && !isRetry) return false
      await list.revoke(info)
      return true
    })
  }

  /** Revokes a session whose data goes on in another. `false` if another request has revoked it. Only where `canRevoke`. */
  async supersede (session: Listed, successor: Listed, deadline: Deadline): Promise<boolean> {
    if (this.#list!.supersede === undefined) return await this.end(session, false, deadline)
    return await this.#turn(session, deadline, async list => await list.supersede!(this.#infoOf(session), this.#infoOf(successor)))
  }

  /** Asks the list about the end of a session, one request after the other. */
  async #turn (session: Listed, deadline: Deadline, ask: (list: RevocationList) => Promise<boolean>): Promise<boolean> {
    const list = this.#list!
    return await queueOf(list).turn(session.id, deadline, async () => {
      deadline.next('revoke')
      try {
        return await ask(list)
      } catch (error) {
        throw asUnavailable('revoke', error)
      }
    })
  }

  /** `expiresAt` is the last moment at which a cookie of the session may open. */
  #infoOf ({ id, createdAt, kept, binding }: Listed): SessionInfo {
    const expiresAt = new Date(this.#times.lastMoment(createdAt, kept?.expiresAt))
    return Object.freeze({ id, createdAt: new Date(createdAt), expiresAt, isNew: false, reason: null, bound: binding !== undefined, provenAt: null })
  }
}
