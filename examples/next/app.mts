import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import { addErrorPages, sendPage } from '../pages.mjs'
import type { HalfOptions } from './next.mjs'
import { homePage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

/** The Fastify half: with `interop`, it reads and writes iron-session's cookie. */
export async function buildApp ({ secret, otherPort, server = {} }: HalfOptions & { server?: FastifyServerOptions }): Promise<FastifyInstance> {
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  await app.register(sessionPlugin, { secret, interop: 'iron-session' })

  app.get('/', async ({ session, hostname }, reply) => {
    session.views = (session.views ?? 0) + 1
    return sendPage(reply, homePage({ half: 'Fastify', session, other: `//${hostname}:${otherPort}/` }))
  })

  // SameSite=Lax, the default of both halves, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session, hostname }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) {
      const page = homePage({ half: 'Fastify', session, other: `//${hostname}:${otherPort}/`, message: 'Wrong name or password.' })
      return sendPage(reply.code(401), page)
    }
    session.regenerate() // a new session at every login: nothing planted in the old one survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })

  return app
}
