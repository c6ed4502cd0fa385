import { parseArgs } from 'node:util'
import { barChart } from './chart.mjs'
import { check } from './check.mjs'
import { delay, PEOPLE, rows, run, start, stop, warmUp } from './load.mjs'
import type { Sample, Target } from './load.mjs'
import { peers } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { median, ratios, showSpread, spread } from './stats.mjs'

// How many requests a server answers, how long they take and how late its event loop is, while as many are under way as it can take: on one
// process and on two, over HTTP/1.1 and HTTP/2.

const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const rounds = quick ? 1 : 6
const requests = quick ? 100 : 5000
const people = quick ? 100 : PEOPLE
const rowKeys = ['read-zipf', 'write']
const peerKeys = ['cookie', 'this', 'secure-session', 'again', 'session']

/** A way to serve. */
interface Way { title: string, workers: number, http2: boolean }
const ways: Way[] = [1, 2].flatMap(workers => [false, true].map(http2 =>
  ({ title: `HTTP/${http2 ? '2' : '1.1'}, ${workers} process${workers === 1 ? '' : 'es'}`, workers, http2 })))

/** What is kept in the memory of one process is unknown to the other. */
const canServe = (peer: string, { workers }: Way): boolean => workers === 1 || peers[peer]!.keeps !== 'the session in memory'

/** One run, and how late the event loop was meanwhile, in milliseconds */
interface Loaded extends Sample { late: number }

async function measure (target: Target, row: string): Promise<Loaded> {
  await delay(target.child)
  const sample = await run(target, row, requests)
  return { ...sample, late: await delay(target.child) }
}

const sections: string[] = []
const charts: Array<{ title: string, bars: Array<{ title: string, value: number, ours: boolean }> }> = []

for (const way of ways) {
  const { title, http2, workers } = way
  const targets = new Map<string, Target>()
  for (const peer of peerKeys.filter(peer => canServe(peer, way))) {
    console.error(`${title}: warming up ${peers[peer]!.title}`)
    const variation = workers === 1 ? { http2 } : { http2, workers }
    const target = await start(peer, variation, people)
    // Over HTTP/2 each answer is checked to know its user, as fetch does not speak it.
    if (!http2) await check(target)
    // Until caches are full and V8 has compiled what is used, in every process.
    for (const row of rowKeys) await warmUp(target, row, 4 * workers * requests)
    targets.set(peer, target)
  }
  for (const row of rowKeys) {
    console.error(`${title}: ${row}`)
    const samples = new Map([...targets.keys()].map(peer => [peer, [] as Loaded[]]))
    const order = [...targets.keys()]
    for (let round = 0; round < rounds; round++) {
      for (const peer of order) samples.get(peer)!.push(await measure(targets.get(peer)!, row))
      order.reverse()
    }
    const all = (peer: string, figure: keyof Loaded): number[] => samples.get(peer)!.map(sample => sample[figure])
    const lines = [...samples.keys()].map(peer => [
      peers[peer]!.title,
      median(all(peer, 'requestsPerSecond')).toFixed(0),
      peer === 'this' ? '' : showSpread(spread(ratios(all('this', 'requestsPerSecond'), all(peer, 'requestsPerSecond')))),
      ...(['p50', 'p99', 'late'] as const).map(figure => median(all(peer, figure)).toFixed(2)),
      median(all(peer, 'micros')).toFixed(1)
    ])
    sections.push(`## ${title}: requests that ${rows[row]!.title.replace(/^\w+/, verb => verb.slice(0, -1))}`,
      table(['peer', 'requests/s', 'this / peer', 'p50, ms', 'p99, ms', 'event loop late, p99, ms', 'server CPU, µs'], lines))
    charts.push({
      title: `${title}: ${rows[row]!.title}`,
      bars: [...samples.keys()].filter(peer => peer !== 'again').map(peer =>
        ({ title: peers[peer]!.title, value: median(all(peer, 'requestsPerSecond')), ours: peer === 'this' }))
    })
  }
  for (const target of targets.values()) await stop(target)
}

const text = [
  '# Throughput and latency under load',
  setting(['fastify', 'autocannon', ...peerKeys.flatMap(peer => peers[peer]!.packages)]),
  'Ten requests are under way at any time: over ten connections of autocannon for HTTP/1.1, over two connections with five streams each of node:http2 ' +
  `for HTTP/2 (without TLS). The peers take turns there and back, ${rounds} rounds of ${requests} requests each, of ${people} users; medians of the ` +
  'rounds, in brackets the smallest and the largest ratio of a round. How late the event loop is comes from perf_hooks.monitorEventLoopDelay in the ' +
  'server, with several processes from the latest of them. Two processes are those of node:cluster. The client runs on the same cores, and over ' +
  'HTTP/2 it needs more of them than the server: there, and with two processes, look at the server\'s CPU time first. @fastify/session keeps its ' +
  'sessions in the memory of one process, so it cannot serve from two.',
  ...sections
].join('\n\n') + '\n'
const longest = Math.max(...charts.flatMap(({ bars }) => bars.map(({ value }) => value)))
publish('load', text, barChart(charts, longest, `Requests per second; more is better. Node ${process.versions.node}, ${date}.`), !quick)
