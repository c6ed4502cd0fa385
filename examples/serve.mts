import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

const { NODE_ENV, HOST = '127.0.0.1', PORT = '3000', SESSION_SECRET, OLD_SESSION_SECRET } = process.env

function developmentSecret (): string | undefined {
  if (NODE_ENV === 'production') return undefined // the plugin says what to do
  console.log('SESSION_SECRET is not set, so a secret was made for this run: sessions end when the server stops.')
  console.log('For a lasting one: export SESSION_SECRET=$(npx fastify-sealed-session keygen)')
  return randomBytes(32).toString('hex')
}

/** The newest secret first; an old one is there while secrets change. */
function secrets (): string | string[] | undefined {
  const newest = SESSION_SECRET || developmentSecret()
  return newest !== undefined && OLD_SESSION_SECRET ? [newest, OLD_SESSION_SECRET] : newest
}

/** Starts an example's app, and ends it when it is told to. */
export async function serve (title: string, build: (secret: string | string[] | undefined) => Promise<FastifyInstance>): Promise<void> {
  try {
    const app = await build(secrets())
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { app.close() })
    const address = await app.listen({ host: HOST, port: Number(PORT) })
    console.log(`The ${title} is on ${address}`)
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    console.error(code === 'EADDRINUSE' ? `Port ${PORT} is in use: try PORT=3001` : `${code ?? 'Error'}: ${message}`)
    process.exit(1)
  }
}
