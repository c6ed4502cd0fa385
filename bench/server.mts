import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { peerOf } from './peers.mjs'
import type { Variation } from './peers.mjs'

// A peer in a process of its own, so that what it costs is what the process costs.
const [peer, variationJson = '{}'] = process.argv.slice(2) as [string, string?]
const variation = JSON.parse(variationJson) as Variation

/** What is told when it is asked for: the CPU time so far, or the memory in use once its garbage is gone. */
function tell (what: 'cpu' | 'memory'): NodeJS.CpuUsage | NodeJS.MemoryUsage {
  if (what === 'cpu') return process.cpuUsage()
  global.gc!()
  return process.memoryUsage()
}

async function cpuOfAll (workers: readonly Worker[]): Promise<NodeJS.CpuUsage> {
  const sum = process.cpuUsage()
  for (const worker of workers) {
    const answer = once(worker, 'message')
    worker.send('cpu')
    const [{ user, system }] = await answer as [NodeJS.CpuUsage]
    sum.user += user
    sum.system += system
  }
  return sum
}

process.on('disconnect', () => process.exit(0))
if (variation.workers !== undefined && cluster.isPrimary) {
  const workers = Array.from({ length: variation.workers }, () => cluster.fork())
  const ports = await Promise.all(workers.map(async worker => (await once(worker, 'message'))[0] as number))
  process.on('message', async () => process.send!(await cpuOfAll(workers)))
  process.send!(ports[0])
} else {
  const { serve } = await import(`./${peerOf(peer).framework}.mjs`) as typeof import('./fastify.mjs')
  const server = await serve(peer, variation)
  process.on('message', (what: 'cpu' | 'memory') => process.send!(tell(what)))
  process.send!((server.address() as AddressInfo).port)
}
