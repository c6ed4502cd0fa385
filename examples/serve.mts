import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'

const {
  NODE_ENV, HOST = '127.0.0.1', PORT = '3000', LOG_LEVEL = 'info', SESSION_SECRET, OLD_SESSION_SECRET
} = process.env

function developmentSecret (): string | undefined {
  if (NODE_ENV === 'production') return undefined // the plugin's error says what to do
  console.log('SESSION_SECRET is not set. This run uses a random secret, so all sessions end when the server stops.')
  console.log('To keep them: export SESSION_SECRET=$(npx fastify-sealed-session keygen)')
  return randomBytes(32).toString('hex')
}

/** The newest secret comes first. The old one still opens sessions while the secret is being changed. */
function secrets (): string | string[] | undefined {
  const newest = SESSION_SECRET || developmentSecret()
  return newest !== undefined && OLD_SESSION_SECRET ? [newest, OLD_SESSION_SECRET] : newest
}

type Build = (secret: string | string[] | undefined, server: FastifyServerOptions) => Promise<FastifyInstance>

/** Starts an example's app, and closes it on SIGINT and SIGTERM. */
export async function serve (title: string, build: Build): Promise<void> {
  try {
    // One line of JSON for each log entry, as in production; `npm start | npx pino-pretty` is easier to read.
    const app = await build(secrets(), { logger: { level: LOG_LEVEL } })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { app.close() })
    const address = await app.listen({ host: HOST, port: Number(PORT) })
    console.log(`The ${title} is on ${address}`)
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    console.error(code === 'EADDRINUSE' ? `Port ${PORT} is in use. Set another one, for example PORT=3001.` : `${code ?? 'Error'}: ${message}`)
    process.exit(1)
  }
}
