import type { FastifyInstance } from 'fastify'
import { needsUser, takeMessage } from '../login/session.mjs'
import { checkPassword } from '../login/users.mjs'
import { sendPage } from '../pages.mjs'
import { confirmPage, devicesPage } from './views.mjs'

interface Confirmation { id?: string, password?: string }
const text = { type: 'string' }

/** "Where you are logged in": lists the sessions of the user, and ends one of them or all but this one. */
export async function devices (app: FastifyInstance): Promise<void> {
  app.addHook('preHandler', needsUser)

  app.get('/devices', async (request, reply) => {
    const { user, info } = request.session
    const sessions = await app.session.of(user!.id).list()
    return sendPage(reply, devicesPage({ sessions, ownId: info.id, message: takeMessage(request) }))
  })

  // Ending other sessions needs the password: somebody who finds an unlocked phone must not lock its owner out of everything else.
  app.get<{ Querystring: { id?: string } }>('/devices/end', {
    schema: { querystring: { type: 'object', properties: { id: text } } }
  }, async (request, reply) => (
    sendPage(reply, confirmPage({ id: request.query.id, csrfToken: reply.generateCsrf() }))
  ))

  app.post<{ Body: Confirmation }>('/devices/end', {
    schema: { body: { type: 'object', properties: { id: text, password: text } } },
    preHandler: app.csrfProtection
  }, async (request, reply) => {
    const { session, body: { id, password = '' } } = request
    const { id: userId } = session.user!
    if (await checkPassword(userId, password) === undefined) {
      return sendPage(reply.code(401), confirmPage({ id, csrfToken: reply.generateCsrf(), message: 'Wrong password.' }))
    }
    const sessions = app.session.of(userId)
    if (id === undefined) {
      const count = await sessions.endAll({ except: session.info.id })
      session.message = count === 1 ? 'One other session was ended.' : `${count} other sessions were ended.`
    } else {
      session.message = await sessions.end(id) ? 'The session was ended.' : 'That session had already ended.'
    }
    return await reply.redirect('/devices', 303)
  })
}
