import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import t from 'tap'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { listen, WebSocket } from './fixtures/ecosystem.js'
import { Gates, turns, until } from './fixtures/gates.js'
import { makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// A change that can no longer be saved is logged once, with advice. A change that is still being saved is not logged.

const lost = { sessionName: 'session', msg: /lost/ }

t.test('a change after the end of the response is logged once', async t => {
  const later: Acts = {
    timer: request => { setTimeout(() => { request.session.views = 10; request.session.note = 'late' }, 30) },
    sent: async (request, reply) => {
      await reply.send({ ok: true })
      request.session.views = 10
      return reply
    },
    hook: request => { request.session.views = 1 },
    onlyRead: request => { setTimeout(() => request.session.views, 30) }
  }
  for (const options of [{}, { store: new TestStore() }]) {
    for (const name of Object.keys(later)) {
      const node = await makeNode(options, later, app => {
        app.addHook('onResponse', async request => { if (request.url === '/hook') request.session.views = 10 })
      })
      const url = await listen(node.app)
      t.teardown(() => node.app.close())
      await (await fetch(`${url}/${name}`, { headers: { cookie: (await startOn(node)).header() } })).text()
      if (name === 'onlyRead') await wait(60)
      else await until(() => node.lines.length > 0)
      await turns()
      t.match(node.lines, name === 'onlyRead' ? { length: 0 } : [lost], name)
      t.equal(node.lines.length, name === 'onlyRead' ? 0 : 1, name)
    }
  }
})

/** A node with a websocket that ends or changes its session on command. */
async function makeLive (options: Partial<SessionOptions>, calls?: Gates): Promise<{ node: Node, url: string }> {
  const node = await makeNode(options)
  await node.app.register(websocket)
  const replies = new WeakMap<FastifyRequest, FastifyReply>()
  node.app.get('/live', { websocket: true, preHandler: async (request, reply) => { replies.set(request, reply) } }, (socket, request) => {
    request.session.get('user')
    socket.on('message', async (text: Buffer) => {
      if (String(text) === 'change') request.session.views = 10
      else request.session.destroy()
      if (calls !== undefined) await node.app.session.commit(request, replies.get(request)!)
      socket.send('done')
    })
  })
  t.teardown(() => node.app.close())
  return { node, url: (await listen(node.app)).replace('http', 'ws') }
}

t.test('a destroy() whose commit is still under way when the websocket closes is not logged as lost', async t => {
  for (const kind of ['store', 'denylist']) {
    const [store, calls] = [new TestStore(), new Gates()]
    const { node, url } = await makeLive(kind === 'store' ? { store } : { isRevoked: denylist(store) }, calls)
    const browser = await startOn(node)
    const socket = new WebSocket(`${url}/live`, { headers: { cookie: browser.header() } })
    await once(socket, 'open')
    for (const method of ['set', 'delete'] as const) store.before.set(method, async () => { await calls.pass('end') })
    socket.send('logout')
    await calls.arrival('end')
    socket.close()
    await once(socket, 'close')
    await turns(50)
    calls.open('end')
    store.before.clear()
    await turns(50)
    t.same(node.lines, [], kind)
    t.same((await seen(browser)).data, {})
  }
})

t.test('the warning about a lost change gives advice for websockets and streams', async t => {
  const { node, url } = await makeLive({})
  const socket = new WebSocket(`${url}/live`, { headers: { cookie: (await startOn(node)).header() } })
  await once(socket, 'open')
  socket.send('change')
  await once(socket, 'message')
  socket.close()
  await until(() => node.lines.length > 0)
  t.match(node.lines, [{ ...lost, msg: /websocket/i }])

  const streaming = await makeNode({}, {
    stream: request => {
      const stream = new PassThrough()
      stream.write('a')
      setTimeout(() => { request.session.views = 10; stream.end('b') }, 20)
      return stream
    }
  })
  t.teardown(() => streaming.app.close())
  const response = await fetch(`${await listen(streaming.app)}/stream`, { headers: { cookie: (await startOn(streaming)).header() } })
  await response.text()
  await until(() => streaming.lines.length > 0)
  t.match(streaming.lines, [{ ...lost, msg: /stream/i }])
})
