import t from 'tap'
import { Lru } from '../lib/lru.js'

t.test('an entry that is used stays while others go', async t => {
  const lru = new Lru<number>(4)
  lru.set('kept', 0)
  for (let n = 1; n <= 20; n++) {
    lru.set(`${n}`, n)
    t.equal(lru.get('kept'), 0)
  }
  t.equal(lru.get('1'), undefined)
})

t.test('it never holds more than its size', async t => {
  for (const size of [1, 2, 3, 4, 5, 10, 1000]) {
    const lru = new Lru<number>(size)
    for (let n = 0; n < 3 * size; n++) {
      lru.set(`${n}`, n)
      lru.get(`${n - 1}`)
      t.ok(lru.size <= size, { size, held: lru.size })
      t.equal(lru.get(`${n}`), n)
    }
  }
})

t.test('size 0 remembers nothing', async t => {
  const lru = new Lru<number>(0)
  lru.set('a', 1)
  t.equal(lru.get('a'), undefined)
  t.equal(lru.size, 0)
})
