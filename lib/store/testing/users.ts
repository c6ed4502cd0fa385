import assert from 'node:assert/strict'
import { holds, idsOf, json, LONG, makeId, makeIds, makeUser, passed, shortOf } from './tools.js'
import type { Case } from './tools.js'

/** Each must be a different user. */
const ODD_USERS = [
  '', ' ', '__proto__', 'constructor', 'toString', '0', 'null', 'undefined', ':', 'a:b', 'a', 'A', 'a ', 'a\0', 'a\0b', '\0', '*', '%', '_', '{a}', '"', '\'', '\\', '$1', '@',
  'ü', 'u\u0308', '😀', '\ud83d', '\ude00', '\ufffd', 'x'.repeat(10_000), `${'x'.repeat(9_999)}y`, JSON.stringify({ id: 1 })
]

export const users: Case[] = [
  {
    name: 'find returns all entries of a user, with values and times, and none of other users',
    needs: ['find'],
    async run ({ store, other }) {
      const [ada, grace] = [makeUser(), makeUser()]
      const ids = makeIds(3)
      const foreign = makeId()
      const nobodys = makeId()
      assert.deepEqual(await store.find!(ada), [])
      for (const [nth, id] of ids.entries()) await store.set(id, json(nth), LONG * (nth + 1), ada)
      await store.set(foreign, json('foreign'), LONG, grace)
      await store.set(nobodys, json('nobody'), LONG)
      const found = await other.find!(ada)
      assert.equal(found.length, ids.length)
      assert.deepEqual(new Map(found.map(({ id, value }) => [id, JSON.parse(value)])), new Map(ids.map((id, nth) => [id, JSON.parse(json(nth))])))
      for (const { id, expiresAt } of found) {
        const left = expiresAt - Date.now()
        assert.ok(Math.abs(left - LONG * (ids.indexOf(id) + 1)) < 10_000, `it expires in ${left} ms`)
      }
      assert.deepEqual(await idsOf(store, grace), [foreign])
      for (const id of [...ids, foreign, nobodys]) await store.delete(id)
      assert.deepEqual(await other.find!(ada), [])
    }
  },
  {
    name: 'any string is a user, and different strings are different users',
    needs: ['find'],
    async run ({ store, other }) {
      // These users may already have entries: only the new ones count.
      const before = new Map<string, string[]>()
      for (const user of ODD_USERS) before.set(user, await idsOf(store, user))
      const ids = makeIds(ODD_USERS.length)
      await Promise.all(ODD_USERS.map(async (user, nth) => { await store.set(ids[nth]!, json(nth), LONG, user) }))
      for (const [nth, user] of ODD_USERS.entries()) {
        const found = await idsOf(other, user)
        assert.deepEqual(found.filter(id => !before.get(user)!.includes(id)), [ids[nth]], JSON.stringify(user.slice(0, 20)))
        await holds(store, ids[nth]!, json(nth))
      }
      for (const id of ids) await store.delete(id)
    }
  },
  {
    name: 'find returns unusual ids unchanged',
    needs: ['find'],
    async run ({ store }) {
      const user = makeUser()
      const key = makeId()
      const ids = ['__proto__', 'user:', 'id:', '{a}', ' ', '😀', '"\'\\', 'x'.repeat(200)].map(odd => odd + key).sort()
      for (const id of ids) await store.set(id, json(id), LONG, user)
      assert.deepEqual(await idsOf(store, user), ids)
      for (const id of ids) assert.equal(await store.delete(id), true)
      assert.deepEqual(await idsOf(store, user), [])
    }
  },
  {
    name: 'an entry that changes its user belongs to no other user from then on',
    needs: ['find', 'replace'],
    async run ({ store, other }) {
      const [ada, grace] = [makeUser(), makeUser()]
      const id = makeId()
      const isOnlyOf = async (user?: string): Promise<void> => {
        for (const each of [ada, grace]) assert.deepEqual(await idsOf(other, each), each === user ? [id] : [])
      }
      await store.set(id, json(1), LONG)
      await isOnlyOf()
      assert.equal(await store.replace!(id, json(1), json(2), LONG, ada), true)
      await isOnlyOf(ada)
      assert.equal(await store.replace!(id, json(2), json(3), LONG, grace), true)
      await isOnlyOf(grace)
      assert.equal(await store.replace!(id, json(2), json(4), LONG, ada), false)
      await isOnlyOf(grace)
      assert.equal(await store.replace!(id, json(3), json(4), LONG), true)
      await isOnlyOf()
      await store.set(id, json(5), LONG, ada)
      await isOnlyOf(ada)
      await store.set(id, json(6), LONG, grace)
      await isOnlyOf(grace)
      await store.set(id, json(7), LONG)
      await isOnlyOf()
      await store.set(id, json(8), LONG, ada)
      await store.delete(id)
      await isOnlyOf()
      await store.set(id, json(9), LONG, grace)
      await isOnlyOf(grace)
      await store.delete(id)
    }
  },
  {
    name: 'touch keeps the user, and find returns the new expiry',
    needs: ['find', 'touch'],
    async run ({ store, other, resolution }) {
      const user = makeUser()
      const id = makeId()
      const ttl = shortOf(resolution)
      await store.set(id, json(1), ttl * 5, user)
      assert.equal(await other.touch!(id, LONG), true)
      await passed(ttl * 5, resolution)
      const [found] = await store.find!(user)
      assert.equal(found?.id, id)
      assert.ok(Math.abs(found.expiresAt - Date.now() - LONG) < 10_000 + ttl * 5)
      await store.delete(id)
    }
  },
  {
    name: 'find leaves out an entry that has expired',
    needs: ['find'],
    async run ({ store, resolution }) {
      const user = makeUser()
      const [short, long] = makeIds(2) as [string, string]
      const ttl = shortOf(resolution)
      await store.set(short, json(1), ttl, user)
      await store.set(long, json(2), LONG, user)
      await passed(ttl, resolution)
      assert.deepEqual(await idsOf(store, user), [long])
      await store.delete(long)
    }
  },
  {
    name: 'delete and touch return whether there was an entry',
    needs: ['find', 'touch'],
    async run ({ store, resolution }) {
      const [id, expired] = makeIds(2) as [string, string]
      const ttl = shortOf(resolution)
      for (const user of [makeUser(), undefined]) {
        assert.deepEqual([await store.touch!(id, LONG), await store.delete(id)], [false, false])
        await store.set(id, json(1), LONG, ...user === undefined ? [] : [user])
        await store.set(expired, json(1), ttl, ...user === undefined ? [] : [user])
        assert.deepEqual([await store.touch!(id, LONG), await store.delete(id), await store.touch!(id, LONG), await store.delete(id)], [true, true, false, false])
        await passed(ttl, resolution)
        assert.deepEqual([await store.touch!(expired, LONG), await store.delete(expired)], [false, false])
        await holds(store, expired, undefined)
      }
    }
  },
  {
    name: 'of twenty concurrent calls of delete for one entry, exactly one returns that there was one',
    needs: ['find'],
    async run ({ store, other }) {
      const [id, user] = [makeId(), makeUser()]
      await store.set(id, json(1), LONG, user)
      const answers = await Promise.all(Array.from({ length: 20 }, async (_, nth) => await [store, other][nth % 2]!.delete(id)))
      assert.equal(answers.filter(answer => answer === true).length, 1)
      assert.deepEqual(await store.find!(user), [])
    }
  },
  {
    name: 'when overlapping calls change the users of entries, each entry is found for exactly one user',
    needs: ['find', 'replace'],
    async run ({ store, other }) {
      const people = Array.from({ length: 4 }, makeUser)
      const ids = makeIds(20).sort()
      await Promise.all(ids.map(async id => { await store.set(id, json(0), LONG, people[0]) }))
      for (let round = 0; round < 5; round++) {
        await Promise.all(ids.flatMap(id => people.map(async (user, nth) => await [store, other][nth % 2]!.replace!(id, json(round), json(round + 1), LONG, user))))
        const lists = await Promise.all(people.map(async user => await idsOf(other, user)))
        assert.deepEqual(lists.flat().sort(), ids)
      }
      await Promise.all(ids.map(async id => await store.delete(id)))
      for (const user of people) assert.deepEqual(await store.find!(user), [])
    }
  }
]
