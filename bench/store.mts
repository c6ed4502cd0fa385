import { parseArgs } from 'node:util'
import { createClient } from 'redis'
import { startRedis } from '../test/fixtures/servers.js'
import { barChart } from './chart.mjs'
import { check } from './check.mjs'
import { rows, run, start, stop, warmUp } from './load.mjs'
import type { Sample, Target } from './load.mjs'
import { redisPeers } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { median, ratios, showSpread, spread } from './stats.mjs'

// What a session in Redis costs, all peers with the same Redis and the same data.

const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const blocks = quick ? 1 : 3
const rounds = quick ? 1 : 4
const requests = quick ? 50 : 3000
const US = 'this-connect-redis'
const rowKeys = ['untouched', 'read', 'write-different', 'login']

const redis = await startRedis()
process.env.REDIS_URL = redis.url
const client = await createClient({ url: redis.url }).connect()

/** What Redis was asked for by one request, in words. */
async function roundTrips (target: Target, row: string): Promise<string> {
  const amount = 100
  await client.configResetStat()
  await run(target, row, amount)
  const stats = [...(await client.info('commandstats')).matchAll(/cmdstat_(\w+).*?:calls=(\d+)/g)]
  const calls = stats.filter(([, command]) => !['info', 'config'].includes(command!)).map(([, command, count]) => `${Number(count) / amount} ${command!}`)
  return calls.join(', ') || 'none'
}

const samples: Record<string, Record<string, Sample[]>> = {}
const trips: Record<string, Record<string, string>> = {}
try {
  for (let block = 1; block <= blocks; block++) {
    const targets = new Map<string, Target>()
    for (const peer of Object.keys(redisPeers)) {
      console.error(`block ${block} of ${blocks}: warming up ${redisPeers[peer]!.title}`)
      const target = await start(peer, {}, quick ? 20 : 1000)
      await check(target)
      for (const row of rowKeys) await warmUp(target, row, 2 * requests)
      targets.set(peer, target)
    }
    for (const row of rowKeys) {
      console.error(`block ${block} of ${blocks}: ${row}`)
      for (const [peer, target] of targets) (trips[row] ??= {})[peer] = await roundTrips(target, row)
      const order = [...targets.keys()]
      for (let round = 0; round < 2 * rounds; round++) {
        for (const peer of order) ((samples[row] ??= {})[peer] ??= []).push(await run(targets.get(peer)!, row, requests))
        order.reverse()
      }
    }
    for (const target of targets.values()) await stop(target)
  }
} finally {
  client.destroy()
  await redis.stop()
}

const micros = (row: string, peer: string): number[] => samples[row]![peer]!.map(({ micros }) => micros)
const ratio = (row: string, peer: string): string => showSpread(spread(ratios(micros(row, US), micros(row, peer))))

const text = [
  '# What a session in Redis costs',
  setting(['fastify', ...Object.values(redisPeers).flatMap(({ packages }) => packages)]),
  `Server CPU (user and system, Redis not counted) per request, that of fastify-sealed-session with connect-redis over that of the peer, and what Redis was asked for (what a script asks is counted too). ${blocks} blocks ` +
  `with new server processes, ${2 * rounds} rounds each, in turns there and back, ${requests} requests over 10 connections. Medians; in brackets the smallest and the largest ratio of a round.`,
  ...rowKeys.flatMap(row => [`## One request that ${rows[row]!.title}`, table(
    ['peer', 'server CPU, µs', 'this / peer', 'requests/s', 'p99, ms', 'commands'],
    Object.entries(samples[row]!).map(([peer, all]) => {
      const of = (figure: keyof Sample): number => median(all.map(sample => sample[figure]))
      return [redisPeers[peer]!.title, of('micros').toFixed(1), peer === US ? '' : ratio(row, peer), of('requestsPerSecond').toFixed(0), of('p99').toFixed(1), trips[row]![peer]!]
    })
  )])
].join('\n\n') + '\n'
const groups = rowKeys.map(row => ({
  title: rows[row]!.title,
  bars: Object.keys(redisPeers).filter(peer => !peer.endsWith('again')).map(peer =>
    ({ peer, title: redisPeers[peer]!.title, value: median(micros(row, peer)), ours: peer === US }))
}))
const longest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)))
publish('store', text, barChart(groups, longest, `Server CPU per request, µs; less is better. Node ${process.versions.node}, ${date}.`), !quick)
