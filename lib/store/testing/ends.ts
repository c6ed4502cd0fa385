import assert from 'node:assert/strict'
import { eventually, json, LONG, makeIds } from './tools.js'
import type { Case } from './tools.js'

export const ends: Case[] = [
  {
    name: 'subscribe reports the ids of entries that any process has deleted, and no others',
    needs: ['subscribe'],
    async run ({ store, other }) {
      const [changed, here, elsewhere, odd, unknown] = makeIds(5).map((id, nth) => nth === 3 ? `user:😀 ${id}` : id) as [string, string, string, string, string]
      const mine = new Set([changed, here, elsewhere, odd, unknown])
      const heard: string[] = []
      const stop = await store.subscribe!(id => { if (mine.has(id)) heard.push(id) })
      for (const id of [changed, here, elsewhere, odd]) await store.set(id, json(1), LONG)
      await store.set(changed, json(2), LONG)
      await store.touch?.(changed, LONG)
      await store.delete(unknown)
      await store.delete(here)
      await other.delete(elsewhere)
      await other.delete(odd)
      await eventually(() => heard.length === 3)
      assert.deepEqual(heard.toSorted(), [here, elsewhere, odd].sort())
      await stop()
      await store.delete(changed)
    }
  },
  {
    name: 'each listener of subscribe is called until it is stopped',
    needs: ['subscribe'],
    async run ({ store, other }) {
      const ids = makeIds(3) as [string, string, string]
      const heard: string[][] = [[], []]
      const [stopFirst, stopSecond] = [
        await store.subscribe!(id => { if (ids.includes(id)) heard[0]!.push(id) }),
        await store.subscribe!(id => { if (ids.includes(id)) heard[1]!.push(id) })
      ]
      for (const id of ids) await store.set(id, json(1), LONG)
      await other.delete(ids[0])
      await eventually(() => heard[0]!.length === 1 && heard[1]!.length === 1)
      await stopFirst()
      await stopFirst()
      await other.delete(ids[1])
      await eventually(() => heard[1]!.length === 2)
      await stopSecond()
      const stopThird = await store.subscribe!(id => { if (ids.includes(id)) heard[1]!.push(id) })
      await other.delete(ids[2])
      await eventually(() => heard[1]!.length === 3)
      await stopThird()
      assert.deepEqual(heard, [[ids[0]], ids])
    }
  }
]
