import Fastify from 'fastify'
import sessionPlugin, { getSession } from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'

declare module 'fastify-sealed-session' {
  interface SessionData { user?: { id: string }, views?: number }
}

async function main (): Promise<void> {
  const options: SessionOptions = { secret: 'a secret of an app that uses the package' }
  const app = Fastify()
  await app.register(sessionPlugin, options)
  app.get('/', async request => {
    const views: number = (request.session.views ?? 0) + 1
    request.session.views = views
    return { views, user: getSession(request).user?.id }
  })
  const cookie: string = await app.session.cookie({ views: 41, user: { id: 'ada' } })
  const { views, user } = (await app.inject({ url: '/', headers: { cookie } })).json() as { views: number, user: string }
  console.log(views === 42 && user === 'ada' ? 'it works' : 'it does not work')
}
main()
