import crypto from 'node:crypto'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import sessionPlugin from '../lib/index.js'
import { count, Jar, logTo, makeApp, read, secret } from './fixtures/app.js'

// What is promised when something fails: an error response saves the session like any other, an ended session stays ended,
// a session that cannot be saved leaves the client's cookie alone, and nothing crashes.

const fail = (): never => { throw new Error('of the app') }
const views = async (jar: Jar): Promise<unknown> => {
  const opened = await jar.app.session.unseal(jar.cookies.get('session') ?? '')
  return opened.ok ? opened.data.views : opened.reason
}

for (const when of ['before', 'after'] as const) {
  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const) {
    t.test(`an exception in ${hook}, added ${when} the plugin, responds with 500 and saves the session`, async t => {
      const app = Fastify()
      let failing = true
      const add = (): unknown => app.addHook(hook as 'preHandler', async (request: FastifyRequest) => {
        if (!failing) return
        failing = hook !== 'onSend'
        request.session.views = 7
        fail()
      })
      if (when === 'before') add()
      await app.register(sessionPlugin, { secret })
      if (when === 'after') add()
      app.get('/', async () => ({ ok: true }))
      const jar = new Jar(app)
      const { status, setCookies } = await jar.get('/')
      t.equal(status, 500)
      // After the plugin's onSend hook it is too late to save, unless a hook fails: then the error response goes through it again.
      t.equal(setCookies.length, 1)
      t.equal(await views(jar), 7)
    })
  }
}

t.test('an exception in the handler, in serialization or in the error handler saves the session', async t => {
  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  const set = async (request: FastifyRequest): Promise<void> => { request.session.views = 1 }
  app.get('/handler', { preHandler: set }, async () => fail())
  app.get('/callback', { preHandler: set }, () => fail())
  app.get('/bigint', { preHandler: set }, async () => ({ n: 1n }))
  app.get('/schema', { preHandler: set, schema: { response: { 200: { type: 'object', properties: { n: { type: 'integer' } } } } } }, async () => ({ n: 'x' }))
  await app.register(async scope => {
    scope.setErrorHandler(() => fail())
    scope.get('/error-handler', { preHandler: set }, async () => fail())
    scope.register(async inner => {
      inner.setErrorHandler(async () => fail())
      inner.get('/async-error-handler', { preHandler: set }, async () => fail())
    })
  })
  for (const url of ['/handler', '/callback', '/bigint', '/schema', '/error-handler', '/async-error-handler']) {
    const jar = new Jar(app)
    const { status, setCookies } = await jar.get(url)
    t.same([status, setCookies.length, await views(jar)], [500, 1, 1], url)
  }
})

t.test('no error path brings an ended session back', async t => {
  for (const end of ['destroy', 'clear'] as const) {
    const app = Fastify()
    await app.register(sessionPlugin, { secret })
    app.get('/count', count)
    app.get('/end', async request => { request.session[end](); fail() })
    app.setErrorHandler(async (_error, request) => ({ views: request.session.views ?? null }))
    const jar = new Jar(app)
    await jar.get('/count')
    const { setCookies, json } = await jar.get('/end')
    t.match(setCookies, [/^session=; Max-Age=0/])
    t.same(json, { views: null })
    t.equal(jar.cookies.size, 0)
  }
})

t.test('a reply that is sent twice saves only the data of the first time', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = Fastify(logTo(lines, 'warn'))
  await app.register(sessionPlugin, { secret })
  app.get('/', async (request, reply) => {
    request.session.views = 1
    reply.send({ first: true })
    await setImmediate()
    request.session.views = 2
    reply.send({ second: true })
    return reply
  })
  const jar = new Jar(app)
  const { json, setCookies } = await jar.get('/')
  t.same(json, { first: true })
  t.equal(setCookies.length, 1)
  t.equal(await views(jar), 1)
  while (lines.length === 0) await wait(5)
  t.ok(lines.some(({ err }) => (err as { code?: string } | undefined)?.code === 'FST_ERR_REP_ALREADY_SENT'))
})

/** An app that listens, its log and a raw connection to it. */
async function listen (app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  return (app.server.address() as AddressInfo).port
}

t.test('a stream that fails in the middle has already sent its cookie, and the server keeps running', async t => {
  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  app.get('/', async (request, reply) => {
    request.session.views = 1
    return reply.send(Readable.from((async function * () {
      yield 'half'
      await wait(20)
      throw new Error('of the stream')
    })()))
  })
  app.get('/read', read)
  const port = await listen(app)
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  t.match(answer, /^HTTP\/1\.1 200[^]*set-cookie: session=Fe26\.2[^]*half/)
  t.notMatch(answer, /\r\n0\r\n\r\n$/, 'cut off')
  t.equal((await fetch(`http://127.0.0.1:${port}/read`)).status, 200)
})

t.test('a client that disconnects in the middle does not affect others', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = Fastify(logTo(lines, 'warn'))
  await app.register(sessionPlugin, { secret })
  const finished: boolean[] = []
  app.get('/slow', async request => {
    request.session.views = 1
    await wait(50)
    request.session.views = 2
    finished.push(true)
    return { padding: 'x'.repeat(1e6) }
  })
  app.get('/read', read)
  const port = await listen(app)
  for (const moment of [0, 20, 60]) {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
    await wait(moment)
    socket.destroy()
  }
  while (finished.length < 2) await wait(10)
  await wait(30)
  t.equal((await fetch(`http://127.0.0.1:${port}/read`)).status, 200)
  t.same(lines, [], 'no warning is logged')
})

t.test('a hijacked reply without a commit loses the change and logs it', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = Fastify(logTo(lines, 'warn'))
  await app.register(sessionPlugin, { secret })
  app.get('/', (request, reply) => {
    request.session.views = 1
    reply.hijack()
    reply.raw.end('by hand')
  })
  const port = await listen(app)
  const response = await fetch(`http://127.0.0.1:${port}/`)
  t.equal(await response.text(), 'by hand')
  t.equal(response.headers.get('set-cookie'), null)
  t.match(lines, [{ sessionName: 'session', msg: /the change is lost/ }])
})

t.test('a clock change neither crashes the process nor extends a session beyond its seal', async t => {
  t.clock.enter()
  const start = Date.now()
  const jar = new Jar(await makeApp({ idleTimeout: 100, absoluteTimeout: 1000 }, { '/count': count, '/read': read }))
  await jar.get('/count')
  const cookie = jar.cookies.get('session')!
  for (const [seconds, found] of [[-86_400, 1], [86_400, null], [0, 1], [-1e9, 1], [1e9, null]] as const) {
    t.clock.travel(start + seconds * 1000)
    jar.cookies.set('session', cookie)
    t.equal((await jar.get('/read')).json.views, found, `${seconds} s`)
    t.equal((await jar.get('/count')).status, 200)
  }
})

t.test('if node:crypto fails, the app\'s error handler receives the error and the client keeps its cookie', async t => {
  const failing = new Error('error:0308010C:digital envelope routines::unsupported')
  const { hash } = crypto
  const setCrypto = (works: boolean): void => {
    crypto.hash = works ? hash : () => { throw failing }
    syncBuiltinESMExports()
  }
  t.teardown(() => setCrypto(true))
  const app = Fastify()
  await app.register(sessionPlugin, { secret, cacheSize: 0 })
  app.get('/count', count)
  app.get('/set', async request => {
    request.session.views = 1
    return { ok: true }
  })
  app.setErrorHandler(async (error: Error, _request, reply) => await reply.code(500).send({ handled: error.message }))
  const jar = new Jar(app)
  await jar.get('/count')
  const cookie = jar.cookies.get('session')
  setCrypto(false)
  t.match(await jar.get('/count'), { status: 500, setCookies: [], json: { handled: failing.message } })
  jar.cookies.clear()
  t.match(await jar.get('/set'), { status: 500, setCookies: [], json: { handled: failing.message } })
  setCrypto(true)
  jar.cookies.set('session', cookie!)
  t.match((await jar.get('/count')).json, { views: 2 })
})
