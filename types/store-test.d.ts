import type { SessionStore } from './index.js'

/** Options of {@link storeTests}. */
export interface StoreTestOptions {
  /** A second instance of the same store, with its own connection, as in another process. Default: the store itself */
  other?: SessionStore | undefined
  /** The resolution of the store's expiry, in milliseconds. Default: 1. For a store that counts seconds: 1000 */
  resolution?: number | undefined
}

/** One test. `run` rejects with an `AssertionError` if the store fails the test. */
export interface StoreTest {
  /** What a store does that passes it */
  readonly name: string
  /** Runs it */
  run (): Promise<void>
}

/**
 * Returns the tests of a session store, for any test runner. They cover everything that this package relies on. Tests for optional
 * methods that the store does not have are left out. They use random ids, and do not touch other entries. Run them one after the
 * other.
 *
 * @example
 * import test from 'node:test'
 * for (const { name, run } of storeTests(store)) test(name, run)
 * @throws FST_SESSION_INVALID_OPTION
 */
export function storeTests (store: SessionStore, options?: StoreTestOptions): StoreTest[]
