import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import type { IntervalHistogram } from 'node:perf_hooks'
import { peerOf } from './peers.mjs'
import type { Variation } from './peers.mjs'

// A peer in a process of its own, so that what it costs is what the process costs.
const [peer, variationJson = '{}'] = process.argv.slice(2) as [string, string?]
const variation = JSON.parse(variationJson) as Variation

type Question = 'cpu' | 'memory' | 'delay' | 'collection'

const RESOLUTION_MS = 1
let loop: IntervalHistogram | undefined

/** Milliseconds. It is measured from the first time that somebody asks. */
function delaySinceAsked (): number {
  // What it records is the time between two of its timers.
  const late = loop === undefined || loop.count === 0 ? 0 : Math.max(0, loop.percentile(99) / 1e6 - RESOLUTION_MS)
  loop ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  loop.enable()
  loop.reset()
  return late
}

let collected = 0
let observer: PerformanceObserver | undefined

/** Milliseconds. It is measured from the first time that somebody asks. */
function collectionSinceAsked (): number {
  const add = (entries: ReadonlyArray<{ duration: number }>): void => { for (const { duration } of entries) collected += duration }
  if (observer === undefined) {
    observer = new PerformanceObserver(list => add(list.getEntries()))
    observer.observe({ entryTypes: ['gc'] })
  }
  add(observer.takeRecords())
  const since = collected
  collected = 0
  return since
}

/** What is told when it is asked for: the CPU time so far, the memory in use once its garbage is gone, or what happened since it was asked. */
function tell (what: Question): NodeJS.CpuUsage | NodeJS.MemoryUsage | number {
  switch (what) {
    case 'cpu': return process.cpuUsage()
    case 'delay': return delaySinceAsked()
    case 'collection': return collectionSinceAsked()
    case 'memory':
      global.gc!()
      return process.memoryUsage()
  }
}

async function ask<Answer> (workers: readonly Worker[], what: Question): Promise<Answer[]> {
  return await Promise.all(workers.map(async worker => {
    const answer = once(worker, 'message')
    worker.send(what)
    return (await answer as [Answer])[0]
  }))
}

async function tellOfAll (workers: readonly Worker[], what: Question): Promise<NodeJS.CpuUsage | number> {
  if (what === 'delay') return Math.max(...await ask<number>(workers, what))
  if (what !== 'cpu') throw new Error(`the ${what} of several processes is not asked for`)
  const sum = process.cpuUsage()
  for (const { user, system } of await ask<NodeJS.CpuUsage>(workers, what)) {
    sum.user += user
    sum.system += system
  }
  return sum
}

process.on('disconnect', () => process.exit(0))
if (variation.workers !== undefined && cluster.isPrimary) {
  const workers = Array.from({ length: variation.workers }, () => cluster.fork())
  const ports = await Promise.all(workers.map(async worker => (await once(worker, 'message'))[0] as number))
  process.on('message', async (what: Question) => process.send!(await tellOfAll(workers, what)))
  process.send!(ports[0])
} else {
  const { serve } = await import(`./${peerOf(peer).framework}.mjs`) as typeof import('./fastify.mjs')
  const server = await serve(peer, variation)
  process.on('message', (what: Question) => process.send!(tell(what)))
  process.send!((server.address() as AddressInfo).port)
}
