import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { SessionStore } from '../../../types/index.js'

/** The store under test. */
export interface Subject {
  readonly store: SessionStore
  /** The same store in another process, or another instance of it */
  readonly other: SessionStore
  /** Milliseconds */
  readonly resolution: number
}

/** A test, and the methods that it needs. */
export interface Case {
  readonly name: string
  readonly needs?: ReadonlyArray<keyof SessionStore>
  run (subject: Subject): Promise<void>
}

/** Milliseconds, long enough that an entry does not expire during a test */
export const LONG = 60_000

/** An id like a session's: 128 random bits. So the store may have other entries. */
export const makeId = (): string => randomBytes(16).toString('base64url')
export const makeIds = (amount: number): string[] => Array.from({ length: amount }, makeId)
export const makeUser = (): string => `user ${makeId()}`
/** JSON in the form of session entries */
export const json = (data: unknown): string => JSON.stringify({ c: 1_700_000_000_000, d: data })

/** The value that a store has returned, as a string. A store may return parsed JSON or bytes. */
export function textOf (value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString() : JSON.stringify(value)
}

export async function textIn (store: SessionStore, id: string): Promise<string | undefined> {
  return textOf(await store.get(id))
}

/** Asserts the value of an entry, whether or not the store parses JSON. */
export async function holds (store: SessionStore, id: string, value: string | undefined): Promise<void> {
  same(await textIn(store, id), value, id)
}

export function same (text: string | undefined, value: string | undefined, what: string): void {
  if (text === undefined || value === undefined) assert.equal(text, value, `the entry of ${what}`)
  else assert.deepEqual(JSON.parse(text), JSON.parse(value), `the entry of ${what}`)
}

/** Waits until entries with a TTL have expired, however the store rounds it. */
export async function passed (ttl: number, resolution: number): Promise<void> {
  await wait(ttl + resolution + 50)
}

/** A short TTL that the store does not round to 0. */
export const shortOf = (resolution: number): number => Math.max(100, resolution)

/** Waits until a check succeeds, for at most about five seconds. */
export async function eventually (check: () => boolean): Promise<void> {
  for (let tries = 0; !check() && tries < 500; tries++) await wait(10)
}

/** The ids of a user's entries, sorted. */
export async function idsOf (store: SessionStore, user: string): Promise<string[]> {
  return (await store.find!(user)).map(({ id }) => id).sort()
}
