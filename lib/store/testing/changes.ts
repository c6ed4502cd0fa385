import assert from 'node:assert/strict'
import { holds, json, LONG, makeId, passed, shortOf, textIn } from './tools.js'
import type { Case } from './tools.js'

export const changes: Case[] = [
  {
    name: 'touch changes only the expiry of an entry',
    needs: ['touch'],
    async run ({ store, other, resolution }) {
      const [prolonged, shortened] = [makeId(), makeId()]
      const ttl = shortOf(resolution)
      await store.set(prolonged, json(1), 5 * ttl)
      await store.set(shortened, json(2), LONG)
      await other.touch!(prolonged, LONG)
      await other.touch!(shortened, ttl)
      await passed(5 * ttl, resolution)
      await holds(store, prolonged, json(1))
      await holds(store, shortened, undefined)
    }
  },
  {
    name: 'touch does not create an entry',
    needs: ['touch'],
    async run ({ store }) {
      const [unknown, gone] = [makeId(), makeId()]
      await store.set(gone, json(1), LONG)
      await store.delete(gone)
      for (const id of [unknown, gone]) {
        await store.touch!(id, LONG)
        await holds(store, id, undefined)
      }
    }
  },
  {
    name: 'replace sets the value if the entry has the previous one, and returns whether it did',
    needs: ['replace'],
    async run ({ store, other }) {
      const id = makeId()
      await store.set(id, json('ü😀 "1"'), LONG)
      // replace compares with the value as it was read.
      const read = (await textIn(store, id))!
      assert.equal(await other.replace!(id, `${read} `, json('wrong'), LONG), false)
      assert.equal(await other.replace!(id, '', json('wrong'), LONG), false)
      await holds(store, id, json('ü😀 "1"'))
      assert.equal(await other.replace!(id, read, json(2), LONG), true)
      assert.equal(await store.replace!(id, read, json('late'), LONG), false)
      await holds(store, id, json(2))
      const same = (await textIn(store, id))!
      assert.equal(await store.replace!(id, same, same, LONG), true, 'the same value again')
      assert.equal(await store.replace!(id, same, json('x'.repeat(1_048_576)), LONG), true)
      assert.equal(await store.replace!(id, (await textIn(store, id))!, json(3), LONG), true, 'after a value of a megabyte')
      await holds(other, id, json(3))
    }
  },
  {
    name: 'replace compares values exactly, with spaces and the order of keys',
    needs: ['replace'],
    async run ({ store }) {
      const id = makeId()
      await store.set(id, '{"b":1, "a":1.0}', LONG)
      assert.equal(await store.replace!(id, '{"b":1,"a":1.0}', '1', LONG), false)
      assert.equal(await store.replace!(id, '{"a":1.0, "b":1}', '1', LONG), false)
      assert.equal(await store.replace!(id, '{"b":1, "a":1.0}', '2', LONG), true)
    }
  },
  {
    name: 'replace does not create an entry, or bring back one that was deleted or has expired',
    needs: ['replace'],
    async run ({ store, resolution }) {
      const [unknown, gone, expired] = [makeId(), makeId(), makeId()]
      const ttl = shortOf(resolution)
      await store.set(gone, json(1), LONG)
      await store.delete(gone)
      await store.set(expired, json(1), ttl)
      await passed(ttl, resolution)
      for (const id of [unknown, gone, expired]) {
        assert.equal(await store.replace!(id, json(1), json(2), LONG), false)
        await holds(store, id, undefined)
      }
    }
  },
  {
    name: 'replace sets a new expiry',
    needs: ['replace'],
    async run ({ store, resolution }) {
      const [prolonged, shortened] = [makeId(), makeId()]
      const ttl = shortOf(resolution)
      await store.set(prolonged, json(1), 5 * ttl)
      await store.set(shortened, json(1), LONG)
      assert.equal(await store.replace!(prolonged, json(1), json(2), LONG), true)
      assert.equal(await store.replace!(shortened, json(1), json(2), ttl), true)
      await passed(5 * ttl, resolution)
      await holds(store, prolonged, json(2))
      await holds(store, shortened, undefined)
    }
  },
  {
    name: 'of twenty concurrent calls of replace for one entry, exactly one succeeds',
    needs: ['replace'],
    async run ({ store, other }) {
      for (let round = 0; round < 5; round++) {
        const id = makeId()
        await store.set(id, json('first'), LONG)
        const answers = await Promise.all(Array.from({ length: 20 }, async (_, nth) =>
          await [store, other][nth % 2]!.replace!(id, json('first'), json(nth), LONG)))
        assert.equal(answers.filter(Boolean).length, 1)
        await holds(store, id, json(answers.indexOf(true)))
      }
    }
  },
  {
    name: 'an entry that is deleted during concurrent calls of replace stays deleted',
    needs: ['replace'],
    async run ({ store, other }) {
      for (let round = 0; round < 10; round++) {
        const id = makeId()
        await store.set(id, json('first'), LONG)
        await Promise.all([
          store.replace!(id, json('first'), json('second'), LONG), other.delete(id), other.replace!(id, json('second'), json('third'), LONG)
        ])
        await holds(store, id, undefined)
      }
    }
  }
]
