import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { needsUser, takeMessage } from '../login/session.mjs'
import { checkPassword } from '../login/users.mjs'
import { sendPage } from '../pages.mjs'
import { confirmPage, devicesPage } from './views.mjs'

interface Confirmation { id?: string, password?: string }
const text = { type: 'string' }
const hasEnded = 'That session had already ended.'

/** "Where you are logged in": lists the sessions of the user, and ends one of them or all but this one. */
export async function devices (app: FastifyInstance): Promise<void> {
  app.addHook('preHandler', needsUser)

  app.get('/devices', async (request, reply) => {
    const { user, info } = request.session
    const sessions = await app.session.of(user!.id).list()
    return sendPage(reply, devicesPage({ sessions, ownId: info.id, message: takeMessage(request) }))
  })

  /** The page that asks for the password, before one session is ended or all others are. */
  async function confirm (request: FastifyRequest, reply: FastifyReply, id: string | undefined, message?: string): Promise<string | FastifyReply> {
    const { session } = request
    const sessions = id === undefined ? [] : await app.session.of(session.user!.id).list()
    const target = sessions.find(each => each.id === id)
    if (id === undefined || target !== undefined) {
      return sendPage(reply, confirmPage({ target, csrfToken: reply.generateCsrf(), message }))
    }
    session.message = hasEnded
    return await reply.redirect('/devices', 303)
  }

  // Ending other sessions needs the password: whoever finds an unlocked phone must not log its owner out of everything else.
  app.get<{ Querystring: { id?: string } }>('/devices/end', {
    schema: { querystring: { type: 'object', properties: { id: text } } }
  }, async (request, reply) => await confirm(request, reply, request.query.id))

  app.post<{ Body: Confirmation }>('/devices/end', {
    schema: { body: { type: 'object', properties: { id: text, password: text } } },
    preHandler: app.csrfProtection
  }, async (request, reply) => {
    const { session, body: { id, password = '' } } = request
    const { id: userId } = session.user!
    if (await checkPassword(userId, password) === undefined) return await confirm(request, reply.code(401), id, 'Wrong password.')
    const sessions = app.session.of(userId)
    if (id === undefined) {
      const count = await sessions.endAll({ except: session.info.id })
      session.message = count === 1 ? 'One other session was ended.' : `${count} other sessions were ended.`
    } else {
      session.message = await sessions.end(id) ? 'The session was ended.' : hasEnded
    }
    return await reply.redirect('/devices', 303)
  })
}
