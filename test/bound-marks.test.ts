import t from 'tap'
import { Marks } from '../lib/bound/marks.js'
import type { SessionConfig } from '../lib/options/options.js'
import { Deadline } from '../lib/store/deadline.js'
import { TestStore } from './fixtures/stores.js'

t.test('the first registration of a session counts, and later ones give older cookies no more time', async t => {
  const marks = Marks.for({ store: new TestStore(), storeTimeout: 1 } as unknown as SessionConfig)!
  const now = Date.now()
  await marks.noteBound('id', { id: 'first', key: 'one' }, now, now + 600_000)
  await marks.noteBound('id', { id: 'second', key: 'two' }, now + 61_000, now + 600_000)
  const deadline = new Deadline(1)
  const found = await deadline.bound(async () => await marks.find('id', now + 62_000, deadline))
  t.same(found, { binding: { id: 'first', key: 'one' }, isOld: true })
})
