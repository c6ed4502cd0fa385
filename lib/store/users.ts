import type { EndAllOptions, ListedSession, UserSessions } from '../../types/index.js'
import type { Lifetimes } from '../lifetimes.js'
import { invalid, parseNames } from '../options/checks.js'
import { errors } from '../errors.js'
import { Deadline } from './deadline.js'
import type { Entries, OwnEntry } from './entries.js'
import type { Revocations } from './revocations.js'

/** How many sessions are ended at the same time, so that a user with many sessions does not overload the store. */
const BATCH = 100

/** How many characters the id of a session may have. A list would store any string, and ids of this package have 22. */
const MAX_ID = 128

/** Implements `app.session.of`, with a store or with a list of revoked sessions. */
export interface Users {
  /** @param ended called for each session that was ended, with its id if it is known */
  of (user: string, ended: (id?: string) => void): UserSessions
}

/** The sessions of users in a store that has `find`. */
export class StoredUsers implements Users {
  readonly #entries: Entries
  readonly #times: Lifetimes
  readonly #timeout: number
  readonly #fit: (data: object) => object | undefined

  /** @param timeout how long one search, or ending one batch, may take, in seconds */
  constructor (entries: Entries, times: Lifetimes, timeout: number, fit: (data: object) => object | undefined) {
    this.#entries = entries
    this.#times = times
    this.#timeout = timeout
    this.#fit = fit
  }

  of (user: string, ended: (id: string) => void): UserSessions {
    return Object.freeze<UserSessions>({
      list: async () => {
        const found = await this.#find(user)
        return found.flatMap(one => this.#describe(one) ?? []).sort((one, other) => other.lastSeenAt.getTime() - one.lastSeenAt.getTime())
      },
      end: async id => {
        const found = await this.#find(user)
        return found.some(one => one.id === id) && await this.#endAll([id], ended) === 1
      },
      endAll: async options => {
        const except = exceptOf(options)
        const tried = new Set(except === undefined ? [] : [except])
        // A login may be under way, or a session may be moving to a new id: search again until there is nothing new.
        for (let count = 0; ;) {
          const ids = (await this.#find(user)).map(({ id }) => id).filter(id => !tried.has(id))
          if (ids.length === 0) return count
          count += await this.#endAll(ids, ended)
          for (const id of ids) tried.add(id)
        }
      }
    })
  }

  async #find (user: string): Promise<OwnEntry[]> {
    const deadline = new Deadline(this.#timeout)
    return await deadline.bound(async () => await this.#entries.find(user, deadline))
  }

  /** Returns how many sessions were ended. If one cannot be ended, the rest of its batch is still tried. @throws FST_SESSION_STORE */
  async #endAll (ids: readonly string[], ended: (id: string) => void): Promise<number> {
    let count = 0
    let failure: PromiseRejectedResult | undefined
    for (let from = 0; from < ids.length && failure === undefined; from += BATCH) {
      const batch = ids.slice(from, from + BATCH)
      const results = await Promise.allSettled(batch.map(async id => {
        const deadline = new Deadline(this.#timeout)
        return await deadline.bound(async () => await this.#entries.end(id, deadline))
      }))
      results.forEach((result, nth) => {
        if (result.status === 'rejected') failure = result
        else if (result.value) count++
        // Also if another request has ended the session: its signals in this process must abort.
        if (result.status === 'fulfilled') ended(batch[nth]!)
      })
    }
    if (failure !== undefined) throw failure.reason
    return count
  }

  /** Returns `undefined` for an entry that does not match the app's schema, because its cookie would be rejected too. */
  #describe ({ id, entry, expiresAt }: OwnEntry): ListedSession | undefined {
    const data = this.#fit(entry.data)
    if (data === undefined) return undefined
    return Object.freeze({
      id,
      createdAt: new Date(entry.createdAt),
      lastSeenAt: new Date(lastSeen(entry)),
      expiresAt: this.#times.describe({ id, createdAt: entry.createdAt }, expiresAt, null, false).expiresAt,
      bound: entry.isBound === true,
      data: data as ListedSession['data']
    })
  }
}

/** Ends the least recently used sessions of a user beyond a limit, when a session gains that user. */
export class SessionLimit {
  readonly #entries: Entries
  readonly #max: number
  readonly #timeout: number

  /** @param timeout how long a login may be under way, in seconds */
  constructor (entries: Entries, max: number, timeout: number) {
    this.#entries = entries
    this.#max = max
    this.#timeout = timeout
  }

  /** @returns the ids of the sessions that were ended */
  async enforce (user: string, newcomer: string, deadline: Deadline): Promise<string[]> {
    const found = await this.#entries.find(user, deadline)
    const own = found.find(({ id }) => id === newcomer)
    // Another login has already ended the new session.
    if (own === undefined) return []
    const others = found.filter(one => one !== own).sort((one, other) => lastSeen(one.entry) - lastSeen(other.entry))
    const beyond = others.slice(0, Math.max(others.length + 1 - this.#max, 0))
    // If logins overlap, the later one ends the earlier one. If each ended the other, no session would be left.
    // A session that is only changed during a login is not a later login, unless logins do not call regenerate().
    const isNew = ({ entry }: OwnEntry): boolean => lastSeen(entry) - entry.createdAt < this.#timeout * 1000
    const isLater = (one: OwnEntry): boolean => {
      const lead = lastSeen(one.entry) - lastSeen(own.entry)
      return (lead > 0 || (lead === 0 && one.id > newcomer)) && lead < this.#timeout * 1000 && (isNew(one) || !isNew(own))
    }
    const ids = beyond.filter(one => !isLater(one)).map(({ id }) => id)
    await Promise.all(ids.map(async id => await this.#entries.end(id, deadline)))
    return ids
  }
}

/** The sessions of users with only a list of revoked sessions. They can be ended, but not listed. */
export class RevokedUsers implements Users {
  readonly #revocations: Revocations
  readonly #timeout: number

  constructor (revocations: Revocations, timeout: number) {
    this.#revocations = revocations
    this.#timeout = timeout
  }

  of (user: string, ended: (id?: string) => void): UserSessions {
    return Object.freeze<UserSessions>({
      list: async () => {
        throw new errors.FST_SESSION_INVALID_OPTION('store', 'must be a store with find, such as redisStore() or postgresStore(), to list sessions. ' +
          'Sessions in cookies can be ended, but not listed')
      },
      end: async id => {
        if (typeof id !== 'string' || id === '' || id.length > MAX_ID) return false
        const wasAlive = await this.#bound(async deadline => await this.#revocations.endById(id, deadline))
        ended(id)
        return wasAlive
      },
      endAll: async options => {
        const except = exceptOf(options)
        await this.#bound(async deadline => { await this.#revocations.endUser(user, except, deadline) })
        ended()
        return NaN
      }
    })
  }

  async #bound<T> (work: (deadline: Deadline) => Promise<T>): Promise<T> {
    const deadline = new Deadline(this.#timeout)
    return await deadline.bound(async () => await work(deadline))
  }
}

function exceptOf (options: EndAllOptions = {}): string | undefined {
  // Reject endAll(id), which would end the session that was meant as `except`.
  parseNames('endAll', options, ['except'])
  const { except } = options
  if (except !== undefined && typeof except !== 'string') throw invalid('except', 'the id of a session', except)
  return except
}

/** When a session was last written, which is exact to a few minutes. See `SEEN_AFTER`. */
function lastSeen ({ writtenAt, createdAt }: { writtenAt?: number | undefined, createdAt: number }): number {
  return writtenAt ?? createdAt
}
