'use strict'

const assert = require('node:assert/strict')

const secret = 'a secret of an app that uses the package'

/** Listens, and gives what asks: `app.inject` needs a Node that can require ES modules, which is not what is tested here. */
async function listen (app) {
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  return async (method, path, cookie = '') => {
    const response = await fetch(origin + path, { method, headers: { cookie, connection: 'close' } })
    return { json: await response.json(), cookie: response.headers.get('set-cookie')?.split(';')[0] }
  }
}

/** Views, a login, `getSession`, `cookie()` and the guard, in an app of whoever has loaded the two packages. */
exports.check = async function check (Fastify, sessionPlugin, getSession) {
  const forgotten = Fastify()
  forgotten.get('/', async request => request.session)
  const { json } = await (await listen(forgotten))('GET', '/')
  assert.equal(json.code, 'FST_SESSION_NOT_REGISTERED')
  await forgotten.close()

  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  app.get('/', async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { views: request.session.views }
  })
  app.post('/login', async request => {
    request.session.regenerate(['views'])
    request.session.user = 'ada'
    return {}
  })
  app.get('/me', async request => ({ user: getSession(request).user, views: getSession(request).views }))
  const ask = await listen(app)
  const first = await ask('GET', '/')
  const second = await ask('GET', '/', first.cookie)
  assert.equal(second.json.views, 2)
  const login = await ask('POST', '/login', second.cookie)
  const me = await ask('GET', '/me', login.cookie)
  assert.deepEqual([me.json.user, me.json.views], ['ada', 2])
  assert.equal((await ask('GET', '/me', await app.session.cookie({ user: 'bob' }))).json.user, 'bob')
  await app.close()
}

/** The one dependency that is ESM only. */
exports.checkIron = async function checkIron (createSealer) {
  const { seal, unseal } = createSealer({ secret, iron: { integrity: { iterations: 2 } } })
  assert.equal((await unseal(await seal({ views: 1 }))).data.views, 1)
}
