import type { FastifyRequest } from 'fastify'
import { getSession } from 'fastify-sealed-session'
import sessionPlugin = require('fastify-sealed-session')
import type {} from './data.cjs'

export function login (request: FastifyRequest): void {
  request.session.regenerate()
  const session: sessionPlugin.Session = getSession(request)
  session.user = { id: 'ada' }
  if (sessionPlugin.getSession !== getSession) throw new Error('two copies')
}
