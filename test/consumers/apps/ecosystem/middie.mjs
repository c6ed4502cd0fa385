import assert from 'node:assert/strict'
import middie from '@fastify/middie'
import Fastify from 'fastify'
import sessionPlugin from 'fastify-sealed-session'

const app = Fastify()
await app.register(middie)
await app.register(sessionPlugin, { secret: 'a secret of an app that uses the package' })
app.use((request, response, next) => { response.setHeader('x-middleware', 'yes'); next() })
app.get('/', async request => {
  request.session.views = (request.session.views ?? 0) + 1
  return { views: request.session.views }
})
await app.ready()
const response = await app.inject({ url: '/', headers: { cookie: await app.session.cookie({ views: 41 }) } })
assert.deepEqual(response.json(), { views: 42 })
assert.equal(response.headers['x-middleware'], 'yes')
console.log('it works')
