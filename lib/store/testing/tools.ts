import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { SessionStore } from '../../../types/index.js'

/** What a case is given. */
export interface Subject {
  readonly store: SessionStore
  /** The same store in another process, or another instance of it */
  readonly other: SessionStore
  /** Milliseconds */
  readonly resolution: number
}

/** A test of a store that has certain methods. */
export interface Case {
  readonly name: string
  readonly needs?: ReadonlyArray<keyof SessionStore>
  run (subject: Subject): Promise<void>
}

/** Milliseconds, long enough for an entry not to expire during a case */
export const LONG = 60_000

/** An id as a session has it: 128 random bits. A store that holds other entries does no harm. */
export const makeId = (): string => randomBytes(16).toString('base64url')
export const makeIds = (amount: number): string[] => Array.from({ length: amount }, makeId)
export const makeUser = (): string => `user ${makeId()}`
/** JSON as sessions are written */
export const json = (data: unknown): string => JSON.stringify({ c: 1_700_000_000_000, d: data })

/** The text of what a store has answered: it may parse JSON, and answer with bytes. */
export function textOf (value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString() : JSON.stringify(value)
}

export async function textIn (store: SessionStore, id: string): Promise<string | undefined> {
  return textOf(await store.get(id))
}

/** Asserts what an entry holds, whether or not the store parses it. */
export async function holds (store: SessionStore, id: string, value: string | undefined): Promise<void> {
  same(await textIn(store, id), value, id)
}

export function same (text: string | undefined, value: string | undefined, what: string): void {
  if (text === undefined || value === undefined) assert.equal(text, value, `the entry of ${what}`)
  else assert.deepEqual(JSON.parse(text), JSON.parse(value), `the entry of ${what}`)
}

/** Waits until entries of so many milliseconds have expired, whatever the store rounds their time to. */
export async function passed (ttl: number, resolution: number): Promise<void> {
  await wait(ttl + resolution + 50)
}

/** A time to live that a store tells from none. */
export const shortOf = (resolution: number): number => Math.max(100, resolution)

/** Waits for what happens in its own time, for five seconds at most. */
export async function eventually (check: () => boolean): Promise<void> {
  for (let tries = 0; !check() && tries < 500; tries++) await wait(10)
}

/** The ids that a user has, sorted. */
export async function idsOf (store: SessionStore, user: string): Promise<string[]> {
  return (await store.find!(user)).map(({ id }) => id).sort()
}
