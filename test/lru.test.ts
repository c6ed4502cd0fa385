import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import sessionPlugin from '../lib/index.js'
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

t.test('entries used since the hand last passed stay, the oldest of the others goes', async t => {
  const lru = new Lru<number>(3)
  for (const [n, key] of ['a', 'b', 'c'].entries()) lru.set(key, n)
  lru.get('a')
  lru.get('c')
  lru.set('d', 3)
  t.equal(lru.get('b'), undefined)
  // The hand goes on from c, whose use it has not seen yet, to d, which was never used.
  lru.set('e', 4)
  t.same(['a', 'c', 'd', 'e'].map(key => lru.get(key)), [0, 2, undefined, 4])
})

t.test('an entry may be set again', async t => {
  const lru = new Lru<number>(2)
  for (const [key, value] of [['a', 1], ['b', 2], ['a', 3]] as const) lru.set(key, value, 4096)
  t.equal(lru.size, 2)
  t.equal(lru.get('a'), 3)
  t.equal(lru.get('b'), 2)
})

t.test('an entry that is replaced by a heavier one stays, and others go', async t => {
  for (const key of ['b', 'c', 'd']) {
    for (const isUsed of [true, false]) {
      const lru = new Lru<number>(3)
      // The hand evicts a, and stops at b.
      for (const [n, other] of ['a', 'b', 'c', 'd'].entries()) lru.set(other, n, 4096)
      if (isUsed) for (const other of ['b', 'c', 'd']) lru.get(other)
      lru.set(key, 5, 2 * 4096)
      t.equal(lru.get(key), 5)
      t.equal(lru.size, 2)
      lru.set(key, 6, 100_000)
      t.equal(lru.get(key), 6)
      t.equal(lru.size, 1)
    }
  }
})

t.test('entries that are replaced leave no memory behind', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const lru = new Lru<number>(100)
  const used = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  for (let n = 0; n < 300_000; n++) lru.set(`${n % 10}`, n)
  t.ok(used() - before < 10_000_000)
  for (let n = 0; n < 300_000; n++) lru.set(`${n}`, n)
  t.ok(used() - before < 10_000_000)
  t.equal(lru.size, 100)
})

t.test('heavy entries are limited to 4 kB times the size', async t => {
  const lru = new Lru<string>(100)
  let heaviest = 0
  for (let n = 0; n < 1000; n++) {
    const text = 'x'.repeat(n * 7919 % 60_000)
    lru.set(`${n}`, text, text.length)
    if (n % 3 === 0) lru.get(`${n}`)
    if (lru.get(`${n}`) !== text) t.fail(String(n))
    const bytes = Array.from({ length: n + 1 }, (_, at) => lru.get(`${at}`)?.length ?? 0).reduce((a, b) => a + b)
    heaviest = Math.max(heaviest, bytes)
  }
  t.ok(heaviest <= 100 * 4096, String(heaviest))
  t.ok(heaviest > 80 * 4096, String(heaviest))
  t.ok(lru.size < 100)
})

t.test('an entry heavier than all may be takes the place of all others', async t => {
  const lru = new Lru<number>(2)
  lru.set('a', 1, 10)
  lru.set('b', 2, 100_000)
  t.equal(lru.size, 1)
  t.equal(lru.get('b'), 2)
  lru.set('c', 3, 10)
  t.equal(lru.get('b'), undefined)
})

t.test('where users follow the law of Zipf, nearly as many are hits as if the most frequent users were known', async t => {
  const [users, size, draws] = [5000, 250, 60_000]
  const cumulated: number[] = []
  for (let user = 0; user < users; user++) cumulated.push((cumulated.at(-1) ?? 0) + 1 / (user + 1))
  const sum = cumulated.at(-1)!
  const tokens = Array.from({ length: users }, randomId)
  const lru = new Lru<number>(size)
  const met = new Doorkeeper(size)
  let hits = 0
  let state = 1
  for (let n = 0; n < draws; n++) {
    state = state * 48271 % 0x7fffffff
    const drawn = state / 0x7fffffff * sum
    let user = 0
    let high = users - 1
    while (user < high) {
      const middle = (user + high) >> 1
      if (cumulated[middle]! < drawn) user = middle + 1
      else high = middle
    }
    const token = tokens[user]!
    if (lru.get(token) !== undefined) hits += n < draws / 2 ? 0 : 1
    else if (met.before(token)) lru.set(token, user)
  }
  const best = cumulated[size - 1]! / sum
  t.ok(hits / (draws / 2) > best - 0.05, `${hits / (draws / 2)} of ${best}`)
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

t.test('the keys derived for a token do not keep the header that it came in', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const options = { secret: 'a secret of at least 32 characters', cacheSize: 0 }
  const sealer = sessionPlugin.createSealer(options)
  const tokens: string[] = []
  // Each sealer has salts of its own, as each node has.
  for (let n = 0; n < 100; n++) tokens.push(await sessionPlugin.createSealer(options).seal({}))
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const token of tokens) {
    const header = Buffer.from(`other=${'x'.repeat(100_000)}; session=${token}`).toString('latin1')
    t.equal((await sealer.unseal(header.slice(-token.length))).ok, true)
  }
  collectGarbage()
  t.ok(process.memoryUsage().heapUsed - before < 5_000_000)
  t.equal((await sealer.unseal(tokens[0]!)).ok, true)
})

t.test('the cache keeps a token, but not the header that it came in', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const sealer = sessionPlugin.createSealer<{ n: number }>({ secret: 'a secret of at least 32 characters' })
  const tokens: string[] = []
  for (let n = 0; n < 100; n++) tokens.push(await sealer.seal({ n }))
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const token of tokens) {
    for (let sighting = 0; sighting < 2; sighting++) {
      const header = Buffer.from(`other=${'x'.repeat(100_000)}; session=${token}`).toString('latin1')
      t.equal((await sealer.unseal(header.slice(-token.length))).ok, true)
    }
  }
  collectGarbage()
  t.ok(process.memoryUsage().heapUsed - before < 5_000_000)
  // Still in use, or it would be garbage too.
  t.equal((await sealer.unseal(tokens[0]!)).ok, true)
})
