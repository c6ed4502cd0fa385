import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { cookie, cookieName, maxAge, secret, user } from './peers.mjs'

// As much of their types as is used here.
type Bag = Record<string, unknown>
interface Request extends IncomingMessage { params: { id: string }, session: Bag | null }
interface Response extends ServerResponse { status (code: number): this, json (body: unknown): void }
type Handler = (request: Request, response: Response, next: (error?: unknown) => void) => void
interface App {
  set (name: string, value: unknown): void
  use (handler: Handler): void
  get (path: string, handler: Handler): void
  listen (port: number, host: string): Server
}

const require = createRequire(import.meta.url)
function load<Exports> (name: string): Exports { return require(name) as Exports }

interface Setup {
  session (): Handler
  /** Starts a session with nothing in it, under a new id where it has one. */
  renew (request: Request, done: (error?: unknown) => void): void
}

const milliseconds = maxAge * 1000
const setups: Record<string, Setup> = {
  'express-session': {
    session: () => load<(options: Bag) => Handler>('express-session')({
      name: cookieName, secret, cookie: { ...cookie, maxAge: milliseconds }, resave: false, saveUninitialized: false
    }),
    renew: (request, done) => (request.session as { regenerate (done: (error?: unknown) => void): void }).regenerate(done)
  },
  'cookie-session': {
    session: () => load<(options: Bag) => Handler>('cookie-session')({
      name: cookieName, keys: [secret], ...cookie, maxAge: milliseconds
    }),
    renew (request, done) {
      request.session = {}
      done()
    }
  }
}

/** Starts a peer, with the same routes and answers as the Fastify ones. */
export async function serve (peer: string): Promise<Server> {
  const { session, renew } = setups[peer]!
  const app = load<() => App>('express')()
  app.set('etag', false)
  app.set('x-powered-by', false)
  app.use(session())
  let views = 1
  app.get('/untouched', (_request, response) => response.json({ ok: true }))
  app.get('/read', ({ session }, response) => response.json({ user: session?.user, views: session?.views }))
  app.get('/write', (request, response) => {
    request.session!.views = ++views
    response.json({ views })
  })
  app.get('/login/:id', (request, response, next) => renew(request, error => {
    if (error) return next(error)
    Object.assign(request.session!, { user: { ...user, id: request.params.id }, views: 1 })
    response.json({ ok: true })
  }))
  app.use(({ method, url }, response) => {
    response.status(404).json({ message: `Route ${method}:${url} not found`, error: 'Not Found', statusCode: 404 })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
