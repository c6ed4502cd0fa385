import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { parseSealerOptions } from '../lib/options/options.js'
import { randomId } from '../lib/seal/random.js'
import { SessionSealer } from '../lib/seal/sealer.js'
import { lineCharts } from './chart.mjs'
import { memory, start, stop } from './load.mjs'
import { secret } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { fit, median } from './stats.mjs'

const { values } = parseArgs({ options: { minutes: { type: 'string' } } })
const minutes = Number(values.minutes ?? 10)
const SAMPLE_SECONDS = Math.min(5, minutes * 60 / 20)
const MB = 2 ** 20

/** What an entry of the cache costs: the live heap with it full, less the live heap without it. */
async function bytesPerEntry (bytes: number): Promise<number> {
  const entries = 20_000
  const sealer = new SessionSealer(parseSealerOptions({ secret, cacheSize: entries }))
  const text = JSON.stringify({ text: 'x'.repeat(bytes - '{"text":""}'.length) })
  global.gc!()
  const before = process.memoryUsage().heapUsed
  // A little less than its size: its two generations are full then, and none has been dropped yet.
  const filled = entries - 10
  for (let nth = 0; nth < filled; nth++) {
    const token = Buffer.from(await sealer.seal({ id: randomId(), createdAt: Date.now(), idle: undefined, text, stored: false }), 'latin1')
    await sealer.unseal(token.toString('latin1'))
  }
  global.gc!()
  const after = process.memoryUsage().heapUsed
  // Still in use, or it would be garbage too.
  await sealer.unseal('')
  return (after - before) / filled
}

const dataSizes = [60, 500, 1000]
const entryLines: string[][] = []
for (const bytes of dataSizes) entryLines.push([String(bytes), (await bytesPerEntry(bytes)).toFixed(0)])

const target = await start('this')
const { cookies } = target
const any = (): string => cookies[Math.floor(Math.random() * cookies.length)]!
const withCookie = (path: string, cookie: () => string): autocannon.Request =>
  ({ path, setupRequest: request => ({ ...request, headers: { cookie: cookie() } }) })
let visitor = 0
const mix: autocannon.Request[] = [
  withCookie('/untouched', any),
  withCookie('/read', () => cookies[0]!),
  withCookie('/read', any),
  withCookie('/write', any),
  { setupRequest: request => ({ ...request, path: `/login/v-${visitor++}` }) },
  // A forged cookie, one that is no seal at all, and a path that is no route
  withCookie('/read', () => `${any().slice(0, -8)}AAAAAAAA`),
  withCookie('/read', () => `session=${Math.random()}`),
  withCookie('/nowhere', any)
]
const started = performance.now()
const ends = started + minutes * 60_000
const load = autocannon({ url: target.url, connections: 10, duration: Math.ceil(minutes * 60), requests: mix })
const heap: Array<readonly [minute: number, megabytes: number]> = []
const rss: typeof heap = []
while (performance.now() + SAMPLE_SECONDS * 1000 < ends) {
  await wait(SAMPLE_SECONDS * 1000)
  const { heapUsed, rss: resident } = await memory(target.child)
  const minute = (performance.now() - started) / 60_000
  heap.push([minute, heapUsed / MB])
  rss.push([minute, resident / MB])
}
const { requests: { total }, errors } = await load
await stop(target)
if (errors > 0) throw new Error(`${errors} requests failed`)

// The first fifth is left out: caches fill, and code is compiled.
const settled = (points: typeof heap): typeof heap => points.slice(Math.floor(points.length / 5))
const lines = ([['live heap', heap], ['resident set', rss]] as const).map(([title, points]) => {
  const late = settled(points)
  const part = (some: typeof heap): string => median(some.map(([, megabytes]) => megabytes)).toFixed(1)
  return [title, part(late.slice(0, Math.ceil(late.length / 4))), part(late.slice(-Math.ceil(late.length / 4))),
    (fit(late).slope * 1024).toFixed(1)]
})

const text = [
  '# What it keeps in memory',
  setting(['fastify', 'autocannon']),
  `## ${minutes} minutes of mixed load`,
  `${total} requests over 10 connections: reads, changes, logins, forged and malformed cookies, routes without a session and 404s, of ` +
  `${cookies.length} sessions and one more with every login. Sampled every ${SAMPLE_SECONDS} s, the heap after a full collection; the first fifth is left out.`,
  table(['', 'early, MB', 'late, MB', 'growth, KB a minute'], lines),
  '## One entry of the cache',
  'Live heap per entry, by bytes of data: the token, the data\'s JSON and what was verified about them.',
  table(['bytes of data', 'bytes of heap'], entryLines)
].join('\n\n') + '\n'
const chart = {
  title: `${minutes} minutes of mixed load`,
  x: 'minutes',
  y: 'MB',
  series: [{ title: 'resident set', points: rss, ours: false }, { title: 'live heap', points: heap, ours: true }]
}
publish('memory', text, lineCharts([chart], `Node ${process.versions.node}, ${date}.`), values.minutes === undefined)
