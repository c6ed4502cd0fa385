import type { FastifyRequest } from 'fastify'
import type { Lifetimes } from '../lifetimes.js'
import { unavailable } from './deadline.js'
import type { Deadline } from './deadline.js'
import type { Entries } from './entries.js'
import type { Ending, Kept, Subject } from './order.js'
import type { Revocations } from './revocations.js'

/** Ends sessions in the store and on the list of revoked sessions. */
export class Ender {
  readonly #times: Lifetimes
  readonly #entries: Entries | undefined
  readonly #revocations: Revocations | undefined

  constructor (times: Lifetimes, entries: Entries | undefined, revocations: Revocations | undefined) {
    this.#times = times
    this.#entries = entries
    this.#revocations = revocations
  }

  /** Whether the entry of a session counts. */
  hasEntry (kept: Kept | undefined): boolean {
    if (kept === undefined || this.#entries === undefined) return false
    return kept.stored || (kept.entryUntil !== undefined && kept.entryUntil > this.#times.now())
  }

  /** Ends sessions. Returns whether this request has ended any of them. */
  async endAll (past: readonly Ending[], deadline: Deadline): Promise<boolean> {
    let hasEnded = false
    for (const { session, wasTried } of past) hasEnded = await this.#end(session, wasTried, deadline) || wasTried || hasEnded
    return hasEnded
  }

  /** Ends a session in the store and on the list. Returns `false` if another request had ended it. */
  async #end (session: Subject, isRetry: boolean, deadline: Deadline): Promise<boolean> {
    // With `storage: 'overflow'`, another request may have written an entry since the session was loaded. It must end too.
    const wasStored = await this.#entries?.end(session.id, deadline) ?? false
    if (this.#revocations?.canRevoke) return await this.#revocations.end(session, isRetry, deadline) || wasStored
    return wasStored || !this.hasEntry(session.kept)
  }

  /** Ends sessions whose data moves to another one. Returns `false` if another request had ended one of them. */
  async supersedeAll (past: readonly Ending[], successor: Subject, request: FastifyRequest, deadline: Deadline): Promise<boolean> {
    let wereAlive = true
    for (const { session, wasTried } of past) {
      const wasAlive = await this.#supersede(session, successor, request, deadline)
      // It is impossible to tell whether an earlier attempt of this request or another request has ended it.
      if (!wasAlive && wasTried) throw unavailable('regenerate', 'was ended by half', undefined)
      wereAlive = wasAlive && wereAlive
    }
    return wereAlive
  }

  async #supersede (session: Subject, successor: Subject, request: FastifyRequest, deadline: Deadline): Promise<boolean> {
    const { kept } = session
    const hadEntry = this.hasEntry(kept)
    const wasStored = await this.#entries?.claim(session.id, hadEntry ? kept!.raw : undefined, deadline) || !hadEntry
    if (this.#revocations === undefined) return wasStored
    if (this.#revocations.canRevoke) return await this.#revocations.supersede(session, successor, deadline) && wasStored
    const end = this.#times.now() + this.#times.idleTimeout(session.idle)
    return wasStored && !await this.#revocations.has(session, end, kept, request, deadline)
  }
}
