import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { barChart } from './chart.mjs'
import { memory, run, start, stop } from './load.mjs'
import { peers } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { median, showSpread, spread } from './stats.mjs'

// What a package costs before the first request, and what its process holds in memory: once registered, and after requests.

const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const rounds = quick ? 2 : 21
const blocks = quick ? 1 : 3
const requests = quick ? 100 : 20_000
const people = quick ? 100 : 2000
const MB = 2 ** 20

/** What an app loads, Fastify included. */
const loads: Record<string, string[]> = {
  fastify: ['fastify'],
  cookie: ['fastify', '@fastify/cookie'],
  this: ['fastify', 'fastify-sealed-session'],
  'secure-session': ['fastify', '@fastify/secure-session'],
  mgcrea: ['fastify', '@fastify/cookie', '@mgcrea/fastify-session', '@mgcrea/fastify-session-sodium-crypto'],
  session: ['fastify', '@fastify/cookie', '@fastify/session'],
  'iron-session': ['fastify', 'iron-session']
}
const peerKeys = Object.keys(loads)

/** CPU time, user and system and of all threads, of a process from its start until it has loaded these packages, in milliseconds. */
function loadingTime (names: readonly string[]): number {
  const script = `${names.map(name => `require('${name}')`).join(';')};process.stdout.write(String(Object.values(process.cpuUsage()).reduce((a, b) => a + b)))`
  // The project's root, so that this package is found by its own name.
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  return Number(execFileSync(process.execPath, ['-e', script], { cwd, encoding: 'utf8' })) / 1000
}

const times = new Map(peerKeys.map(peer => [peer, [] as number[]]))
const order = [...peerKeys]
for (let round = -1; round < rounds; round++) {
  // The first round only reads the files into the system's cache.
  for (const peer of order) {
    const milliseconds = loadingTime(loads[peer]!)
    if (round >= 0) times.get(peer)!.push(milliseconds)
  }
  order.reverse()
}
const overFastify = new Map(peerKeys.map(peer => [peer, times.get(peer)!.map((milliseconds, at) => milliseconds - times.get('fastify')![at]!)]))

interface Held { heap: number, rss: number }
const registered = new Map(peerKeys.map(peer => [peer, [] as Held[]]))
const loaded = new Map(peerKeys.map(peer => [peer, [] as Held[]]))
for (let block = 1; block <= blocks; block++) {
  for (const peer of peerKeys) {
    console.error(`block ${block} of ${blocks}: memory of ${peers[peer]!.title}`)
    const idle = await start(peer, {}, 0)
    registered.get(peer)!.push(await held(idle))
    await stop(idle)
    const busy = await start(peer, {}, people)
    for (const row of ['read-different', 'write', 'untouched']) await run(busy, row, requests)
    loaded.get(peer)!.push(await held(busy))
    await stop(busy)
  }
}

async function held ({ child }: Awaited<ReturnType<typeof start>>): Promise<Held> {
  const { heapUsed, rss } = await memory(child)
  return { heap: heapUsed / MB, rss: rss / MB }
}

const of = (some: Map<string, Held[]>, peer: string, what: keyof Held): number => median(some.get(peer)!.map(held => held[what]))
const text = [
  '# What it costs to load, and what it holds in memory',
  setting(['fastify', ...peerKeys.flatMap(peer => peers[peer]!.packages)]),
  '## Loading',
  'CPU time of a process until `require` has returned, and what each package adds to Fastify\'s own: the difference of two processes of the same ' +
  `round. ${rounds} rounds there and back; medians, in brackets the smallest and the largest difference.`,
  table(['', 'CPU, ms', 'over Fastify, ms'], peerKeys.map(peer =>
    [peers[peer]!.title, median(times.get(peer)!).toFixed(1), peer === 'fastify' ? '' : showSpread(spread(overFastify.get(peer)!))])),
  '## Memory',
  `Once the garbage is gone: after registering and listening, and after ${people} logins, ${3 * requests} requests that read, change or leave alone ` +
  `their session (iron-session: a fifth of those, a tenth of the logins). Medians of ${blocks} processes each.`,
  table(['', 'heap, registered, MB', 'resident, registered, MB', 'heap, after requests, MB', 'resident, after requests, MB'], peerKeys.map(peer =>
    [peers[peer]!.title, ...[registered, loaded].flatMap(when => (['heap', 'rss'] as const).map(what => of(when, peer, what).toFixed(1)))]))
].join('\n\n') + '\n'
const bars = (value: (peer: string) => number): Array<{ title: string, value: number, ours: boolean }> =>
  peerKeys.filter(peer => peer !== 'fastify').map(peer => ({ title: peers[peer]!.title, value: value(peer), ours: peer === 'this' }))
const charts = [
  { title: 'Loading, ms of CPU time over Fastify', bars: bars(peer => median(overFastify.get(peer)!)) },
  { title: 'Resident after requests, MB', bars: bars(peer => of(loaded, peer, 'rss')) }
]
publish('loading', text, barChart(charts, Math.max(...charts.flatMap(({ bars }) => bars.map(({ value }) => value))), `Less is better. Node ${process.versions.node}, ${date}.`), !quick)
