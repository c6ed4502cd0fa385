import type { AddressInfo } from 'node:net'
import { peers } from './peers.js'

// A peer in a process of its own, so that what it costs is what the process costs.
const peer = process.argv[2]!
const { serve } = await import(`./${peers[peer]!.framework}.js`) as typeof import('./fastify.js')
const server = await serve(peer)
process.on('message', () => process.send!(process.cpuUsage()))
process.on('disconnect', () => process.exit(0))
process.send!((server.address() as AddressInfo).port)
