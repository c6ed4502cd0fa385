import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Registrar } from './registrar.js'

/** What the browser is told. */
export interface Answer {
  readonly status: 200 | 400 | 403 | 503
  readonly headers?: Record<string, string>
  readonly body: object
}

/** Tells which requests are for the routes, and answers them. */
export interface Served {
  isOurs (request: FastifyRequest): boolean
  answer (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
}

type Work = (request: FastifyRequest, reply: FastifyReply) => Promise<Answer>

/** Headers of a refusal that make no sense next to our answer. */
const OF_REFUSALS = ['location', 'www-authenticate', 'retry-after', 'content-length']

/**
 * The routes of the browser. Any answer under 500 but the plugin's would end the binding, and the user's session with it: so the
 * plugin answers in its onRequest hook, before the hooks that come after it, and it takes the place of what hooks before it have
 * answered. Their 5xx pass, since a browser tries again then.
 */
export function serveRoutes (
  app: FastifyInstance, path: string, registrar: Registrar
): Served {
  const routes = new Map<string | undefined, Work>([
    [`${path}/registration`, async (request, reply) => await registrar.register(request, reply)],
    [`${path}/refresh`, async (request, reply) => await registrar.refresh(request, reply)]
  ])
  const answered = new WeakSet<FastifyRequest>()

  async function answer (request: FastifyRequest, reply: FastifyReply, work: Work): Promise<string> {
    answered.add(request)
    const { status, headers, body } = await work(request, reply)
    for (const name of OF_REFUSALS) reply.removeHeader(name)
    reply.code(status).headers({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8', ...headers })
    return JSON.stringify(body)
  }

  for (const [url, work] of routes) {
    app.route({
      method: 'POST',
      url: url!.slice(app.prefix.replace(/\/$/, '').length),
      // A 429 would end the binding; and a page of documentation has nothing to say about it.
      config: { session: false, rateLimit: false } as never,
      schema: { hide: true } as never,
      onSend: async (request, reply, payload) => answered.has(request) || reply.statusCode >= 500 ? payload : await answer(request, reply, work),
      // Fastify asks for one, and the hook has answered before it.
      handler: Function.prototype as () => void
    })
  }

  return {
    isOurs: request => request.raw.method === 'POST' && routes.has(request.routeOptions.url),
    answer: (request, reply) => answer(request, reply, routes.get(request.routeOptions.url)!).then(body => reply.send(body))
  }
}
