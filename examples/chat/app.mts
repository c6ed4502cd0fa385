import formbody from '@fastify/formbody'
import websocket from '@fastify/websocket'
import type { WebSocket } from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin, { denylist } from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import Keyv from 'keyv'
import { checkPassword } from '../login/users.mjs'
import { addErrorPages, sendPage } from '../pages.mjs'
import { localChannel } from './channel.mjs'
import type { Channel } from './channel.mjs'
import { chatPage, loginPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
  }
}

/** Closes a socket whose session has ended. Codes from 4000 are for applications (RFC 6455, section 7.4.2). */
const SESSION_ENDED = 4401

export interface AppOptions extends Pick<SessionOptions, 'secret' | 'store'> {
  channel?: Channel
  server?: FastifyServerOptions
}

/** The whole app. It does not listen yet, so that tests can use it too. */
export async function buildApp ({ secret, store, channel = localChannel(), server = {} }: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  await app.register(websocket, { options: { maxPayload: 4096 } })
  // Sessions live in the store that all processes share. For a single process, the cookie and a denylist are enough: with it, a
  // copy of the cookie is useless after the logout.
  await app.register(sessionPlugin, { secret, ...store === undefined ? { isRevoked: denylist(new Keyv()) } : { store } })

  /** The open sockets of this process. */
  const members = new Set<WebSocket>()

  app.addHook('onReady', async () => {
    await channel.subscribe(message => { for (const socket of members) socket.send(message) })
  })
  app.addHook('onClose', () => { channel.close() })

  /** Sends to everybody; a message without a name is the server's own. */
  function broadcast (message: { name?: string, text: string }): void {
    channel.publish(JSON.stringify(message)).catch((error: Error) => { app.log.error({ err: error }, 'a message was lost') })
  }

  app.get('/', async ({ session }, reply) => sendPage(reply, session.user === undefined ? loginPage() : chatPage))

  // SameSite=Lax, the default, keeps other sites from posting these forms with our cookie.
  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined) return sendPage(reply.code(401), loginPage('Wrong name or password.'))
    session.regenerate() // a new session at every login: nothing planted in the old one survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })

  // The session is read in the handshake. It cannot be changed here, because no response follows that could set the cookie.
  app.get('/chat', { websocket: true, onRequest: usersOnly }, (socket, request) => {
    const { name } = request.session.user!
    members.add(socket)
    socket.on('close', () => { members.delete(socket) })

    // A socket could stay open for longer than its session. The signal aborts at a logout, in whatever process, and at expiry.
    const ended = app.session.signal(request)
    const leave = (): void => {
      members.delete(socket) // now: a slow client takes its time to close
      socket.close(SESSION_ENDED, 'the session has ended')
    }
    if (ended.aborted) return leave()
    ended.addEventListener('abort', leave, { once: true })

    socket.on('message', (data: Buffer) => {
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
