import { parseArgs } from 'node:util'
import type autocannon from 'autocannon'
import { lineCharts } from './chart.mjs'
import type { LineChart } from './chart.mjs'
import { collection, load, memory, PEOPLE, rows, run, start, stop, warmUp } from './load.mjs'
import type { Target } from './load.mjs'
import { peers } from './peers.mjs'
import type { Variation } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { fit, median, ratios, showSpread, spread } from './stats.mjs'

const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const rounds = quick ? 2 : 10
const requests = quick ? 300 : 3000
/** The default of cacheSize */
const CACHE = 4000

/** One way to load one peer. */
interface Case { target: Target, warm (): Promise<unknown>, micros (): Promise<number> }

/** All cases in turns, there and back again: the CPU times of each. */
async function inTurns (cases: readonly Case[]): Promise<number[][]> {
  for (const { warm } of cases) await warm()
  const taken = cases.map((): number[] => [])
  const order = [...cases.keys()]
  for (let round = 0; round < rounds; round++) {
    for (const at of order) taken[at]!.push(await cases[at]!.micros())
    order.reverse()
  }
  return taken
}

async function withTargets<Result> (
  starts: ReadonlyArray<readonly [peer: string, variation: Variation, people?: number]>, work: (targets: Target[]) => Promise<Result>
): Promise<Result> {
  const targets: Target[] = []
  for (const each of starts) targets.push(await start(...each))
  try {
    return await work(targets)
  } finally {
    for (const target of targets) await stop(target)
  }
}

const rowCase = (target: Target, row: string): Case => ({
  target,
  warm: async () => await warmUp(target, row, 4 * requests),
  micros: async () => (await run(target, row, requests)).micros
})

function customCase (target: Target, request: autocannon.Request): Case {
  return {
    target,
    warm: async () => await load(target, 4 * requests, request),
    micros: async () => (await load(target, requests, request)).micros
  }
}

const say = (what: string): void => console.error(`measuring ${what}`)
const sections: string[] = []
const charts: LineChart[] = []

// 1. As the data grows.
const sizes = quick ? [100, 2000] : [60, 500, 1000, 1750, 2500]
const compared = ['this', 'secure-session']
await withTargets(sizes.flatMap(bytes => compared.map(peer => [peer, { bytes }, quick ? 1000 : PEOPLE] as const)), async targets => {
  for (const row of ['read', 'read-different', 'write']) {
    say(`${row} by size`)
    const taken = await inTurns(targets.map(target => rowCase(target, row)))
    const of = (peer: number, size: number): number[] => taken[size * compared.length + peer]!
    const lines = sizes.map((bytes, size) => [String(bytes), ...[0, 1].map(peer => median(of(peer, size)).toFixed(1)),
      showSpread(spread(ratios(of(0, size), of(1, size))))])
    const series = compared.map((title, at) => ({
      title, ours: at === 0, points: sizes.map((bytes, size) => [bytes, median(of(at, size))] as const)
    }))
    const shapes = series.map(({ title, points }) => {
      const { base, slope, explained } = fit(points.map(([bytes, micros]) => [bytes / 1000, micros]))
      return `${title} ${base.toFixed(1)} µs + ${slope.toFixed(1)} µs per 1000 bytes (R² ${explained.toFixed(2)})`
    })
    sections.push(`## One request that ${rows[row]!.title}, by bytes of data`,
      table(['bytes', ...compared.map(peer => `${peers[peer]!.title}, µs`), 'this / peer'], lines), `As a line: ${shapes.join('; ')}.`)
    charts.push({ title: `One request that ${rows[row]!.title}`, x: 'bytes of data', y: 'CPU, µs', series })
  }
})

// 2. As the sessions outgrow the cache. Nine of ten visitors may be the same few, or each a new one.
await withTargets([['this', {}, quick ? 1000 : 10 * CACHE]], async ([target]) => {
  const { cookies } = target!
  const hot = cookies.slice(0, 100)
  const read = (next: () => string): autocannon.Request =>
    ({ path: '/read', setupRequest: request => ({ ...request, headers: { cookie: next() } }) })
  const from = (some: readonly string[]): string => some[Math.floor(Math.random() * some.length)]!

  const rates = [0, 25, 50, 75, 100]
  let cold = hot.length
  const nextCold = (): string => {
    cold = cold + 1 < cookies.length ? cold + 1 : hot.length
    return cookies[cold]!
  }
  say('hit rates')
  const byRate = await inTurns(rates.map(rate => customCase(target!, read(() => Math.random() * 100 < rate ? from(hot) : nextCold()))))
  const ratePoints = rates.map((rate, at) => [rate, median(byRate[at]!)] as const)
  const { base, slope, explained } = fit(ratePoints)
  sections.push('## One request that reads, by how many find their cookie in the cache',
    table(['hits, %', 'µs', '/ no hits'], rates.map((rate, at) => [String(rate), median(byRate[at]!).toFixed(1), showSpread(spread(ratios(byRate[at]!, byRate[0]!)))])),
    `As a line: ${base.toFixed(1)} µs where none is a hit, and ${(-slope * 100).toFixed(1)} µs less where all are (R² ${explained.toFixed(2)}).`)
  charts.push({ title: 'One request that reads, by hits', x: 'requests whose cookie is in the cache, %', y: 'CPU, µs', series: [{ title: 'this', ours: true, points: ratePoints }] })

  const counts = [100, 1000, 2000, 4000, 6000, 8000, 16_000, 40_000].filter(count => count <= cookies.length)
  say('numbers of sessions')
  const byCount = await inTurns(counts.map(count => {
    const some = cookies.slice(0, count)
    return customCase(target!, read(() => from(some)))
  }))
  const countPoints = counts.map((count, at) => [count, median(byCount[at]!)] as const)
  sections.push(`## One request that reads, by number of sessions, with a cache of ${CACHE}`,
    table(['sessions', 'µs', '/ 100'], counts.map((count, at) => [String(count), median(byCount[at]!).toFixed(1), showSpread(spread(ratios(byCount[at]!, byCount[0]!)))])),
    'Each request is of any of these sessions by chance. What to expect is a step, not a slope: as far as the cache reaches a hit is sure, past ' +
    'it requests miss more and more, and once nearly all do, more sessions cost no more.')
  charts.push({ title: `One request that reads, a cache of ${CACHE}`, x: 'sessions', y: 'CPU, µs', series: [{ title: 'this', ours: true, points: countPoints }] })
})

// 3. As the cache grows, where few users make most of the requests. A cache of 0 is none.
const cacheSizes = quick ? [0, 1000] : [0, 1000, CACHE, 10_000, 30_000]
for (const bytes of quick ? [60] : [60, 1000]) {
  await withTargets(cacheSizes.map(cacheSize => ['this', { cacheSize, bytes }, quick ? 1000 : PEOPLE] as const), async targets => {
    say(`sizes of the cache, ${bytes} bytes`)
    const collections = targets.map((): number[] => [])
    const taken = await inTurns(targets.map((target, at) => ({
      target,
      // Enough to fill the largest.
      warm: async () => await warmUp(target, 'read-zipf', quick ? requests : 60_000),
      async micros () {
        await collection(target.child)
        const { micros } = await run(target, 'read-zipf', requests)
        collections[at]!.push(await collection(target.child) * 1000 / requests)
        return micros
      }
    })))
    const heaps = await Promise.all(targets.map(async ({ child }) => (await memory(child)).heapUsed / 2 ** 20))
    sections.push(`## One request that ${rows['read-zipf']!.title}, by size of the cache: ${targets[0]!.cookies.length} users, ${bytes} bytes`,
      table(['cacheSize', 'µs', '/ 0', 'collecting garbage, µs', 'heap, MB'], cacheSizes.map((size, at) =>
        [String(size), median(taken[at]!).toFixed(1), showSpread(spread(ratios(taken[at]!, taken[0]!))), median(collections[at]!).toFixed(2), heaps[at]!.toFixed(1)])))
  })
}

// 4. As secrets are rotated.
const secretCounts = [1, 2, 8, 32]
await withTargets(secretCounts.map(secrets => ['this', { secrets }] as const), async targets => {
  say('numbers of secrets')
  const taken = await inTurns(targets.map(target => rowCase(target, 'read-different')))
  sections.push(`## One request that ${rows['read-different']!.title}, by number of secrets`,
    table(['secrets', 'µs', '/ 1'], secretCounts.map((count, at) => [String(count), median(taken[at]!).toFixed(1), showSpread(spread(ratios(taken[at]!, taken[0]!)))])),
    'What to expect is no growth: the id in a seal names its secret, whatever their number.')
})

// 5. Over processes behind one port. Each draws salts of its own, and opens the seals of the other.
const workerCounts = [1, 2]
await withTargets(workerCounts.map(workers => ['this', { workers }] as const), async targets => {
  for (const row of ['read-different', 'write']) {
    say(`${row} by processes`)
    const taken = await inTurns(targets.map(target => rowCase(target, row)))
    sections.push(`## One request that ${rows[row]!.title}, by processes behind one port (node:cluster)`,
      table(['processes', 'µs', '/ 1'], workerCounts.map((count, at) => [String(count), median(taken[at]!).toFixed(1), showSpread(spread(ratios(taken[at]!, taken[0]!)))])),
      'CPU time of all processes together. They share nothing but the secret, and the cores with the load: what is added is the crowding of these.')
  }
})

const text = [
  '# How the cost grows',
  setting(['fastify', 'autocannon', ...compared.flatMap(peer => peers[peer]!.packages)]),
  `Server CPU (user and system) per request; what is compared takes turns there and back, ${rounds} rounds of ${requests} requests each over ` +
  '10 connections; medians, in brackets the smallest and the largest ratio of a round.',
  ...sections
].join('\n\n') + '\n'
publish('scale', text, lineCharts(charts, `Server CPU per request. Node ${process.versions.node}, ${date}.`), !quick)
