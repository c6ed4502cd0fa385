import type { SessionStore } from './index.js'

/** Options of {@link storeTests}. */
export interface StoreTestOptions {
  /** The same store as another process has it, on a connection of its own; default: the store itself */
  other?: SessionStore | undefined
  /** How exact its expiry is, in milliseconds; default 1. A store that counts seconds takes 1000 */
  resolution?: number | undefined
}

/** One test. `run` rejects with an `AssertionError` that says what is wrong. */
export interface StoreTest {
  /** What a store does that passes it */
  readonly name: string
  /** Runs it */
  run (): Promise<void>
}

/**
 * The tests of a session store, for any test runner: everything that this package relies on, as far as the store has the
 * methods for it. They take ids of their own and leave the store's other entries alone; run them one after the other.
 *
 * @example
 * import test from 'node:test'
 * for (const { name, run } of storeTests(store)) test(name, run)
 * @throws FST_SESSION_INVALID_OPTION
 */
export function storeTests (store: SessionStore, options?: StoreTestOptions): StoreTest[]
