import { hkdfSync } from 'node:crypto'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import sessionPlugin, { createSealer } from 'fastify-sealed-session'
import { checkPassword } from '../login/users.mjs'
import { indexPage, tenantPage } from './views.mjs'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    views?: number
  }
}

export interface Tenant { host: string, title: string, members: string[] }
type Secrets = string | string[] | undefined

/** Two tenants; Grace works for both. A browser takes every name under localhost to this machine. */
export const tenants: Tenant[] = [
  { host: 'acme.localhost', title: 'Acme', members: ['ada', 'grace'] },
  { host: 'globex.localhost', title: 'Globex', members: ['grace', 'linus'] }
]

/*
 * What separates the tenants:
 * - Each has a scope of its own, whose routes answer to its host alone, and registers the session there, with a secret of its
 *   own. A cookie that is carried to another tenant, by whatever way, was sealed with a secret that is not known there.
 * - The cookie has no Domain attribute, so a browser sends it to the host that has set it and to no other.
 * - Hosts under one domain are one site to a browser, so that SameSite is no wall between them: each takes POSTs of its own
 *   pages only.
 */
export async function buildApp ({ secret, server = {} }: { secret: Secrets, server?: FastifyServerOptions }): Promise<FastifyInstance> {
  createSealer({ secret }) // throws where the secret is missing or weak: what is derived from it would not show that
  const app = Fastify(server)
  await app.register(formbody)
  for (const tenant of tenants) await app.register(site, { tenant, secret: secretsOf(tenant, secret) })
  app.get('/', async (request, reply) => {
    reply.type('text/html; charset=utf-8')
    return indexPage(tenants, request.host.replace(/^.*?(?=:\d+$|$)/, ''))
  })
  return app
}

/** A tenant's own secrets, derived from the app's (HKDF, RFC 5869), so that a new tenant needs no new setting. */
function secretsOf ({ host }: Tenant, secret: Secrets): Uint8Array[] {
  return [secret ?? []].flat().map(secret => new Uint8Array(hkdfSync('sha256', secret, '', `session of ${host}`, 32)))
}

async function site (app: FastifyInstance, { tenant, secret }: { tenant: Tenant, secret: Uint8Array[] }): Promise<void> {
  const host = new RegExp(`^${tenant.host.replaceAll('.', '\\.')}(:\\d+)?$`, 'i')
  app.addHook('onRoute', route => { route.constraints = { ...route.constraints, host } })
  await app.register(sessionPlugin, { secret })

  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').type('text/html; charset=utf-8')
    const { origin } = request.headers
    if (request.method === 'POST' && origin !== undefined && !origin.endsWith(`//${request.host}`)) {
      return await reply.code(403).send('This comes from another site.')
    }
  })

  app.get('/', async ({ session }) => {
    session.views = (session.views ?? 0) + 1
    return tenantPage({ tenant, user: session.user, views: session.views })
  })

  app.post<{ Body: { name?: string, password?: string } | undefined }>('/login', async ({ body, session }, reply) => {
    const user = await checkPassword(body?.name ?? '', body?.password ?? '')
    if (user === undefined || !tenant.members.includes(user.id)) {
      reply.code(401)
      return tenantPage({ tenant, message: `Wrong name or password, or nobody of ${tenant.title}.` })
    }
    session.regenerate() // a new session at every login: nothing that was planted before it survives
    session.user = user
    return await reply.redirect('/', 303)
  })

  app.post('/logout', async ({ session }, reply) => {
    session.destroy()
    return await reply.redirect('/', 303)
  })
}
