import assert from 'node:assert/strict'
import Fastify from 'fastify'
import sessionPlugin, { getSession } from 'fastify-sealed-session'
import mercurius from 'mercurius'

const app = Fastify()
app.register(sessionPlugin, { secret: 'a secret of an app that uses the package' })
app.register(mercurius, {
  schema: 'type Query { views: Int }',
  resolvers: {
    Query: {
      views (_root, _args, { reply }) {
        const session = getSession(reply.request)
        session.views = (session.views ?? 0) + 1
        return session.views
      }
    }
  },
  context: (_request, reply) => ({ reply })
})
await app.ready()
const cookie = await app.session.cookie({ views: 41 })
const response = await app.inject({ method: 'POST', url: '/graphql', headers: { cookie }, payload: { query: '{ views }' } })
assert.deepEqual(response.json(), { data: { views: 42 } })
assert.match(response.headers['set-cookie'], /^session=Fe26\.2/)
console.log('it works')
