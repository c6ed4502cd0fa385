import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { SessionData } from 'fastify-sealed-session'
import { getIronSession } from 'iron-session'
import type { SessionOptions } from 'iron-session'
import { checkPassword } from '../login/users.mjs'
import { page } from './views.mjs'

export interface HalfOptions {
  /** The newest first, the same for both halves */
  secret: string | string[] | undefined
  /** Where the other half is; cookies are of a host, whatever the port */
  otherPort: number
}

/** iron-session numbers its passwords, and seals with the highest: as the Fastify half does with the same list. */
export function ironOptions ({ secret }: Pick<HalfOptions, 'secret'>): SessionOptions {
  const oldestFirst = [secret ?? []].flat().reverse()
  return {
    cookieName: 'session',
    password: Object.fromEntries(oldestFirst.map((password, index) => [index + 1, password])),
    ttl: 14 * 24 * 60 * 60, // seconds; the default of the Fastify half too
    cookieOptions: { secure: process.env.NODE_ENV === 'production' }
  }
}

/** The half that uses iron-session, as the route handlers of a Next.js app do; node:http stands in for Next.js. */
export function createNextServer ({ secret, otherPort }: HalfOptions): Server {
  const options = ironOptions({ secret })

  async function handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = await getIronSession<SessionData>(request, response, options)
    const other = `//${(request.headers.host ?? '').replace(/:\d+$/, '')}:${otherPort}/`
    switch (`${request.method} ${request.url}`) {
      case 'GET /': {
        session.views = (session.views ?? 0) + 1
        await session.save()
        return html(response, 200, page({ half: 'Next.js', session, other }))
      }
      case 'POST /login': {
        const form = new URLSearchParams(await text(request))
        const user = await checkPassword(form.get('name') ?? '', form.get('password') ?? '')
        if (user === undefined) return html(response, 401, page({ half: 'Next.js', session, other, message: 'Wrong name or password.' }))
        // As regenerate() does: every key goes, and with them the id and creation time that the Fastify half keeps in one.
        for (const key of Object.keys(session)) delete session[key as keyof SessionData]
        session.user = user
        await session.save()
        return redirect(response)
      }
      case 'POST /logout': {
        session.destroy()
        return redirect(response)
      }
      default: return html(response, 404, 'Not found')
    }
  }

  return createServer((request, response) => {
    handle(request, response).catch(error => {
      console.error(error)
      response.writeHead(500).end()
    })
  })
}

function html (response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(body)
}

function redirect (response: ServerResponse): void {
  response.writeHead(303, { location: '/' }).end()
}
