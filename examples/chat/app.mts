import formbody from '@fastify/formbody'
import websocket from '@fastify/websocket'
import type { WebSocket } from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin, { denylist } from 'fastify-sealed-session'
import type { SessionInfo, SessionOptions } from 'fastify-sealed-session'
import Keyv from 'keyv'
import { checkPassword } from '../login/users.mjs'
import { addErrorPages, sendPage } from '../pages.mjs'
import { chatPage, loginPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
  }
}

/** Closes a socket whose session has ended. Codes from 4000 are for applications (RFC 6455, section 7.4.2). */
const SESSION_ENDED = 4401

/** The whole app. It does not listen yet, so that tests can use it too. */
export async function buildApp ({ secret, server = {} }: { secret: SessionOptions['secret'], server?: FastifyServerOptions }): Promise<FastifyInstance> {
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  await app.register(websocket, { options: { maxPayload: 4096 } })
  // With a denylist, a copy of the cookie is useless after the logout. Several processes would share a Keyv on Redis here.
  await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv()) })

  /** Every open socket, and the session it belongs to. */
  const members = new Map<WebSocket, SessionInfo>()

  /** Sends to everybody; a message without a name is the server's own. */
  function broadcast (message: { name?: string, text: string }): void {
    for (const socket of members.keys()) socket.send(JSON.stringify(message))
  }

  function leave (sessionId: string): void {
    for (const [socket, { id }] of members) {
      if (id !== sessionId) continue
      members.delete(socket)
      socket.close(SESSION_ENDED, 'the session has ended')
    }
  }

  /** A socket can stay open for longer than its session lives. */
  function dropExpired (): void {
    for (const { id, expiresAt } of members.values()) {
      if (expiresAt <= new Date()) leave(id)
    }
  }

  app.get('/', async ({ session }, reply) => sendPage(reply, session.user === undefined ? loginPage() : chatPage))

  // SameSite=Lax, the default, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) return sendPage(reply.code(401), loginPage('Wrong name or password.'))
    leave(session.info.id)
    session.regenerate() // a new session at every login: nothing planted in the old one survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async (request, reply) => {
    const { id } = request.session.info
    request.session.destroy()
    // Saved before the sockets close, so that a page that reconnects immediately is already logged out.
    await app.session.commit(request, reply)
    leave(id)
    return await reply.redirect('/', 303)
  })

  // The session is read in the handshake. It cannot be changed here, because no response follows that could set the cookie.
  app.get('/chat', { websocket: true, onRequest: usersOnly }, (socket, { session }) => {
    const { name } = session.user!
    members.set(socket, session.info)
    socket.on('close', () => { members.delete(socket) })
    socket.on('message', (data: Buffer) => {
      dropExpired()
      if (members.has(socket)) broadcast({ name, text: data.toString() })
    })
    broadcast({ text: `${name} has joined` })
  })

  return app
}

/** Rejects the handshake before there is a socket. */
async function usersOnly ({ session, headers, host }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  // CORS does not apply to websockets, and another subdomain or port is the same site to a browser. Only this check keeps its pages
  // from connecting with our cookie.
  if (headers.origin !== undefined && !headers.origin.endsWith(`//${host}`)) {
    return await reply.code(403).send({ error: 'This page may not connect.' })
  }
  if (session.user === undefined) return await reply.code(401).send({ error: 'Log in first.' })
}
