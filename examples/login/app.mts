import csrfProtection from '@fastify/csrf-protection'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import { addErrorPages, sendPage } from '../pages.mjs'
import { deviceName } from './device-name.mjs'
import { needsUser, takeMessage } from './session.mjs'
import { checkPassword } from './users.mjs'
import { homePage, loginPage, privatePage, sessionPage } from './views.mjs'

export interface AppOptions extends Pick<SessionOptions, 'secret' | 'store' | 'storeTimeout' | 'userOf'> {
  /** Adds the page "Where you are logged in" */
  devices?: FastifyPluginAsync
  server?: FastifyServerOptions
}

interface Credentials { name?: string, password?: string }
const credentials = { type: 'object', properties: { name: { type: 'string' }, password: { type: 'string' } } }

/** The whole app. It does not listen yet, so that tests can use it too. */
export async function buildApp ({ devices, server = {}, ...options }: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  await app.register(sessionPlugin, options)
  await app.register(csrfProtection, { sessionPlugin: '@fastify/session' })

  app.get('/', async (request, reply) => {
    const { session } = request
    session.views = (session.views ?? 0) + 1
    delete session.returnTo // whoever comes here instead of logging in wants to go on from here
    const { user, views } = session
    const csrfToken = user && reply.generateCsrf()
    return sendPage(reply, homePage({ user, views, csrfToken, message: takeMessage(request), hasDevices: devices !== undefined }))
  })

  app.get('/login', async (request, reply) => (
    sendPage(reply, loginPage({ csrfToken: reply.generateCsrf(), message: takeMessage(request) }))
  ))

  app.post<{ Body: Credentials }>('/login', { schema: { body: credentials }, preHandler: app.csrfProtection }, async (request, reply) => {
    const { session, body: { name = '', password = '' } } = request
    const user = await checkPassword(name, password)
    if (user === undefined) {
      return sendPage(reply.code(401), loginPage({ csrfToken: reply.generateCsrf(), name, message: 'Wrong name or password.' }))
    }
    // This server wrote the address into the session. One from a query string could lead to another site (an open redirect).
    const { returnTo = '/' } = session
    // A new session at every login: nothing planted in the old one survives, except the counter.
    session.regenerate(['views'])
    session.user = user
    session.device = deviceName(request.headers['user-agent'])
    return await reply.redirect(returnTo, 303)
  })

  app.post('/logout', { preHandler: app.csrfProtection }, async (request, reply) => {
    request.session.destroy()
    // What is set after destroy() starts a new session.
    request.session.message = 'You are logged out.'
    return await reply.redirect('/', 303)
  })

  app.get('/session', async (request, reply) => sendPage(reply, sessionPage(request.session.data(), request.session.info)))

  app.get('/private', { preHandler: needsUser }, async (request, reply) => sendPage(reply, privatePage(request.session.user!.name)))

  if (devices !== undefined) await app.register(devices)
  return app
}
