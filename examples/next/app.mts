import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import type { HalfOptions } from './next.mjs'
import { page } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

/** The Fastify half: with `interop`, its cookie is iron-session's. */
export async function buildApp ({ secret, otherPort, server = {} }: HalfOptions & { server?: FastifyServerOptions }): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(formbody)
  await app.register(sessionPlugin, { secret, interop: 'iron-session' })
  app.addHook('onRequest', async (_request, reply) => { reply.type('text/html; charset=utf-8').header('cache-control', 'no-store') })

  app.get('/', async ({ session, hostname }) => {
    session.views = (session.views ?? 0) + 1
    return page({ half: 'Fastify', session, other: `//${hostname}:${otherPort}/` })
  })

  // SameSite=Lax, the default of both halves, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session, hostname }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) {
      reply.code(401)
      return page({ half: 'Fastify', session, other: `//${hostname}:${otherPort}/`, message: 'Wrong name or password.' })
    }
    session.regenerate() // a new session at every login: nothing that was planted before it survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })

  return app
}
