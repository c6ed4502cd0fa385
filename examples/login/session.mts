import type { FastifyReply, FastifyRequest } from 'fastify'
import 'fastify-sealed-session'

declare module 'fastify-sealed-session' {
  interface SessionData {
    user?: { id: string, name: string }
    /** What the user logged in with, such as "Firefox on Android" */
    device?: string
    views?: number
    /** Shown on the next page, once */
    message?: string
    /** The page that asked for the login */
    returnTo?: string
    /** What @fastify/csrf-protection derives its tokens from */
    _csrf?: string
  }
}

/** For a preHandler hook: sends visitors who are not logged in to the login page, and from there back. */
export async function needsUser (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const { session, method, url } = request
  if (session.user !== undefined) return
  session.message = 'Log in to see that page.'
  if (method === 'GET') session.returnTo = url
  return await reply.redirect('/login', 303)
}

/** The message that an earlier request left. */
export function takeMessage ({ session }: FastifyRequest): string | undefined {
  const { message } = session
  delete session.message
  return message
}
