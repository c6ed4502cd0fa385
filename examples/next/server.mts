import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { serve } from '../serve.mjs'
import { buildApp } from './app.mjs'
import { createNextServer } from './next.mjs'

const { HOST = '127.0.0.1', PORT = '3000', NEXT_PORT = String(Number(PORT) + 1) } = process.env

await serve('Fastify half', async (secret, server) => {
  const app = await buildApp({ secret, otherPort: Number(NEXT_PORT), server })
  const next = createNextServer({ secret, otherPort: Number(PORT), log: app.log })
  try {
    await once(next.listen(Number(NEXT_PORT), HOST), 'listening')
  } catch (error) {
    throw new Error(`The Next.js half cannot start. Try another NEXT_PORT. ${(error as Error).message}`, { cause: error })
  }
  console.log(`The Next.js half is on http://${HOST}:${(next.address() as AddressInfo).port}`)
  app.addHook('onClose', async () => {
    next.close()
    next.closeAllConnections()
  })
  return app
})
