import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { once } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'
import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, logTo, makeApp, read } from './fixtures/app.js'
import { listen, WebSocket } from './fixtures/ecosystem.js'
import type { Socket } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

declare module 'fastify' {
  // A websocket handler does not receive the reply, which commit() needs.
  interface FastifyRequest { reply: FastifyReply | null }
}

type Lines = Array<Record<string, unknown>>

/** An app with a websocket that reads, changes and saves the session. */
async function makeLive (options: Partial<SessionOptions>, lines: Lines = []): Promise<{ app: FastifyInstance, url: string }> {
  const app = await makeApp(options, {
    '/count': count,
    '/read': request => ({ views: request.session.views ?? null, note: request.session.note ?? null, reason: request.session.info.reason }),
    '/note': request => { request.session.note = 'over HTTP' },
    '/logout': request => { request.session.destroy() }
  }, logTo(lines, 'warn'))
  await app.register(websocket)

  const cookiesOf = new WeakMap<IncomingMessage, string[]>()
  app.websocketServer.on('headers', (headers: string[], raw: IncomingMessage) => {
    headers.push(...(cookiesOf.get(raw) ?? []).map(cookie => `Set-Cookie: ${cookie}`))
  })
  const counted = async (request: Parameters<typeof count>[0], reply: FastifyReply): Promise<void> => {
    count(request, reply)
    cookiesOf.set(request.raw, await app.session.commit(request, reply))
  }
  app.get('/counted', { websocket: true, preHandler: counted }, (socket, request) => { socket.send(JSON.stringify(request.session)) })

  const members = async (request: Parameters<typeof count>[0], reply: FastifyReply): Promise<unknown> => {
    if (request.session.views !== undefined) return
    request.session.note = 'refused'
    return await reply.code(401).send({ refused: true })
  }
  app.get('/members', { websocket: true, preValidation: members }, (socket, request) => { socket.send(JSON.stringify(request.session)) })

  app.decorateRequest('reply', null)
  app.get('/live', { websocket: true, preHandler: async (request, reply) => { request.reply = reply } }, (socket: Socket, request) => {
    socket.on('message', async (text: Buffer) => {
      const command = String(text)
      if (command === 'count') request.session.views = (request.session.views ?? 0) + 1
      if (command === 'logout') request.session.destroy()
      if (command === 'change') request.session.note = 'unsaved'
      if (command === 'count' || command === 'logout') await app.session.commit(request, request.reply!)
      const isFresh = command === 'look again'
      socket.send(JSON.stringify(isFresh ? await app.session.unseal(request.cookies.session ?? '') : request.session))
    })
  })
  return { app, url: (await listen(app)).replace('http', 'ws') }
}

/** A websocket that sends the cookies of a jar and stores those of the response. */
class Client {
  readonly socket: Socket
  /** The response to the upgrade: the upgrade itself or an ordinary response */
  readonly answered: Promise<IncomingMessage>
  readonly #received: string[] = []

  constructor (url: string, jar: Jar, headers = { cookie: jar.header() }) {
    this.socket = new WebSocket(url, { headers })
    this.answered = new Promise((resolve, reject) => {
      const answered = (answer: IncomingMessage): void => { jar.store(answer); resolve(answer) }
      this.socket.on('upgrade', answered).on('unexpected-response', (_request, answer: IncomingMessage) => answered(answer)).on('error', reject)
    })
    this.socket.on('message', (data: Buffer) => { this.#received.push(String(data)); this.socket.emit('received') })
  }

  async receive (): Promise<unknown> {
    if (this.#received.length === 0) await once(this.socket, 'received')
    return JSON.parse(this.#received.shift()!) as unknown
  }

  async ask (command: string): Promise<unknown> {
    if ((await this.answered).statusCode !== 101) throw new Error('no websocket')
    this.socket.send(command)
    return await this.receive()
  }

  async end (): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }
}

t.test('@fastify/websocket: the session is available in the handshake', async t => {
  for (const options of [{}, { store: new TestStore() }, { iron: { encryption: { iterations: 2 } } }]) {
    const { app, url } = await makeLive(options)
    t.teardown(() => app.close())
    const jar = new Jar(app)
    await jar.get('/count')
    const client = new Client(`${url}/live`, jar)
    t.same(await client.ask('look'), { views: 1 })
    t.equal((await client.answered).headers['set-cookie'], undefined, 'a handshake that only reads sets no cookie')
    t.same(await new Client(`${url}/live`, new Jar(app)).ask('look'), {})
    t.same(await new Client(`${url}/live`, jar, { cookie: 'session=forged' }).ask('look'), {})
    t.same(await new Client(`${url}/live`, jar, { cookie: await app.session.cookie({ note: 'by hand' }) }).ask('look'), { note: 'by hand' })
  }
})

t.test('@fastify/websocket: a rejected handshake is an ordinary response that saves the session', async t => {
  const { app, url } = await makeLive({})
  t.teardown(() => app.close())
  const jar = new Jar(app)
  const answer = await new Client(`${url}/members`, jar).answered
  t.match(answer, { statusCode: 401, headers: { vary: 'Cookie', 'set-cookie': [/^session=Fe26/] } })
  t.same((await jar.get('/read')).json, { views: null, note: 'refused', reason: null })
  await jar.get('/count')
  t.same(await new Client(`${url}/members`, jar).receive(), { note: 'refused', views: 1 })
})

t.test('@fastify/websocket: a cookie that is committed before the upgrade can be set by its response', async t => {
  for (const options of [{}, { store: new TestStore() }]) {
    const { app, url } = await makeLive(options)
    t.teardown(() => app.close())
    const jar = new Jar(app)
    const first = new Client(`${url}/counted`, jar)
    t.same(await first.receive(), { views: 1 })
    t.match((await first.answered).headers['set-cookie'], [/^session=Fe26.*HttpOnly/])
    t.same(await new Client(`${url}/counted`, jar).receive(), { views: 2 })
    t.same((await jar.get('/read')).json, { views: 2, note: null, reason: null })
    const replaced = new Client(`${url}/counted`, jar, { cookie: 'session=forged' })
    t.same(await replaced.receive(), { views: 1 })
    t.same((await jar.get('/read')).json, { views: 1, note: null, reason: null })
  }
})

t.test('@fastify/websocket: with a store, a change can be committed while the connection is open', async t => {
  const store = new TestStore()
  const lines: Lines = []
  const { app, url } = await makeLive({ store }, lines)
  t.teardown(() => app.close())
  const jar = new Jar(app)
  await jar.get('/count')
  const client = new Client(`${url}/live`, jar)
  t.same(await client.ask('count'), { views: 2 })
  t.same((await jar.get('/read')).json, { views: 2, note: null, reason: null }, 'the next request sees it')
  await jar.get('/note')
  t.same(await client.ask('look'), { views: 2 }, 'the session has not changed since the handshake')
  t.match(await client.ask('look again'), { ok: true, data: { views: 2, note: 'over HTTP' } }, 'unseal() returns the current data')
  t.same(await client.ask('count'), { views: 3, note: 'over HTTP' }, 'saving keeps the changes of others')
  t.same((await jar.get('/read')).json, { views: 3, note: 'over HTTP', reason: null })

  await jar.get('/logout')
  t.match(await client.ask('look again'), { ok: false, reason: 'not-stored' })
  await client.ask('count')
  t.same(store.values, [], 'a session that was ended over HTTP does not come back')
  t.match(lines, [{ msg: /another request ended the session/ }])
  await client.end()

  await jar.get('/count')
  t.same(await new Client(`${url}/live`, jar).ask('logout'), {})
  t.match(await jar.get('/read'), { json: { views: null, reason: 'not-stored' }, setCookies: [] })
})

t.test('@fastify/websocket: without a store, a change after the handshake is seen only by the connection', async t => {
  const lines: Lines = []
  const { app, url } = await makeLive({}, lines)
  t.teardown(() => app.close())
  const jar = new Jar(app)
  await jar.get('/count')
  const client = new Client(`${url}/live`, jar)
  t.same([await client.ask('count'), await client.ask('count')], [{ views: 2 }, { views: 3 }])
  t.same((await jar.get('/read')).json, { views: 1, note: null, reason: null })
  const lost = { msg: /after the response headers were sent/, sessionName: 'session' }
  t.match(lines.splice(0), [lost, lost], 'each loss is logged')
  t.same(await client.ask('change'), { views: 3, note: 'unsaved' })
  await client.end()
  while (lines.length === 0) await immediate()
  t.match(lines, [lost], 'a change without a commit is logged too')
})

t.test('@fastify/websocket: a session that begins in an open connection leaves no unreachable entry', async t => {
  const store = new TestStore()
  const lines: Lines = []
  const { app, url } = await makeLive({ store }, lines)
  t.teardown(() => app.close())
  const client = new Client(`${url}/live`, new Jar(app))
  t.same(await client.ask('count'), { views: 1 })
  t.same(store.values, [])
  t.match(lines, [{ msg: /after the response headers were sent/ }])
})

/** An app that sends events on command, by a raw reply and by a stream. */
async function makeEvents (options: Partial<SessionOptions>, lines: Lines): Promise<{ app: FastifyInstance, goOn: () => void }> {
  let goOn = (): void => {}
  const told = new Promise<void>(resolve => { goOn = resolve })
  const app = await makeApp(options, { '/count': count, '/read': read }, logTo(lines, 'warn'))
  const later = async (...[request, reply]: Parameters<typeof count>): Promise<void> => {
    await told
    request.session.views = 10
    await app.session.commit(request, reply)
  }
  app.get('/hijacked', async (request, reply) => {
    count(request, reply)
    await app.session.commit(request, reply)
    reply.hijack()
    reply.raw.writeHead(200, { ...reply.getHeaders() as OutgoingHttpHeaders, 'content-type': 'text/event-stream' })
    reply.raw.write('data: first\n\n')
    await later(request, reply)
    reply.raw.end('data: second\n\n')
  })
  app.get('/streamed', async (request, reply) => {
    count(request, reply)
    reply.header('content-type', 'text/event-stream')
    return Readable.from((async function * () {
      yield 'data: first\n\n'
      await later(request, reply)
      yield 'data: second\n\n'
    })())
  })
  return { app, goOn }
}

for (const path of ['/hijacked', '/streamed']) {
  for (const store of [undefined, new TestStore()]) {
    t.test(`events from a reply that is ${path.slice(1)} can save the session at the start, ${store ? 'and with a store also later' : 'but without a store not later'}`, async t => {
      const lines: Lines = []
      const { app, goOn } = await makeEvents({ store }, lines)
      t.teardown(() => app.close())
      const [url, jar] = [await listen(app), new Jar(app)]
      await jar.get('/count')
      const response = await fetch(url + path, { headers: { cookie: jar.header() } })
      const setCookies = response.headers.getSetCookie()
      jar.store({ headers: { 'set-cookie': setCookies } })
      t.equal(setCookies.length, store ? 0 : 1, 'with a store, the change needs no new cookie')
      t.match([response.headers.get('vary'), response.headers.get('cache-control')], ['Cookie', store ? null : 'private, no-cache'])
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      t.equal((await reader.read()).value, 'data: first\n\n')
      t.same((await jar.get('/read')).json, { views: 2, reason: null }, 'saved while the stream is open')
      goOn()
      t.equal((await reader.read()).value, 'data: second\n\n')
      t.equal((await reader.read()).done, true)
      t.same((await jar.get('/read')).json, { views: store ? 10 : 2, reason: null })
      t.match(lines, store ? { length: 0 } : [{ msg: /after the response headers were sent/ }], 'a lost change is logged')
    })
  }
}
