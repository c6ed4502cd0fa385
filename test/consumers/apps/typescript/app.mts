import Fastify from 'fastify'
import sessionPlugin, { createSealer, errors, getSession } from 'fastify-sealed-session'
import type { SessionOptions } from 'fastify-sealed-session'
import type {} from './data.cjs'
import { login } from './helper.cjs'

const options: SessionOptions = { secret: 'a secret of an app that uses the package' }
const app = Fastify()
await app.register(sessionPlugin, options)
app.get('/', async request => {
  const views: number = (request.session.views ?? 0) + 1
  request.session.views = views
  // @ts-expect-error a number is no string
  request.session.views satisfies string
  return { views }
})
app.get('/me', async request => {
  login(request)
  const user: string | undefined = getSession(request).user?.id
  return { user }
})
const cookie: string = await app.session.cookie({ views: 41 })
const { views } = (await app.inject({ url: '/', headers: { cookie } })).json() as { views: number }
const { user } = (await app.inject('/me')).json() as { user: string }
const unsealed = await createSealer(options).unseal('none')
console.log(views === 42 && user === 'ada' && !unsealed.ok && errors.FST_SESSION_STORE.name !== '' ? 'it works' : 'it does not work')
