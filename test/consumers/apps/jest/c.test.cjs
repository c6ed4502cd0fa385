// One that has not imported the package, in the process of two that have.
const { expect, test } = require('@jest/globals')
const Fastify = require('fastify')

test('an app without a session', async () => {
  const app = Fastify()
  app.get('/', async request => ({ session: request.session ?? null }))
  const response = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }), { headers: { connection: 'close' } })
  expect(await response.json()).toEqual({ session: null })
  await app.close()
})
