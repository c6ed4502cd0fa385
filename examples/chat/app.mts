import formbody from '@fastify/formbody'
import websocket from '@fastify/websocket'
import type { WebSocket } from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin, { denylist } from 'fastify-sealed-session'
import type { SessionInfo, SessionOptions } from 'fastify-sealed-session'
import Keyv from 'keyv'
import { checkPassword } from '../login/users.mjs'
import { chatPage, loginPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
  }
}

/** The code of a socket that closes because its session has ended; the page then asks for a login (RFC 6455, section 7.4.2). */
const SESSION_ENDED = 4401

/** The whole app; nothing listens yet, so that tests can use it too. */
export async function buildApp ({ secret, server = {} }: { secret: SessionOptions['secret'], server?: FastifyServerOptions }): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(formbody)
  await app.register(websocket, { options: { maxPayload: 4096 } })
  // After a logout nobody comes back with a copy of the cookie. Several processes would share a Keyv on Redis here.
  await app.register(sessionPlugin, { secret, isRevoked: denylist(new Keyv()) })

  /** Who is here, and by which session. */
  const members = new Map<WebSocket, SessionInfo>()

  function say (name: string, text: string): void {
    for (const socket of members.keys()) socket.send(JSON.stringify({ name, text }))
  }

  function leave (sessionId: string): void {
    for (const [socket, { id }] of members) {
      if (id !== sessionId) continue
      members.delete(socket)
      socket.close(SESSION_ENDED, 'the session has ended')
    }
  }

  /** A socket may stay open for longer than its session lives. */
  function dropExpired (): void {
    for (const { id, expiresAt } of members.values()) {
      if (expiresAt <= new Date()) leave(id)
    }
  }

  app.get('/', async ({ session }, reply) => html(reply, session.user === undefined ? loginPage() : chatPage))

  // SameSite=Lax, the default, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) return html(reply.code(401), loginPage('Wrong name or password.'))
    leave(session.info.id)
    session.regenerate() // a new session at every login: nothing that was planted before it survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async (request, reply) => {
    const { id } = request.session.info
    request.session.destroy()
    // Saved before the sockets close: a page that connects again at once is a stranger already.
    await app.session.commit(request, reply)
    leave(id)
    return await reply.redirect('/', 303)
  })

  // The session is read in the handshake. It cannot be changed here: no response follows that could carry the cookie.
  app.get('/chat', { websocket: true, onRequest: knownOnly }, (socket, { session }) => {
    const { name } = session.user!
    members.set(socket, session.info)
    socket.on('close', () => { members.delete(socket) })
    socket.on('message', (data: Buffer) => {
      dropExpired()
      if (members.has(socket)) say(name, data.toString())
    })
    say(name, 'is here')
  })

  return app
}

/** Refuses the handshake, before there is a socket. */
async function knownOnly ({ session, headers, host }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  // Nothing but this check keeps the page of a neighbour (another subdomain or port) from connecting with our cookie.
  if (headers.origin !== undefined && !headers.origin.endsWith(`//${host}`)) return await reply.code(403).send({ error: 'another site' })
  if (session.user === undefined) return await reply.code(401).send({ error: 'log in first' })
}

function html (reply: FastifyReply, page: string): string {
  reply.type('text/html; charset=utf-8').header('cache-control', 'no-store')
  return page
}
