import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import client from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyRequest } from 'fastify'
import { denylist } from '../lib/index.js'
import type { SessionEvents, SessionOptions } from '../lib/index.js'
import { count, Jar, makeApp, olderSecret, read } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

type Name = keyof SessionEvents
const names: Name[] = ['loaded', 'rejected', 'saved', 'destroyed']

/** The messages published while a test runs, without their requests. */
function listen (t: Test): { took: () => unknown[], requests: FastifyRequest[] } {
  const events: unknown[] = []
  const requests: FastifyRequest[] = []
  for (const name of names) {
    const channel = `fastify-sealed-session.${name}`
    const listener = (message: unknown): void => {
      const { request, ...facts } = message as SessionEvents[Name]
      requests.push(request)
      events.push([name, facts])
    }
    subscribe(channel, listener)
    t.teardown(() => unsubscribe(channel, listener))
  }
  return { took: () => events.splice(0), requests }
}

const routes: Parameters<typeof makeApp>[1] = {
  '/count': count,
  '/read': read,
  '/without': () => ({}),
  '/login': request => { request.session.regenerate(); request.session.note = 'secret text' },
  '/destroy': request => { request.session.destroy() },
  '/farewell': request => { request.session.destroy(); request.session.note = 'bye' },
  '/clear': request => { request.session.clear() },
  '/large': request => { request.session.note = 'x'.repeat(10_000) }
}
const sessionName = 'session'

const kinds: Record<string, () => Partial<SessionOptions>> = {
  'in the cookie': () => ({}),
  'in a store': () => ({ store: new TestStore('touch') }),
  'in the cookie, with a denylist': () => ({ isRevoked: denylist(new TestStore()) })
}
for (const [kind, options] of Object.entries(kinds)) {
  t.test(`${kind}: each step in the life of a session is published, with ids and sizes and never with data`, async t => {
    const { took, requests } = listen(t)
    const app = await makeApp(options(), routes)
    const jar = new Jar(app)
    await jar.get('/read')
    t.same(took(), [], 'a new session that stays empty publishes nothing')
    await jar.get('/count')
    const [[, { id }]] = took() as [[string, { id: string }]]
    await jar.get('/count')
    const size = { id, bytes: '{"views":1}'.length, sessionName }
    t.same(took(), [['loaded', size], ['saved', size]])
    t.equal(requests.at(-1)!.url, '/count')
    await jar.get('/read')
    t.same(took(), [['loaded', size]])
    await jar.get('/login')
    const told = took() as Array<[string, { id: string }]>
    const moved = told.find(([name]) => name === 'saved')![1].id
    t.not(moved, id)
    t.same(told, [['loaded', size], ['saved', { id: moved, bytes: '{"note":"secret text"}'.length, sessionName }], ['destroyed', { id, by: 'regenerate', sessionName }]])
    t.notMatch(JSON.stringify(told), 'secret text')
    await jar.get('/farewell')
    const farewell = took() as Array<[string, object]>
    t.match(farewell.filter(([name]) => name !== 'loaded'), [['saved', { bytes: '{"note":"bye"}'.length }], ['destroyed', { id: moved, by: 'destroy' }]])
    await jar.get('/clear')
    t.same((took() as Array<[string]>).map(([name]) => name), ['loaded'], 'a cleared session continues without data')
    await jar.get('/count')
    took()
    await jar.get('/destroy')
    t.match(took(), [['loaded', {}], ['destroyed', { by: 'destroy' }]])
    await jar.get('/destroy')
    t.same(took(), [], 'without a session, none is ended')
    await new Jar(app).get('/read', { cookie: 'session=forged' })
    t.same(took(), [['rejected', { reason: 'malformed', sessionName }]])
  })
}

t.test('a failed operation is not published as done', async t => {
  const { took } = listen(t)
  const app = await makeApp({}, routes)
  const jar = new Jar(app)
  t.equal((await jar.get('/large')).status, 500)
  t.same(took(), [])
  const store = new TestStore()
  const stored = await makeApp({ store }, routes)
  const other = new Jar(stored)
  await other.get('/count')
  store.fails.set('delete', new Error('down'))
  took()
  t.equal((await other.get('/destroy')).status, 503)
  t.match(took(), [['loaded', {}]])
})

t.test('each rejected cookie is published with its own reason', async t => {
  const { took } = listen(t)
  const app = await makeApp({}, routes)
  const stranger = await makeApp({ secret: olderSecret })
  const forged = (await app.session.cookie({ views: 2 })).replace(/.$/, last => last === 'A' ? 'E' : 'A')
  await new Jar(app).get('/read', { cookie: `${forged}; ${await stranger.session.cookie({ views: 1 })}; ${await app.session.cookie({ views: 1 })}` })
  t.match(took(), [['rejected', { reason: 'tampered' }], ['rejected', { reason: 'unknown-key' }], ['loaded', {}]])
})

t.test('the Prometheus recipe counts the messages', async t => {
  const registry = new client.Registry()
  const counters = {
    loaded: new client.Counter({ name: 'sessions_loaded_total', help: 'Sessions that came with a request', registers: [registry] }),
    rejected: new client.Counter({ name: 'sessions_rejected_total', help: 'Cookies that were no session', labelNames: ['reason'], registers: [registry] }),
    saved: new client.Histogram({ name: 'session_bytes', help: 'Size of the data of saved sessions', buckets: [100, 1000, 2500], registers: [registry] }),
    destroyed: new client.Counter({ name: 'sessions_destroyed_total', help: 'Sessions that were ended', labelNames: ['by'], registers: [registry] })
  }
  const on = <Key extends Name>(name: Key, listener: (event: SessionEvents[Key]) => void): void => {
    const each = (message: unknown): void => { listener(message as SessionEvents[Key]) }
    subscribe(`fastify-sealed-session.${name}`, each)
    t.teardown(() => unsubscribe(`fastify-sealed-session.${name}`, each))
  }
  on('loaded', () => counters.loaded.inc())
  on('rejected', ({ reason }) => counters.rejected.inc({ reason }))
  on('saved', ({ bytes }) => counters.saved.observe(bytes))
  on('destroyed', ({ by }) => counters.destroyed.inc({ by }))
  const app = await makeApp({}, { ...routes, '/metrics': async (_request, reply) => { reply.type('text/plain'); return await registry.metrics() } })
  const jar = new Jar(app)
  for (const url of ['/count', '/count', '/login', '/destroy']) await jar.get(url)
  await new Jar(app).get('/read', { cookie: 'session=forged' })
  const { body } = await new Jar(app).get('/metrics')
  for (const line of ['sessions_loaded_total 3', 'sessions_rejected_total{reason="malformed"} 1', 'session_bytes_count 3', 'sessions_destroyed_total{by="regenerate"} 1', 'sessions_destroyed_total{by="destroy"} 1']) {
    t.ok(body.includes(line), line)
  }
})
