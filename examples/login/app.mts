import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import { checkPassword } from './users.mjs'
import { homePage, loginPage, privatePage, sessionPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    /** Which generation of the user's sessions this one belongs to */
    generation?: number
    views?: number
    message?: string
  }
}

/** Counts the generations of each user's sessions: to log out everywhere is to begin the next one. */
export interface Generations {
  current (userId: string): Promise<number>
  next (userId: string): Promise<void>
}

export interface AppOptions extends Pick<SessionOptions, 'secret' | 'store'> {
  /** With it there is a way to log out everywhere */
  generations?: Generations
  server?: FastifyServerOptions
}

/** The whole app; nothing listens yet, so that tests can use it too. */
export async function buildApp ({ secret, store, generations, server = {} }: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(formbody)
  await app.register(sessionPlugin, {
    secret,
    store,
    // Asked whenever a session is loaded, and again before it is saved: a login that is under way does not escape.
    ...generations !== undefined && {
      isRevoked: async (_info, _request, data) => (
        data?.user !== undefined && data.generation !== await generations.current(data.user.id)
      )
    }
  })

  app.get('/', async (request, reply) => {
    const { session } = request
    session.views = (session.views ?? 0) + 1
    const { user, views } = session
    return html(reply, homePage({ user, views, message: takeMessage(request), everywhere: generations !== undefined }))
  })

  app.get('/login', async (request, reply) => html(reply, loginPage({ message: takeMessage(request) })))

  // SameSite=Lax, the default, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } }>('/login', async (request, reply) => {
    const { name = '', password = '' } = request.body ?? {}
    const user = await checkPassword(name, password)
    if (user === undefined) return html(reply.code(401), loginPage({ name, message: 'Wrong name or password.' }))
    // A new session at every login: nothing that was planted before it survives, but for the counter.
    const generation = await generations?.current(user.id)
    request.session.regenerate(['views'])
    request.session.user = user
    if (generation !== undefined) request.session.generation = generation
    return reply.redirect('/', 303)
  })

  app.post('/logout', async (request, reply) => {
    request.session.destroy()
    // What is set after destroy() starts a new session.
    request.session.message = 'You are logged out.'
    return reply.redirect('/', 303)
  })

  if (generations !== undefined) {
    app.post('/logout-everywhere', { preHandler: needsUser }, async (request, reply) => {
      await generations.next(request.session.user!.id)
      request.session.destroy()
      request.session.message = 'You are logged out, here and everywhere else.'
      return reply.redirect('/', 303)
    })
  }

  app.get('/session', async (request, reply) => html(reply, sessionPage(request.session.data(), request.session.info)))

  app.get('/private', { preHandler: needsUser }, async (request, reply) => html(reply, privatePage(request.session.user!.name)))

  return app
}

async function needsUser (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  if (request.session.user !== undefined) return
  request.session.message = 'Log in to see that page.'
  return reply.redirect('/login', 303)
}

/** A message is shown once. */
function takeMessage ({ session }: FastifyRequest): string | undefined {
  const { message } = session
  delete session.message
  return message
}

function html (reply: FastifyReply, page: string): string {
  // Pages show who is logged in: after a logout the Back button must not find them in the browser's cache.
  reply.type('text/html; charset=utf-8').header('cache-control', 'no-store')
  return page
}
