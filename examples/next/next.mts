import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { FastifyBaseLogger } from 'fastify'
import type { SessionData } from 'fastify-sealed-session'
import { getIronSession } from 'iron-session'
import type { SessionOptions } from 'iron-session'
import { checkPassword } from '../login/users.mjs'
import { page } from '../pages.mjs'
import type { Page } from '../pages.mjs'
import { homePage, notFoundPage } from './views.mjs'

export interface HalfOptions {
  /** The newest comes first; the same for both halves */
  secret: string | string[] | undefined
  /** Where the other half listens. A browser sends the cookies of a host to all of its ports */
  otherPort: number
}

/** iron-session numbers its passwords and seals with the highest number, as the Fastify half does with the same list. */
export function ironOptions ({ secret }: Pick<HalfOptions, 'secret'>): SessionOptions {
  const oldestFirst = [secret ?? []].flat().reverse()
  return {
    cookieName: 'session',
    password: Object.fromEntries(oldestFirst.map((password, index) => [index + 1, password])),
    ttl: 14 * 24 * 60 * 60, // seconds; also the default of the Fastify half
    cookieOptions: { secure: process.env.NODE_ENV === 'production' }
  }
}

interface NextOptions extends HalfOptions { log: Pick<FastifyBaseLogger, 'info' | 'error'> }

/** The half that uses iron-session, as the route handlers of a Next.js app do. Here, node:http stands in for Next.js. */
export function createNextServer ({ secret, otherPort, log }: NextOptions): Server {
  const options = ironOptions({ secret })

  async function handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = await getIronSession<SessionData>(request, response, options)
    const other = `//${(request.headers.host ?? '').replace(/:\d+$/, '')}:${otherPort}/`
    switch (`${request.method} ${request.url}`) {
      case 'GET /': {
        session.views = (session.views ?? 0) + 1
        await session.save()
        return send(response, 200, homePage({ half: 'Next.js', session, other }))
      }
      case 'POST /login': {
        const form = new URLSearchParams(await text(request))
        const user = await checkPassword(form.get('name') ?? '', form.get('password') ?? '')
        if (user === undefined) {
          return send(response, 401, homePage({ half: 'Next.js', session, other, message: 'Wrong name or password.' }))
        }
        // The same as regenerate(). One of these keys holds the id and creation time for the Fastify half.
        for (const key of Object.keys(session)) delete session[key as keyof SessionData]
        session.user = user
        await session.save()
        return redirect(response)
      }
      case 'POST /logout': {
        session.destroy()
        return redirect(response)
      }
      default: return send(response, 404, notFoundPage)
    }
  }

  return createServer((request, response) => {
    response.on('finish', () => { log.info(`Next.js half: ${request.method} ${request.url} ${response.statusCode}`) })
    handle(request, response).catch(error => {
      log.error(error)
      response.writeHead(500).end()
    })
  })
}

function send (response: ServerResponse, status: number, content: Page): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(page(content))
}

function redirect (response: ServerResponse): void {
  response.writeHead(303, { location: '/' }).end()
}
