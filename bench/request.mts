import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { check } from './check.mjs'
import { PEOPLE, rows, run, start, stop, warmUp } from './load.mjs'
import type { Sample, Target } from './load.mjs'
import { peers } from './peers.mjs'
import { chart, report } from './report.mjs'
import type { Run } from './report.mjs'
import { publish } from './results.mjs'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string' },
    rounds: { type: 'string' },
    requests: { type: 'string' },
    peers: { type: 'string' },
    rows: { type: 'string' },
    quick: { type: 'boolean', default: false }
  }
})
const count = (name: 'blocks' | 'rounds' | 'requests', usual: number, quick: number): number => {
  const number = Number(values[name] ?? (values.quick ? quick : usual))
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`)
  return number
}
const choose = (name: 'peers' | 'rows', known: string[], always: string[] = []): string[] => {
  const asked = values[name]?.split(',') ?? known
  const unknown = asked.filter(key => !known.includes(key))
  if (unknown.length > 0) throw new Error(`--${name}: ${unknown.join(', ')}; known are ${known.join(', ')}`)
  return known.filter(key => asked.includes(key) || always.includes(key))
}
const blocks = count('blocks', 3, 1)
const rounds = count('rounds', 2, 2)
const requests = count('requests', 2000, 1000)
/** A short run has no time to log so many in. */
const people = requests < 1000 ? 1000 : PEOPLE
const peerKeys = choose('peers', Object.keys(peers), ['this', 'again'])
const rowKeys = choose('rows', Object.keys(rows).filter(row => rows[row]!.forStores === undefined))

const samples: Run['samples'] = Object.fromEntries(rowKeys.map(row =>
  [row, Object.fromEntries(peerKeys.map(peer => [peer, [] as Sample[]]))]))

/** CPU time of the whole machine, in milliseconds */
function machine (): { busy: number, total: number } {
  const times = cpus().flatMap(({ times: { idle, ...busy } }) => ({ idle, busy: Object.values(busy).reduce((a, b) => a + b) }))
  const busy = times.reduce((sum, { busy }) => sum + busy, 0)
  return { busy, total: times.reduce((sum, { idle }) => sum + idle, busy) }
}

const before = machine()
let ours = 0

// A process may be lucky or not (where its memory lies, what is compiled when), so each block has new ones.
for (let block = 1; block <= blocks; block++) {
  const targets = new Map<string, Target>()
  for (const peer of peerKeys) {
    console.error(`block ${block} of ${blocks}: warming up ${peers[peer]!.title}`)
    const target = await start(peer, {}, people)
    await check(target)
    // Caches take longer to fill where most users come seldom.
    for (const row of rowKeys) await warmUp(target, row, (row === 'read-zipf' ? 5 : 2) * requests)
    targets.set(peer, target)
  }
  for (const row of rowKeys) {
    console.error(`block ${block} of ${blocks}: ${row}`)
    for (const target of targets.values()) await run(target, row, requests)
    for (let round = 0; round < rounds; round++) {
      // There and back again, so that no peer always comes after the same one, and drift cancels out.
      const order = [...targets.keys()]
      const there = new Map<string, Sample>()
      for (const peer of order) there.set(peer, await run(targets.get(peer)!, row, requests))
      for (const peer of order.reverse()) samples[row]![peer]!.push(mean(there.get(peer)!, await run(targets.get(peer)!, row, requests)))
    }
  }
  for (const target of targets.values()) ours += await stop(target)
}
const { user, system } = process.cpuUsage()
ours += user + system
const after = machine()

function mean (a: Sample, b: Sample): Sample {
  return {
    micros: (a.micros + b.micros) / 2,
    requestsPerSecond: (a.requestsPerSecond + b.requestsPerSecond) / 2,
    p50: (a.p50 + b.p50) / 2,
    p99: (a.p99 + b.p99) / 2
  }
}

const result: Run = {
  blocks,
  rounds,
  requests,
  others: Math.max(0, (after.busy - before.busy - ours / 1000) / (after.total - before.total)),
  samples
}
publish('request', report(result), chart(result), process.argv.length === 2)
