import { createHash } from 'node:crypto'
import type { SessionConfig } from '../options/options.js'
import { StoreClient } from '../store/client.js'
import { Deadline } from '../store/deadline.js'
import { storeOf } from '../store/denylist.js'
import { queueOf } from '../store/write-queue.js'
import type { WriteQueue } from '../store/write-queue.js'
import type { Binding } from '../seal/envelope.js'
import type { Note } from './notes.js'

/** How long cookies from before the registration stay good, in milliseconds: requests that bring them may be under way. */
const GRACE = 60_000

/** What is known of a session that was bound. */
export interface Mark {
  readonly binding: Binding
  /** Whether it was bound so long ago that a cookie from before is a copy */
  readonly isOld: boolean
}

/** What only a store can know: which challenges were answered, and which sessions have been bound. */
export class Marks {
  readonly #client: StoreClient
  readonly #queue: WriteQueue
  readonly #seconds: number

  private constructor (store: NonNullable<SessionConfig['store']>, seconds: number) {
    this.#client = new StoreClient(store)
    this.#queue = queueOf(store)
    this.#seconds = seconds
  }

  /** `undefined` without a store, be it that of the sessions or that of a `denylist`. */
  static for ({ store, isRevoked, storeTimeout }: SessionConfig): Marks | undefined {
    const known = store ?? (typeof isRevoked === 'object' ? storeOf(isRevoked) : undefined)
    return known && new Marks(known, storeTimeout)
  }

  /**
   * Takes a challenge, which may be answered once. Two processes that are given the same answer at the same moment may both take it:
   * stores have no call that tells.
   * @returns `false` if it was taken before
   * @throws FST_SESSION_STORE
   */
  async take (challenge: string, { expiresAt }: Note, now: number): Promise<boolean> {
    const key = `answered:${createHash('sha256').update(challenge).digest('base64url')}`
    const deadline = new Deadline(this.#seconds)
    return await deadline.bound(async () => await this.#queue.turn(key, deadline, async () => {
      if (await this.#client.get(key, deadline) !== undefined) return false
      await this.#client.set(key, '1', Math.max(1, Math.ceil(expiresAt - now)), deadline)
      return true
    }))
  }

  /** Notes that a session is bound from now on. @throws FST_SESSION_STORE */
  async noteBound (id: string, { id: bindingId, key }: Binding, now: number, lastMoment: number): Promise<void> {
    const deadline = new Deadline(this.#seconds)
    await deadline.bound(async () => {
      // The first registration counts: a later one must not give older cookies more time.
      if (await this.#client.get(boundKey(id), deadline) !== undefined) return
      await this.#client.set(boundKey(id), `${Math.floor(now)}.${bindingId}.${key}`, Math.max(1, Math.ceil(lastMoment - now)), deadline)
    })
  }

  /** How a session was bound, for a cookie of it that is not. @throws FST_SESSION_STORE */
  async find (id: string, now: number, deadline: Deadline): Promise<Mark | undefined> {
    const mark = await this.#client.get(boundKey(id), deadline)
    if (mark === undefined) return undefined
    const [since, bindingId, key] = mark.split('.') as [string, string, string]
    return { binding: { id: bindingId, key }, isOld: Number(since) + GRACE < now }
  }
}

const boundKey = (id: string): string => `bound:${id}`
