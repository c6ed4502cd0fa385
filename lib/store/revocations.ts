import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import type { RevocationCheck, RevocationList, SessionInfo } from '../../types/index.js'
import type { Lifetimes } from '../lifetimes.js'
import type { Binding } from '../seal/envelope.js'
import { asUnavailable } from './deadline.js'
import type { Deadline } from './deadline.js'
import type { Content } from './merge.js'
import type { Owner } from './owner.js'
import { queueOf } from './write-queue.js'

/** What a list needs of a session. */
interface Listed {
  readonly id: string
  readonly createdAt: number
  readonly kept: Content & { readonly expiresAt: number } | undefined
  readonly binding?: Binding | undefined
}

/** Calls `isRevoked`, which is a function or a list of revoked sessions. */
export class Revocations {
  readonly #times: Lifetimes
  readonly #check: RevocationCheck
  /** `undefined` if `isRevoked` is a function, which cannot revoke */
  readonly #list: RevocationList | undefined
  /** Returns the user of a session, if the list needs it */
  readonly #owner: Owner | undefined
  readonly #sessionName: string

  constructor (isRevoked: RevocationCheck | RevocationList, times: Lifetimes, sessionName: string, owner?: Owner) {
    this.#times = times
    this.#owner = owner
    this.#sessionName = sessionName
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
    const user = this.#userOf(content)
    try {
      return await this.#check(info, request, data, user)
    } catch (error) {
      throw asUnavailable('isRevoked', error)
    }
  }

  /**
   * Revokes a session. Returns `false` if it had already been revoked. Only if `canRevoke`.
   * @param isRetry whether an earlier attempt may have failed halfway
   */
  async end (session: Listed, isRetry: boolean, deadline: Deadline): Promise<boolean> {
    return await this.#turn(session, deadline, async list => {
      const info = this.#infoOf(session)
      const user = this.#userOf(session.kept)
      const isFirst = isRetry || !await list.check(info, undefined, undefined, user)
      // If all sessions of the user were revoked, a cookie in which the session has no user may still open.
      if (isFirst || user !== undefined) await list.revoke(info)
      return isFirst
    })
  }

  /** Revokes a session whose data moves to another one. Returns `false` if another request has revoked it. Only if `canRevoke`. */
  async supersede (session: Listed, successor: Listed, deadline: Deadline): Promise<boolean> {
    if (this.#list!.supersede === undefined) return await this.end(session, false, deadline)
    const user = this.#userOf(session.kept)
    return await this.#turn(session, deadline, async list => await list.supersede!(this.#infoOf(session), this.#infoOf(successor), user))
  }

  /** Revokes a session of which only the id is known. Returns `false` if it had already been revoked. Only if `canRevoke`. */
  async endById (id: string, deadline: Deadline): Promise<boolean> {
    return await this.end({ id, createdAt: this.#times.now(), kept: undefined }, false, deadline)
  }

  /** Revokes all present sessions of a user except one. Only if the list has `revokeUser`. */
  async endUser (user: string, except: string | undefined, deadline: Deadline): Promise<void> {
    const list = this.#list!
    const name = this.#nameOf(user)
    await queueOf(list).turn(name, deadline, async () => {
      try {
        // Twice: a request that read the list before the first mark was set may have moved the data to a session that is newer than it.
        let now = 0
        for (let nth = 0; nth < 2; nth++) {
          deadline.next('revokeUser')
          now = this.#times.now()
          await list.revokeUser!(name, { before: new Date(now), except, until: new Date(this.#times.lastMoment(now)) })
        }
        // Sessions that the app creates from here on must have a later time than the mark. A timer may fire a little early.
        for (let tries = 0; tries < 5 && this.#times.now() <= now; tries++) await wait(1)
      } catch (error) {
        throw asUnavailable('revokeUser', error)
      }
    })
  }

  #userOf (content: Content | undefined): string | undefined {
    const user = content === undefined ? undefined : this.#owner?.(content.text)
    return user === undefined ? undefined : this.#nameOf(user)
  }

  #nameOf (user: string): string {
    return JSON.stringify([this.#sessionName, user])
  }

  /** Calls the list to end a session, for one request after the other. */
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
