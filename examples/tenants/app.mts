import { hkdfSync } from 'node:crypto'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import sessionPlugin, { createSealer } from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import { addErrorPages, html, sendPage } from '../pages.mjs'
import { indexPage, tenantPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

export interface Tenant { host: string, title: string, members: string[] }
type Secrets = string | string[] | undefined

/** Two tenants; Grace is a member of both. Browsers resolve every name under localhost to this machine. */
export const tenants: Tenant[] = [
  { host: 'acme.localhost', title: 'Acme', members: ['ada', 'grace'] },
  { host: 'globex.localhost', title: 'Globex', members: ['grace', 'linus'] }
]

/*
 * What keeps the tenants apart:
 * - Each has its own scope. Its routes answer to its host only, and it registers its own session there, with its own secret. A
 *   cookie that gets to another tenant in whatever way was sealed with a secret that is unknown there.
 * - The cookie has no Domain attribute, so a browser returns it only to the host that set it.
 * - To a browser, hosts under one domain are the same site, so SameSite does not keep one tenant's pages from posting to
 *   another. Each tenant therefore accepts POSTs from its own pages only.
 */
export async function buildApp ({ secret, server = {} }: { secret: Secrets, server?: FastifyServerOptions }): Promise<FastifyInstance> {
  createSealer({ secret }) // throws if the secret is missing or weak: the secrets derived from it would always look strong
  const app = Fastify(server)
  addErrorPages(app)
  await app.register(formbody)
  for (const tenant of tenants) await app.register(site, { tenant, secret: secretsOf(tenant, secret) })
  app.get('/', async (request, reply) => sendPage(reply, indexPage(tenants, portOf(request))))
  return app
}

/** The port in the address bar, with its colon; empty for the default port. */
const portOf = ({ host }: FastifyRequest): string => /:\d+$/.exec(host)?.[0] ?? ''

/** A tenant's own secrets, derived from the app's (HKDF, RFC 5869), so a new tenant needs no new configuration. */
function secretsOf ({ host }: Tenant, secret: Secrets): Uint8Array[] {
  return [secret ?? []].flat().map(secret => new Uint8Array(hkdfSync('sha256', secret, '', `session of ${host}`, 32)))
}

async function site (app: FastifyInstance, { tenant, secret }: { tenant: Tenant, secret: Uint8Array[] }): Promise<void> {
  const host = new RegExp(`^${tenant.host.replaceAll('.', '\\.')}(:\\d+)?$`, 'i')
  app.addHook('onRoute', route => { route.constraints = { ...route.constraints, host } })
  await app.register(sessionPlugin, { secret })

  app.addHook('onRequest', async (request, reply) => {
    const { method, host, headers: { origin } } = request
    if (method === 'POST' && origin !== undefined && !origin.endsWith(`//${host}`)) {
      return await reply.send(sendPage(reply.code(403), { title: 'Forbidden', main: html`<p>This form was sent from another site.</p>` }))
    }
  })

  app.get('/', async (request, reply) => {
    const { session } = request
    session.views = (session.views ?? 0) + 1
    return sendPage(reply, tenantPage({ tenant, port: portOf(request), user: session.user, views: session.views }))
  })

  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async (request, reply) => {
    const { body, session } = request
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined || !tenant.members.includes(user.id)) {
      const message = `Wrong name or password, or not a member of ${tenant.title}.`
      return sendPage(reply.code(401), tenantPage({ tenant, port: portOf(request), message }))
    }
    session.regenerate() // a new session at every login: nothing planted in the old one survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })
}
