import t from 'tap'
import { randomBlock, randomId } from '../lib/seal/random.js'

t.test('ids have 128 bits and do not repeat', async t => {
  const ids = new Set(Array.from({ length: 20_000 }, randomId))
  t.equal(ids.size, 20_000)
  t.match([...ids][0], /^[\w-]{21}[AQgw]$/)
})

t.test('blocks do not repeat, and the bytes after them are left alone', async t => {
  const blocks = new Set<string>()
  const target = Buffer.alloc(20, 7)
  for (let n = 0; n < 20_000; n++) {
    randomBlock(target)
    blocks.add(target.toString('hex', 0, 16))
  }
  t.equal(blocks.size, 20_000)
  t.same([...target.subarray(16)], [7, 7, 7, 7])
})
