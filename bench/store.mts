import { parseArgs } from 'node:util'
import { createClient } from 'redis'
import { startPostgres, startRedis } from '../test/fixtures/servers.js'
import { barChart } from './chart.mjs'
import { check } from './check.mjs'
import { rows, run, start, stop, warmUp } from './load.mjs'
import type { Sample, Target } from './load.mjs'
import { storePeers } from './peers.mjs'
import type { Peer } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { median, ratios, showSpread, spread } from './stats.mjs'

// What a session on a server costs, all peers with the same server and the same data. The flags: `--only Redis` or `--only PostgreSQL`
// leaves out the other one, and `--quick` only tries out whether everything works. Only a run without flags writes its results.

const { values: { quick, only } } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } } })
const blocks = quick ? 1 : 3
const rounds = quick ? 1 : 2
const requests = quick ? 50 : 1500
const rowKeys = ['untouched', 'read', 'write-different', 'login']

const [redis, postgres] = [await startRedis(), await startPostgres()]
process.env.REDIS_URL = redis.url
process.env.POSTGRES_URL = postgres.url
const client = await createClient({ url: redis.url }).connect()

/** What Redis was asked for by requests, in words. */
async function commands (target: Target, row: string, amount: number): Promise<string> {
  await client.configResetStat()
  await run(target, row, amount)
  const stats = [...(await client.info('commandstats')).matchAll(/cmdstat_(\w+).*?:calls=(\d+)/g)]
  const calls = stats.filter(([, command]) => !['info', 'config'].includes(command!)).map(([, command, count]) => `${Number((Number(count) / amount).toFixed(2))} ${command!}`)
  return calls.join(', ') || 'none'
}

interface Group { kind: keyof typeof storePeers, us: string, peers: Record<string, Peer>, roundTrips?: typeof commands }
const allGroups: Group[] = [
  { kind: 'Redis', us: 'this-redis', peers: storePeers.Redis, roundTrips: commands },
  { kind: 'PostgreSQL', us: 'this-postgres', peers: storePeers.PostgreSQL }
]
const groups = allGroups.filter(({ kind }) => only === undefined || kind === only)
if (groups.length === 0) throw new Error('--only must be Redis or PostgreSQL')

const samples: Record<string, Record<string, Sample[]>> = {}
const trips: Record<string, Record<string, string>> = {}
try {
  for (const { peers, roundTrips } of groups) {
    for (let block = 1; block <= blocks; block++) {
      const targets = new Map<string, Target>()
      for (const peer of Object.keys(peers)) {
        console.error(`block ${block} of ${blocks}: warming up ${peers[peer]!.title}`)
        const target = await start(peer, {}, quick ? 20 : 1000)
        await check(target)
        for (const row of rowKeys) await warmUp(target, row, 2 * requests)
        targets.set(peer, target)
      }
      for (const row of rowKeys) {
        console.error(`block ${block} of ${blocks}: ${row}`)
        if (block === 1) for (const [peer, target] of targets) if (roundTrips !== undefined) (trips[row] ??= {})[peer] = await roundTrips(target, row, 300)
        const order = [...targets.keys()]
        for (let round = 0; round < 2 * rounds; round++) {
          for (const peer of order) ((samples[row] ??= {})[peer] ??= []).push(await run(targets.get(peer)!, row, requests))
          order.reverse()
        }
      }
      for (const target of targets.values()) await stop(target)
    }
  }
} finally {
  client.destroy()
  await redis.stop()
  await postgres.stop()
}

const micros = (row: string, peer: string): number[] => samples[row]![peer]!.map(({ micros }) => micros)
const ratio = (row: string, us: string, peer: string): string => showSpread(spread(ratios(micros(row, us), micros(row, peer))))
const costOfUsers = (row: string, us: string): string => `With \`userOf\`, a request costs ${ratio(row, `${us}-users`, us)} of what it costs without.`

const text = [
  '# What a session in Redis or PostgreSQL costs',
  setting(['fastify', ...groups.flatMap(({ peers }) => Object.values(peers).flatMap(({ packages }) => packages))]),
  `Server CPU (user and system, the store's own server not counted) per request, that of fastify-sealed-session with its own store over that of the peer, and what Redis was asked for (what a script asks is counted too). ${blocks} blocks ` +
  `with new server processes, ${2 * rounds} rounds each, in turns there and back, ${requests} requests over 10 connections. Medians; in brackets the smallest and the largest ratio of a round.`,
  ...groups.flatMap(({ kind, us, peers, roundTrips }) => rowKeys.flatMap(row => [`## ${kind}: one request that ${rows[row]!.title}`, table(
    ['peer', 'server CPU, µs', 'this / peer', 'requests/s', 'p99, ms', ...roundTrips === undefined ? [] : ['asked of the server']],
    Object.keys(peers).map(peer => {
      const of = (figure: keyof Sample): number => median(samples[row]![peer]!.map(sample => sample[figure]))
      return [peers[peer]!.title, of('micros').toFixed(1), peer === us ? '' : ratio(row, us, peer), of('requestsPerSecond').toFixed(0), of('p99').toFixed(1), ...roundTrips === undefined ? [] : [trips[row]![peer]!]]
    })
  ), costOfUsers(row, us)]))
].join('\n\n') + '\n'
const charts = groups.flatMap(({ kind, us, peers }) => rowKeys.map(row => ({
  title: `${kind}: ${rows[row]!.title}`,
  bars: Object.keys(peers).filter(peer => !peer.endsWith('again')).map(peer =>
    ({ peer, title: peers[peer]!.title, value: median(micros(row, peer)), ours: peer === us }))
})))
const longest = Math.max(...charts.flatMap(({ bars }) => bars.map(({ value }) => value)))
publish('store', text, barChart(charts, longest, `Server CPU per request, µs; less is better. Node ${process.versions.node}, ${date}.`), !quick && only === undefined)
