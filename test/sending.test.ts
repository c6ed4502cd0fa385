import t from 'tap'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, logTo, makeApp } from './fixtures/app.js'
import { listen } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

// An async handler may call reply.send() without returning it or waiting for it, as in plain Fastify.

const kinds: Record<string, () => Partial<SessionOptions>> = {
  'the cookie alone': () => ({}),
  'a store': () => ({ store: new TestStore() }),
  'a store that can touch and replace': () => ({ store: new TestStore('touch', 'replace') }),
  'an overflow': () => ({ store: new TestStore(), storage: 'overflow' }),
  'a denylist': () => ({ isRevoked: denylist(new TestStore()) }),
  'a store and a denylist': () => ({ store: new TestStore(), isRevoked: denylist(new TestStore()) }),
  'iron-webcrypto': () => ({ iron: { encryption: { iterations: 2 } } })
}
const long = 'x'.repeat(100_000)

for (const [kind, options] of Object.entries(kinds)) {
  t.test(`${kind}: a reply that is sent but not returned is sent once if there is nothing to save`, async t => {
    const lines: Array<Record<string, unknown>> = []
    const sends = async (reply: FastifyReply, views: unknown): Promise<void> => { reply.send({ views, long }) }
    const app = await makeApp(options(), { '/count': count }, logTo(lines, 'warn'))
    let ended = 0
    app.addHook('onResponse', async () => { ended++ })
    app.get('/read', async (request: FastifyRequest, reply) => { await sends(reply, request.session.views ?? null) })
    app.get('/read-later', async (request: FastifyRequest, reply) => {
      await Promise.resolve()
      const { views = null } = request.session
      await sends(reply, views)
    })
    app.get('/unread', async (_request, reply) => { await sends(reply, 'unread') })
    app.get('/status', async (request: FastifyRequest, reply) => { reply.code(404).send({ views: request.session.views ?? null, long }) })
    app.get('/text', async (request: FastifyRequest, reply) => { reply.type('text/plain').send(`${request.session.views}${long}`) })
    app.setNotFoundHandler(async (request, reply) => { reply.code(404).send({ views: request.session.views ?? null, long }) })
    const url = await listen(app)
    t.teardown(() => app.close())
    const jar = new Jar(app)
    await jar.get('/count')
    const visitor = new Jar(app)
    for (const [cookie, views] of [[jar.header(), 1], [visitor.header(), null], ['session=forged', null]] as const) {
      for (const path of ['/read', '/read-later', '/unread', '/status', '/text', '/nowhere']) {
        ended = 0
        const response = await fetch(url + path, { headers: { ...cookie !== '' && { cookie } } })
        const body = await response.text()
        const expected = path === '/text' ? `${views ?? undefined}${long}` : JSON.stringify({ views: path === '/unread' ? 'unread' : views, long })
        t.equal(body === expected, true, `${path} with ${views} views: the body is whole, ${body.length} characters`)
        t.equal(response.status, ['/status', '/nowhere'].includes(path) ? 404 : 200)
        t.same(lines.splice(0).map(({ msg }) => msg), [], `${path} with ${views} views logs nothing`)
        t.equal(ended, 1)
      }
    }
  })

  t.test(`${kind}: a change is saved if the reply is sent and returned, or awaited`, async t => {
    const lines: Array<Record<string, unknown>> = []
    const app = await makeApp(options(), {}, logTo(lines, 'warn'))
    app.get('/returned', async (request: FastifyRequest, reply) => reply.send(count(request, reply)))
    app.get('/awaited', async (request: FastifyRequest, reply) => { await reply.send(count(request, reply)) })
    const url = await listen(app)
    t.teardown(() => app.close())
    const jar = new Jar(app)
    for (const [nth, path] of ['/returned', '/awaited', '/returned'].entries()) {
      const response = await fetch(url + path, { headers: { cookie: jar.header() } })
      t.same(await response.json(), { views: nth + 1 })
      jar.store({ headers: { 'set-cookie': response.headers.getSetCookie() } })
    }
    t.same(lines, [])
  })
}
