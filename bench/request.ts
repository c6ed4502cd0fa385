import { cpus } from 'node:os'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { check, rows, run, start } from './load.js'
import type { Row, Sample, Target } from './load.js'
import { peers } from './peers.js'

const OURS = 'fastify-iron-session'
const SECURE = '@fastify/secure-session'
const COOKIE = 'Fastify + @fastify/cookie'
const IRON = 'iron-session'

/** What the project wants to reach: our cost over theirs, at most. */
const targets: Record<Row, Record<string, number>> = {
  untouched: { [SECURE]: 0.66, [COOKIE]: 1.03 },
  read: { [SECURE]: 0.80, [COOKIE]: 1.25, [IRON]: 1 / 8 },
  'read-different': { [SECURE]: 0.90, [COOKIE]: 1.60, [IRON]: 1 / 8 },
  write: { [SECURE]: 0.85, [COOKIE]: 1.30, [IRON]: 1 / 8 }
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    blocks: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '4' },
    requests: { type: 'string', default: '5000' }
  }
})
const blocks = values.quick ? 1 : Number(values.blocks)
const rounds = values.quick ? 2 : Number(values.rounds)
const requests = values.quick ? 3000 : Number(values.requests)

/** iron-session takes so much longer where it works that fewer requests tell as much. */
const amountFor = (name: string, row: Row): number => name === IRON && row !== 'untouched' ? Math.ceil(requests / 10) : requests

const median = (numbers: number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!
const spread = (numbers: number[]): string => `${Math.min(...numbers).toFixed(2)}–${Math.max(...numbers).toFixed(2)}`

// The peer that is measured twice tells how noisy the run was.
const names = [...Object.keys(peers), SECURE]
const samples = Object.fromEntries(Object.keys(rows).map(row => [row, names.map((): Sample[] => [])])) as Record<Row, Sample[][]>

// A process may be lucky or not (where its memory lies, what is compiled when), so each block has new ones.
for (let block = 0; block < blocks; block++) {
  const running: Target[] = []
  for (const name of names) running.push(await start(name, name === IRON ? 200 : undefined))
  for (const target of running) await check(target)
  for (const row of Object.keys(rows) as Row[]) {
    // A warm-up, which is not counted: until V8 has compiled the row, its compiler is most of what is measured.
    for (const target of running) await run(target, row, 3 * amountFor(target.name, row))
    const block = running.map((): Sample[] => [])
    for (let round = 0; round < rounds; round++) {
      // There and back again, so that no peer always comes after the same one.
      const order = [...running.keys()]
      for (const at of round % 2 === 0 ? order : order.reverse()) block[at]!.push(await run(running[at]!, row, amountFor(running[at]!.name, row)))
    }
    block.forEach((taken, at) => samples[row][at]!.push({
      micros: median(taken.map(({ micros }) => micros)),
      requestsPerSecond: median(taken.map(({ requestsPerSecond }) => requestsPerSecond)),
      p99: median(taken.map(({ p99 }) => p99))
    }))
  }
  for (const { child } of running) child.disconnect()
}

const require = createRequire(import.meta.url)
const version = (name: string): string => (require(`${name}/package.json`) as { version: string }).version
console.log(`Node ${process.version}, ${cpus()[0]?.model.trim()} (${cpus().length} cores), ${new Date().toISOString().slice(0, 10)}`)
console.log(['fastify', '@fastify/cookie', SECURE, '@fastify/session'].map(name => `${name} ${version(name)}`).join(', '))
console.log(`${blocks} blocks of ${rounds} rounds of ${requests} requests, 10 connections; medians, in brackets the range over blocks\n`)

const ratiosTo = (row: Row, at: number): number[] => samples[row][0]!.map(({ micros }, block) => micros / samples[row][at]![block]!.micros)

for (const [row, title] of Object.entries(rows) as Array<[Row, string]>) {
  console.log(`### One request that ${title}\n`)
  console.log('| peer | server CPU, µs | fastify-iron-session / peer | requests/s | p99, ms |\n|---|---|---|---|---|')
  names.forEach((name, at) => {
    const taken = samples[row][at]!
    const ratio = name === OURS ? '' : `${median(ratiosTo(row, at)).toFixed(2)} (${spread(ratiosTo(row, at))})`
    const again = at === names.length - 1 ? ', again' : ''
    console.log(`| ${name}${again} | ${median(taken.map(({ micros }) => micros)).toFixed(1)} | ${ratio} | ` +
      `${median(taken.map(({ requestsPerSecond }) => requestsPerSecond)).toFixed(0)} | ${median(taken.map(({ p99 }) => p99)).toFixed(1)} |`)
  })
  console.log()
}

console.log('### Against the targets\n\n| one request that | against | target | measured | |\n|---|---|---|---|---|')
for (const [row, wanted] of Object.entries(targets) as Array<[Row, Record<string, number>]>) {
  for (const [name, target] of Object.entries(wanted)) {
    const measured = median(ratiosTo(row, names.indexOf(name)))
    console.log(`| ${rows[row]} | ${name} | ≤ ${target.toFixed(3)} | ${measured.toFixed(3)} | ${measured <= target ? 'reached' : 'missed'} |`)
  }
}
const noise = (Object.keys(rows) as Row[]).flatMap(row => samples[row][names.indexOf(SECURE)]!
  .map(({ micros }, block) => samples[row].at(-1)![block]!.micros / micros))
console.log(`\nNoise: ${SECURE} against itself ${median(noise).toFixed(2)} (${spread(noise)})`)
