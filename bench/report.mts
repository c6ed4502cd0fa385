import { barChart } from './chart.mjs'
import { rows } from './load.mjs'
import type { Sample } from './load.mjs'
import { peers } from './peers.mjs'
import { date, setting, table } from './results.mjs'
import { median, ratios, showSpread, spread } from './stats.mjs'

/** One run: how it was made, and the samples of every round by row and peer. */
export interface Run {
  blocks: number
  rounds: number
  requests: number
  /** What other processes took of the machine's CPU time meanwhile, 0 to 1 */
  others: number
  samples: Record<string, Record<string, Sample[]>>
}

/** What the project wants to reach: our cost over theirs, at most. */
const targets: Record<string, Record<string, number>> = {
  untouched: { 'secure-session': 0.75, cookie: 1.03 },
  read: { 'secure-session': 0.85, cookie: 1.20, 'iron-session': 0.125 },
  'read-different': { 'secure-session': 1.00, cookie: 1.35, 'iron-session': 0.125 },
  write: { 'secure-session': 0.95, cookie: 1.35, 'iron-session': 0.125 },
  login: { 'secure-session': 0.95, cookie: 1.35 },
  'not-found': { 'secure-session': 0.75, cookie: 1.03 }
}

const micros = ({ samples }: Run, row: string, peer: string): number[] => samples[row]![peer]!.map(({ micros }) => micros)

/** What this package costs over what the peer costs, round by round. */
const ratiosTo = (run: Run, row: string, peer: string): number[] => ratios(micros(run, row, 'this'), micros(run, row, peer))

function rowTable (run: Run, row: string): string {
  const lines = Object.entries(run.samples[row]!).map(([peer, samples]) => {
    const of = (figure: keyof Sample): number => median(samples.map(sample => sample[figure]))
    const ratio = peer === 'this' ? '' : showSpread(spread(ratiosTo(run, row, peer)))
    return [peers[peer]!.title, of('micros').toFixed(1), ratio, of('requestsPerSecond').toFixed(0), of('p99').toFixed(1)]
  })
  return table(['peer', 'server CPU, µs', 'this / peer', 'requests/s', 'p99, ms'], lines)
}

function verdicts (run: Run): string[][] {
  return Object.keys(run.samples).flatMap(row => Object.entries(targets[row] ?? {})
    .filter(([peer]) => run.samples[row]![peer] !== undefined)
    .map(([peer, target]) => {
      const measured = spread(ratiosTo(run, row, peer))
      return [rows[row]!.title, peers[peer]!.title, `≤ ${target}`, showSpread(measured), measured.median <= target ? 'reached' : '**missed**']
    }))
}

/** The run as Markdown. */
export function report (run: Run): string {
  const { blocks, rounds, requests, others, samples } = run
  const noise = spread(Object.keys(samples).flatMap(row => ratiosTo(run, row, 'again')))
  return [
    '# What a request costs',
    setting(['fastify', ...Object.keys(Object.values(samples)[0]!).flatMap(peer => peers[peer]!.packages)]),
    `Server CPU (user and system) per request, and fastify-sealed-session's over that of the peer: below 1 it costs less. ${blocks} blocks, ` +
    `each with new server processes and ${rounds} rounds; in a round the peers take turns there and back with ${requests} requests each ` +
    'way, over 10 connections (a fifth of that for iron-session where it works, and for Express). Medians over the rounds; in brackets the ' +
    'smallest and the largest ratio of a round.',
    `Noise: fastify-sealed-session against itself came out at ${showSpread(noise)}, over all rows; other processes ` +
    `took ${(others * 100).toFixed(0)} % of the machine's CPU time meanwhile.`,
    ...Object.keys(samples).flatMap(row => [`## One request that ${rows[row]!.title}`, rowTable(run, row)]),
    '## Against the targets',
    table(['one request that', 'against', 'target', 'measured', ''], verdicts(run))
  ].join('\n\n') + '\n'
}

/** The median CPU time of every peer as bars, row by row. */
export function chart (run: Run): string {
  const groups = Object.entries(run.samples).map(([row, samples]) => ({
    title: rows[row]!.title,
    bars: Object.keys(samples).filter(peer => peer !== 'again').map(peer =>
      ({ peer, title: peers[peer]!.title, value: median(micros(run, row, peer)), ours: peer === 'this' }))
  }))
  const longest = Math.max(...groups.flatMap(({ bars }) => bars).filter(({ peer }) => peers[peer]!.slow === undefined).map(({ value }) => value))
  return barChart(groups, longest, `Server CPU per request, µs; less is better. Node ${process.versions.node}, ${date}.`)
}
