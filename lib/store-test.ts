import type * as Types from '../types/store-test.js'
import type { SessionStore } from '../types/index.js'
import type { StoreTest, StoreTestOptions } from '../types/store-test.js'
import { parseInteger, parseNames } from './options/checks.js'
import { parseStore, STORE_METHODS } from './store/client.js'
import { changes } from './store/testing/changes.js'
import { ends } from './store/testing/ends.js'
import { users } from './store/testing/users.js'
import { values } from './store/testing/values.js'

export function storeTests (store: SessionStore, options: StoreTestOptions = {}): StoreTest[] {
  parseNames('options', options, ['other', 'resolution'])
  const { other = store, resolution = 1 } = options
  const subject = {
    store: parseStore('store', store, STORE_METHODS),
    other: parseStore('other', other, STORE_METHODS),
    resolution: parseInteger('resolution', resolution, 1, 60_000)
  }
  return [...values, ...changes, ...users, ...ends]
    .filter(({ needs = [] }) => needs.every(method => typeof store[method] === 'function'))
    .map(({ name, run }) => ({ name, run: async () => { await run(subject) } }))
}

({ storeTests }) satisfies Omit<typeof Types, never>
