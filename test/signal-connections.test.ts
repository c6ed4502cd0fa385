import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import sessionPlugin, { denylist } from '../lib/index.js'
import { makeNode, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

/** A server, how to ask it with the cookie of a session, and how many look-ups it makes in two seconds. */
async function serve (t: Test, acts: Acts) {
  const store = new TestStore('find')
  const { app } = await makeNode({ store, userOf: data => data.user?.id }, acts, app => {
    app.post('/stream', async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200).write('open')
      await once(app.session.signal(request), 'abort')
      reply.raw.end('over')
    })
  })
  t.teardown(async () => { await app.close() })
  const jar = await startOn({ app } as Node, '/login')
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const ask = (path: string, { headers, ...options }: RequestOptions = {}) =>
    httpRequest({ port, path, headers: { cookie: jar.header(), ...headers }, ...options }).on('error', () => {})
  const lookUps = async (): Promise<number> => {
    store.took()
    await wait(2000)
    return store.took().length
  }
  return { app, ask, lookUps }
}

async function bodyOf (response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of response) body += chunk as string
  return body
}

t.test('a stream that answers a POST ends with its session', async t => {
  const { app, ask } = await serve(t, {})
  const request = ask('/stream', { method: 'POST', headers: { 'content-type': 'application/json' } })
  request.end('{}')
  const [response] = await once(request, 'response') as [IncomingMessage]
  await wait(50)
  t.equal(await app.session.of('u1').endAll(), 1)
  t.equal(await bodyOf(response), 'openover')
})

t.test('nobody looks up the session of a client that has left before it was held open', async t => {
  let arrive = (): void => {}
  const arrived = new Promise<void>(resolve => { arrive = resolve })
  let left: Promise<unknown> = arrived
  const { ask, lookUps } = await serve(t, {
    slow: async (request, reply) => {
      reply.hijack()
      left = once(reply.raw, 'close')
      arrive()
      await left
      request.server.session.signal(request, { every: 1 })
    }
  })
  const request = ask('/slow')
  request.end()
  await arrived
  request.destroy()
  await left
  t.equal(await lookUps(), 0)
})

t.test('requests that ask for an upgrade and do not get one are forgotten when they are answered', async t => {
  const { ask, lookUps } = await serve(t, { brief: request => { request.server.session.signal(request, { every: 1 }) } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  for (let nth = 0; nth < 3; nth++) {
    const request = ask('/brief', { agent, headers: { connection: 'keep-alive, upgrade', upgrade: 'nothing' } })
    request.end()
    const [response] = await once(request, 'response') as [IncomingMessage]
    await bodyOf(response)
  }
  t.equal(await lookUps(), 0)
})

t.test('a signal before the hook of the plugin', async t => {
  const signals: AbortSignal[] = []
  const app = Fastify()
  app.addHook('onRequest', async request => { signals.push(app.session.signal(request)) })
  await app.register(sessionPlugin, { secret: '0123456789abcdef0123456789abcdef' })
  app.get('/', async () => 'x')
  t.equal((await app.inject('/')).statusCode, 200)
  t.notOk(signals[0]!.aborted)
  await app.close()
})

t.test('look-ups that overlap leave one timer', async t => {
  const list = new TestStore()
  const { app } = await makeNode({ isRevoked: denylist(list), userOf: data => data.user?.id }, {
    hold: async (request, reply) => {
      reply.hijack()
      reply.raw.write('open')
      app.session.signal(request, { every: 1 })
    }
  })
  t.teardown(async () => { await app.close() })
  const jar = await startOn({ app } as Node, '/login')
  jar.get('/hold').catch(() => undefined)
  await wait(50)
  list.before.set('get', async () => { await wait(100) })
  await Promise.all(['u2', 'u3', 'u4', 'u5', 'u6'].map(async (user, nth) => {
    await wait(20 * nth)
    await app.session.of(user).endAll()
  }))
  await wait(300)
  list.before.clear()
  list.took()
  await wait(1500)
  // One look-up asks for the session and for the mark of its user.
  t.ok(list.took().length <= 4)
})

t.test('a store whose subscribe throws, or never answers, breaks neither the signals nor the end of the app', async t => {
  const subscribes = [
    () => { throw new Error('not connected') },
    async () => await new Promise<never>(() => {}),
    async () => { await wait(1300); throw new Error('no answer') }
  ]
  for (const subscribe of subscribes) {
    const store = Object.assign(new TestStore('find'), { subscribe })
    const { app } = await makeNode({ store }, { hold: request => { app.session.signal(request, { every: 1 }) } })
    const jar = await startOn({ app } as Node)
    t.equal((await jar.get('/hold')).status, 200)
    // The next look-up tries again.
    await wait(1100)
    await app.close()
  }
})
