import assert from 'node:assert/strict'
import { holds, json, LONG, makeId, makeIds, passed, same, shortOf, textIn, textOf } from './tools.js'
import type { Case } from './tools.js'

const VALUES = [
  '{}', '[]', '1', '"text"', '"revoked:id 1700000000000"', json({ ['__proto__']: { a: 1 }, constructor: 2 }),
  json('\0 \u2028 " \' \\ % $1 {} @ ü 漢 😀'), '{"a" : 1.50,\n"b":[]}', json('x'.repeat(1_048_576))
]

/** Each must be the id of a different entry. */
const ODD_IDS = [
  '__proto__', 'constructor', 'user:x', 'id:x', 'id', ':', 'a:b', 'a', 'A', 'a ', ' a', '%61', 'a%', 'a_', '{a}', '{a}b', '*', '?', '[a]', '"', '\'', '\\', '$1', '--',
  'ü', 'u\u0308', '漢', '😀', '../a', 'x'.repeat(200), `${'x'.repeat(199)}y`
]

export const values: Case[] = [
  {
    name: 'an id that was never set has no value',
    async run ({ store, other }) {
      await holds(store, makeId(), undefined)
      await holds(other, makeId(), undefined)
    }
  },
  {
    name: 'get returns, in every process, the value that was last set',
    async run ({ store, other }) {
      const id = makeId()
      for (const value of VALUES) {
        await store.set(id, value, LONG)
        await holds(other, id, value)
      }
    }
  },
  {
    name: 'unusual ids work like any other',
    async run ({ store }) {
      const key = makeId()
      const entries = ODD_IDS.map((odd, nth) => [odd + key, json(nth)] as const)
      for (const [id, value] of entries) await store.set(id, value, LONG)
      for (const [id, value] of entries) await holds(store, id, value)
      for (const [id] of entries) {
        await store.delete(id)
        await holds(store, id, undefined)
      }
    }
  },
  {
    name: 'delete removes an entry, and does not fail if there is none',
    async run ({ store, other }) {
      const [id, kept] = makeIds(2) as [string, string]
      await store.set(id, json(1), LONG)
      await store.set(kept, json(2), LONG)
      await other.delete(id)
      await holds(store, id, undefined)
      await holds(store, kept, json(2))
      await store.delete(id)
      await store.set(id, json(3), LONG)
      await holds(other, id, json(3))
    }
  },
  {
    name: 'overlapping calls for different ids do not affect each other',
    async run ({ store, other }) {
      const ids = makeIds(100)
      await Promise.all(ids.map(async (id, nth) => await [store, other][nth % 2]!.set(id, json(nth), LONG)))
      const texts = await Promise.all(ids.map(async id => await textIn(store, id)))
      for (const [nth, text] of texts.entries()) same(text, json(nth), ids[nth]!)
      await Promise.all(ids.map(async (id, nth) => nth % 2 === 0 ? await store.delete(id) : await other.set(id, json('again'), LONG)))
      for (const [nth, id] of ids.entries()) await holds(store, id, nth % 2 === 0 ? undefined : json('again'))
    }
  },
  {
    name: 'overlapping calls of set for one id leave one of their values, complete',
    async run ({ store, other }) {
      const id = makeId()
      const written = Array.from({ length: 20 }, (_, nth) => json(`${nth} `.repeat(5000)))
      await Promise.all(written.map(async (value, nth) => await [store, other][nth % 2]!.set(id, value, LONG)))
      const text = await textIn(store, id)
      const isOne = text !== undefined && written.some(value => JSON.stringify(JSON.parse(text)) === value)
      assert.ok(isOne, 'the entry has none of the values')
    }
  },
  {
    name: 'an entry expires after its TTL, and not before',
    async run ({ store, other, resolution }) {
      const [short, long, prolonged, shortened] = makeIds(4) as [string, string, string, string]
      // 30 days in milliseconds exceed 31 bits, the limit of timers. 400 days is the longest idle timeout.
      const days = new Map([30, 400].map(amount => [makeId(), amount]))
      const ttl = shortOf(resolution)
      await store.set(long, json(1), LONG)
      for (const [id, amount] of days) await store.set(id, json(amount), amount * 86_400_000)
      await store.set(prolonged, json(3), ttl)
      await store.set(prolonged, json(3), LONG)
      await store.set(shortened, json(4), LONG)
      await store.set(shortened, json(4), ttl)
      await store.set(short, json(5), 10 * ttl)
      await holds(other, short, json(5))
      await store.set(short, json(5), ttl)
      await passed(ttl, resolution)
      await holds(store, short, undefined)
      await holds(other, short, undefined)
      await holds(store, shortened, undefined)
      await holds(store, prolonged, json(3))
      await holds(store, long, json(1))
      for (const [id, amount] of days) await holds(store, id, json(amount))
    }
  },
  {
    name: 'getMany returns one value for each id, in the order of the ids',
    needs: ['getMany'],
    async run ({ store, other }) {
      const [first, second, gone] = makeIds(3) as [string, string, string]
      await store.set(first, json(1), LONG)
      await store.set(second, json(2), LONG)
      await store.set(gone, json(3), LONG)
      await store.delete(gone)
      const wanted = [second, gone, first, makeId(), second]
      const texts = (await other.getMany!(wanted)).map(textOf)
      assert.equal(texts.length, wanted.length)
      for (const [nth, data] of [2, undefined, 1, undefined, 2].entries()) same(texts[nth], data === undefined ? undefined : json(data), wanted[nth]!)
      assert.deepEqual(await store.getMany!([]), [])
    }
  }
]
