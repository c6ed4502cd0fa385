import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import { contentSecurityPolicy, page } from './page.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
  }
}

interface Todo { id: number, text: string }
interface Credentials { name: string, password: string }

const text = (maxLength: number): object => ({ type: 'string', minLength: 1, maxLength })
const object = (properties: object): object => ({ type: 'object', required: Object.keys(properties), properties })
const user = object({ id: { type: 'string' }, name: { type: 'string' } })
const todo = object({ id: { type: 'integer' }, text: text(200) })

/** The page and its API. The app does not listen yet, so that tests can use it too. */
export async function buildApp ({ secret, server = {} }: { secret: SessionOptions['secret'], server?: FastifyServerOptions }): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(sessionPlugin, { secret })

  // CSRF: SameSite=Lax, the default, keeps the cookie out of POSTs from other sites. Another subdomain or port is the same site to
  // a browser, but it may send JSON only after a CORS preflight, which nothing here answers. So every POST must be JSON, even the
  // logout: each has a body schema, and Fastify's only other built-in parser is removed.
  app.removeContentTypeParser('text/plain')

  app.get('/', { config: { session: false } }, async (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('content-security-policy', contentSecurityPolicy)
    return page
  })

  await app.register(api, { prefix: '/api' })
  return app
}

async function api (app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })

  app.post<{ Body: Credentials }>('/login', {
    schema: { body: object({ name: text(100), password: text(100) }), response: { 200: user } }
  }, async request => {
    const user = await checkPassword(request.body.name, request.body.password)
    if (user === undefined) throw unauthorized('Wrong name or password.')
    request.session.regenerate() // a new session at every login: nothing planted in the old one survives
    request.session.user = user
    return user
  })

  app.post('/logout', { schema: { body: object({}) } }, async (request, reply) => {
    request.session.destroy()
    return await reply.code(204).send()
  })

  await app.register(forUsers)
}

/** Every route in here answers 401 unless the user is logged in. */
async function forUsers (app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', async request => {
    if (request.session.user === undefined) throw unauthorized('Log in first.')
  })

  app.get('/me', { schema: { response: { 200: user } } }, async request => request.session.user)

  // The session only says who the user is. Data that grows is kept elsewhere: here in memory, until the server stops.
  const lists = new Map<string, Todo[]>()
  const listOf = ({ session }: FastifyRequest): Todo[] => lists.get(session.user!.id) ?? []
  let lastId = 0

  app.get('/todos', { schema: { response: { 200: { type: 'array', items: todo } } } }, async request => listOf(request))

  app.post<{ Body: Pick<Todo, 'text'> }>('/todos', {
    schema: { body: object({ text: text(200) }), response: { 201: todo } }
  }, async (request, reply) => {
    const todo = { id: ++lastId, text: request.body.text }
    lists.set(request.session.user!.id, [...listOf(request), todo])
    return await reply.code(201).send(todo)
  })

  app.delete<{ Params: Pick<Todo, 'id'> }>('/todos/:id', {
    schema: { params: object({ id: { type: 'integer' } }) }
  }, async (request, reply) => {
    lists.set(request.session.user!.id, listOf(request).filter(({ id }) => id !== request.params.id))
    return await reply.code(204).send()
  })
}

const unauthorized = (message: string): Error => Object.assign(new Error(message), { statusCode: 401 })
