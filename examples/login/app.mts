import csrfProtection from '@fastify/csrf-protection'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import { addErrorPages, sendPage } from '../pages.mjs'
import { checkPassword } from './users.mjs'
import { homePage, loginPage, privatePage, sessionPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    /** Which generation of the user's sessions this one belongs to */
    generation?: number
    views?: number
    /** Shown on the next page, once */
    message?: string
    /** The page that asked for the login */
    returnTo?: string
    /** What @fastify/csrf-protection derives its tokens from */
    _csrf?: string
  }
}

/** Counts the generations of each user's sessions: logging out everywhere starts the next one. */
export interface Generations {
  current (userId: string): Promise<number>
  next (userId: string): Promise<void>
}

export interface AppOptions extends Pick<SessionOptions, 'secret' | 'store' | 'storeTimeout'> {
  /** Adds the button "Log out everywhere" */
  generations?: Generations
  server?: FastifyServerOptions
}

/** The whole app. It does not listen yet, so that tests can use it too. */
export async function buildApp ({ secret, store, storeTimeout, generations, server = {} }: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  await app.register(sessionPlugin, {
    secret,
    store,
    storeTimeout,
    // Asked whenever a session is loaded, and again before it is saved, so a login under way does not escape.
    ...generations !== undefined && {
      isRevoked: async (_info, _request, data) => (
        data?.user !== undefined && data.generation !== await generations.current(data.user.id)
      )
    }
  })
  await app.register(csrfProtection, { sessionPlugin: '@fastify/session' })

  app.get('/', async (request, reply) => {
    const { session } = request
    session.views = (session.views ?? 0) + 1
    delete session.returnTo // whoever comes here instead of logging in wants to go on from here
    const { user, views } = session
    const csrfToken = user && reply.generateCsrf()
    return sendPage(reply, homePage({ user, views, csrfToken, message: takeMessage(request), everywhere: generations !== undefined }))
  })

  app.get('/login', async (request, reply) => (
    sendPage(reply, loginPage({ csrfToken: reply.generateCsrf(), message: takeMessage(request) }))
  ))

  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', { preHandler: app.csrfProtection }, async (request, reply) => {
    const { session, body } = request
    const { name = '', password = '' } = body ?? {}
    const user = await checkPassword(name, password)
    if (user === undefined) {
      return sendPage(reply.code(401), loginPage({ csrfToken: reply.generateCsrf(), name, message: 'Wrong name or password.' }))
    }
    const generation = await generations?.current(user.id)
    // This server wrote the address into the session. One from a query string could lead to another site (an open redirect).
    const { returnTo = '/' } = session
    // A new session at every login: nothing planted in the old one survives, except the counter.
    session.regenerate(['views'])
    session.user = user
    if (generation !== undefined) session.generation = generation
    return await reply.redirect(returnTo, 303)
  })

  app.post('/logout', { preHandler: app.csrfProtection }, async (request, reply) => {
    request.session.destroy()
    // What is set after destroy() starts a new session.
    request.session.message = 'You are logged out.'
    return await reply.redirect('/', 303)
  })

  if (generations !== undefined) {
    app.post('/logout-everywhere', { preHandler: [needsUser, app.csrfProtection] }, async (request, reply) => {
      await generations.next(request.session.user!.id)
      request.session.destroy()
      request.session.message = 'You are logged out, here and everywhere else.'
      return await reply.redirect('/', 303)
    })
  }

  app.get('/session', async (request, reply) => sendPage(reply, sessionPage(request.session.data(), request.session.info)))

  app.get('/private', { preHandler: needsUser }, async (request, reply) => sendPage(reply, privatePage(request.session.user!.name)))

  return app
}

async function needsUser (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const { session, method, url } = request
  if (session.user !== undefined) return
  session.message = 'Log in to see that page.'
  if (method === 'GET') session.returnTo = url
  return await reply.redirect('/login', 303)
}

/** A message is shown once. */
function takeMessage ({ session }: FastifyRequest): string | undefined {
  const { message } = session
  delete session.message
  return message
}
