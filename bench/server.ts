import type { AddressInfo } from 'node:net'
import { serve } from './peers.js'

// A peer in a process of its own, so that what it costs is what the process costs.
const server = await serve(process.argv[2]!)
process.on('message', () => process.send!(process.cpuUsage()))
process.on('disconnect', () => process.exit(0))
process.send!((server.address() as AddressInfo).port)
