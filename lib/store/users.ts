import type { EndAllOptions, ListedSession, UserSessions } from '../../types/index.js'
import type { Lifetimes } from '../lifetimes.js'
import { invalid, parseNames } from '../options/checks.js'
import { errors } from '../errors.js'
import { Deadline } from './deadline.js'
import type { Entries, OwnEntry } from './entries.js'
import type { Revocations } from './revocations.js'

/** How many sessions are ended at once, so that a user with very many of them does not flood the store. */
const BATCH = 100

/** What both ways of knowing a user's sessions share. */
export interface Users {
  /** @param ended is called with the id of each session that was ended, where that is known */
  of (user: string, ended: (id?: string) => void): UserSessions
}

/** The sessions of users, in a store that can find them. */
export class StoredUsers implements Users {
  readonly #entries: Entries
  readonly #times: Lifetimes
  readonly #timeout: number
  readonly #fit: (data: object) => object | undefined

  /** @param timeout how long one search, or the end of one batch, may take, in seconds */
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
        // A login may be under way, or a session may move to a new id: search again until there is nothing new.
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

  /** How many there were. All are tried, also where one cannot be ended. @throws FST_SESSION_STORE */
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
        // Where another request has ended it, whoever holds it here is to know too.
        if (result.status === 'fulfilled') ended(batch[nth]!)
      })
    }
    if (failure !== undefined) throw failure.reason
    return count
  }

  /** `undefined` for an entry that its owner could not open. */
  #describe ({ id, entry, expiresAt }: OwnEntry): ListedSession | undefined {
    const data = this.#fit(JSON.parse(entry.text) as object)
    if (data === undefined) return undefined
    return Object.freeze({
      id,
      createdAt: new Date(entry.createdAt),
      lastSeenAt: new Date(lastSeen(entry)),
      expiresAt: this.#times.describe({ id, createdAt: entry.createdAt }, expiresAt, null, false).expiresAt,
      data: data as ListedSession['data']
    })
  }
}

/** Ends a user's least recently used sessions beyond a limit, when a session has become the user's. */
export class SessionLimit {
  readonly #entries: Entries
  readonly #max: number
  readonly #timeout: number

  /** @param timeout for how long a login may be under way, in seconds */
  constructor (entries: Entries, max: number, timeout: number) {
    this.#entries = entries
    this.#max = max
    this.#timeout = timeout
  }

  /** @returns the ids of the sessions that were ended for it */
  async enforce (user: string, newcomer: string, deadline: Deadline): Promise<string[]> {
    const found = await this.#entries.find(user, deadline)
    const own = found.find(({ id }) => id === newcomer)
    // Another login has ended it already.
    if (own === undefined) return []
    const others = found.filter(one => one !== own).sort((one, other) => lastSeen(one.entry) - lastSeen(other.entry))
    const beyond = others.slice(0, Math.max(others.length + 1 - this.#max, 0))
    // Of logins that overlap, the later ends the earlier. Were each to end the other, none would be left. A session that is only
    // changed meanwhile is no login: it was created earlier, unless logins here go without regenerate().
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

/** The sessions of users where a list of revoked sessions is all there is: they can be ended, and not listed. */
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
        throw new errors.FST_SESSION_INVALID_OPTION('store', 'must be a store that can find, to list sessions: redisStore() and postgresStore() can. ' +
          'Sessions in cookies can be ended, and not listed')
      },
      end: async id => {
        if (typeof id !== 'string' || id === '') return false
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
  // An id that is given by itself, and not as `except`, must not end the session that it was meant to spare.
  parseNames('endAll', options, ['except'])
  const { except } = options
  if (except !== undefined && typeof except !== 'string') throw invalid('except', 'the id of a session', except)
  return except
}

/** When a session was written last, which is exact to some minutes; see `SEEN_AFTER`. */
function lastSeen ({ writtenAt, createdAt }: { writtenAt?: number | undefined, createdAt: number }): number {
  return writtenAt ?? createdAt
}
