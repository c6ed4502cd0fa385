import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { createSealer } from '../lib/index.js'
import { count, Jar, makeApp, read, secret } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

// The recipes of the documentation.

t.test('a generation in the user\'s row logs the user out everywhere', async t => {
  const generations = new Map([['u1', 1], ['u2', 1]])
  const node = async (): ReturnType<typeof makeApp> => await makeApp({}, {
    '/login': request => {
      const id = (request.query as { user: string }).user
      request.session.regenerate()
      request.session.user = { id, name: id }
      request.session.views = generations.get(id)!
    },
    '/who': request => ({ user: request.session.user?.id ?? null })
  }, {}, app => {
    app.addHook('preHandler', async request => {
      if (request.routeOptions.config.session === false) return
      const { user, views: generation } = request.session
      if (user !== undefined && generation !== generations.get(user.id)) request.session.destroy()
    })
  })
  const [here, there] = [await node(), await node()]
  const [laptop, phone, other] = [new Jar(here), new Jar(there), new Jar(there)]
  await laptop.get('/login?user=u1')
  await phone.get('/login?user=u1')
  await other.get('/login?user=u2')
  t.equal((await phone.get('/who')).json.user, 'u1')
  generations.set('u1', 2)
  for (const jar of [laptop, phone]) {
    const { json, setCookies } = await jar.get('/who')
    t.equal(json.user, null)
    t.match(setCookies, [/Max-Age=0/])
  }
  t.equal((await other.get('/who')).json.user, 'u2')
})

t.test('sessions in cookies can be moved into a store', async t => {
  const before = await makeApp({}, { '/count': count })
  const store = new TestStore()
  const { unseal } = createSealer({ secret })
  const takeOver = async (request: FastifyRequest): Promise<void> => {
    if (request.session.info.reason !== 'not-stored') return
    const old = await unseal(request.cookies.session ?? '')
    if (old.ok) Object.assign(request.session, old.data)
  }
  const after = await makeApp({ store }, { '/count': count, '/read': read, '/destroy': request => { request.session.destroy() } }, {}, app => {
    app.addHook('preHandler', takeOver)
  })
  const jar = new Jar(before)
  await jar.get('/count')
  const moved = new Jar(after)
  moved.cookies.set('session', jar.cookies.get('session')!)
  t.same((await moved.get('/count')).json, { views: 2 })
  t.same(store.values, [{ views: 2 }])
  t.same((await moved.get('/read')).json, { views: 2, reason: null })
  const copy = moved.header()
  await moved.get('/destroy')
  t.equal((await new Jar(after).get('/read', { cookie: copy })).json.views, null, 'a session that ended in the store is not moved again')
})
