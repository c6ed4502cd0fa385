import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import { loginPage, thiefPage, userPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
  }
}

export interface Certificate { key: string, cert: string }

interface Settings { secret: SessionOptions['secret'], https?: Certificate | null, server?: FastifyServerOptions }

/** Seconds that the proof of the device may be old where money moves */
const FRESH = 30

/** The pages; nothing listens yet, so that tests can use them too. Without a certificate it is an app behind a proxy that ends TLS. */
export async function buildApp ({ secret, https = null, server = {} }: Settings): Promise<FastifyInstance> {
  const app = Fastify({ ...server, https } as FastifyServerOptions)
  await app.register(formbody)
  await app.register(sessionPlugin, { secret, deviceBound: { when: ({ user }) => user !== undefined } })

  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store').type('text/html; charset=utf-8')
  })

  app.get('/', async ({ session }) => {
    const { bound, provenAt } = session.info
    return session.user === undefined ? loginPage() : userPage({ user: session.user, bound, provenAt })
  })

  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) return await reply.code(401).send(loginPage('Wrong name or password.'))
    session.regenerate() // a new session at every login; it is offered to be bound
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })

  // What a thief sees who has copied the session's cookie.
  app.get('/thief', async request => {
    const answer = await app.inject({ url: '/whoami', headers: { cookie: `session=${request.cookies.session ?? ''}` } })
    return thiefPage(answer.json())
  })

  app.get('/whoami', async ({ session }, reply) => {
    reply.type('application/json')
    return { user: session.user?.id ?? null, reason: session.info.reason }
  })

  app.post('/transfer', async (request, reply) => {
    const { user, info: { bound, provenAt } } = request.session
    if (user === undefined) return await reply.redirect('/', 303)
    // The browser refreshes the proof that is dropped here, and sends the form again.
    if (bound && Date.now() - provenAt!.getTime() > FRESH * 1000) {
      return await reply.clearCookie('session-bound', { path: '/', secure: true }).redirect(request.url, 307)
    }
    return userPage({ user, bound, provenAt, message: bound ? 'Sent, with a proof that is fresh.' : 'Sent. This browser cannot prove anything.' })
  })
  return app
}
