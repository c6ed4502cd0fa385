import { randomBytes } from 'node:crypto'
import { buildApp } from './app.js'

const { NODE_ENV, HOST = '127.0.0.1', PORT = '3000', SESSION_SECRET } = process.env

function developmentSecret (): string | undefined {
  if (NODE_ENV === 'production') return undefined // the plugin says what to do
  console.log('SESSION_SECRET is not set, so a secret was made for this run: sessions end when the server stops.')
  console.log('For a lasting one: export SESSION_SECRET=$(npx fastify-iron-session keygen)')
  return randomBytes(32).toString('hex')
}

try {
  const app = await buildApp({ secret: SESSION_SECRET || developmentSecret() })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { app.close() })
  const address = await app.listen({ host: HOST, port: Number(PORT) })
  console.log(`The login example is on ${address}`)
} catch (error) {
  const { code, message } = error as Error & { code?: string }
  console.error(code === 'EADDRINUSE' ? `Port ${PORT} is in use: try PORT=3001 npm start` : `${code ?? 'Error'}: ${message}`)
  process.exitCode = 1
}
