import type {} from 'fastify-sealed-session'

declare module 'fastify-sealed-session' {
  interface SessionData { user?: { id: string }, views?: number }
}
