import t from 'tap'
import { Doorkeeper, Lru } from '../lib/seal/lru.js'
import { randomId } from '../lib/seal/random.js'

t.test('an entry that is used stays while others are evicted', async t => {
  const lru = new Lru<number>(4)
  lru.set('kept', 0)
  const lost = Array.from({ length: 20 }, (_, n) => {
    lru.set(`${n}`, n)
    return lru.get('kept')
  }).filter(value => value !== 0)
  t.same(lost, [])
  t.equal(lru.get('1'), undefined)
})

t.test('the cache never exceeds its size, and always has the newest entries', async t => {
  for (const size of [1, 2, 3, 4, 5, 10, 1000]) {
    const lru = new Lru<number>(size)
    const sizes: number[] = []
    for (let n = 0; n < 3 * size; n++) {
      lru.set(`${n}`, n)
      lru.get(`${n - 1}`)
      sizes.push(lru.size)
      if (lru.get(`${n}`) !== n) t.fail(`${n} of ${size}`)
    }
    t.ok(Math.max(...sizes) <= size, String(size))
  }
})

t.test('a cache of size 0 stores nothing', async t => {
  const lru = new Lru<number>(0)
  lru.set('a', 1)
  t.equal(lru.get('a'), undefined)
  t.equal(lru.size, 0)
})

t.test('a doorkeeper remembers recent keys and forgets old ones', async t => {
  const met = new Doorkeeper(100)
  const tokens = Array.from({ length: 2000 }, randomId)
  t.same(tokens.slice(0, 20).map(token => met.before(token)).filter(Boolean), [])
  t.ok(tokens.slice(0, 20).filter(token => met.before(token)).length >= 10)
  for (const token of tokens) met.before(token)
  t.ok(tokens.slice(0, 20).filter(token => met.before(token)).length <= 10)
  t.equal(new Doorkeeper(0).before(tokens[0]!), false)
})
