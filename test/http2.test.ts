import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { IncomingHttpHeaders, Http2SecureServer, Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import sessionPlugin, { getSession } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { secret } from './fixtures/app.js'
import { makeCertificate } from './fixtures/https.js'
import { TestStore } from './fixtures/stores.js'

// Over real HTTP/2. The handlers have the types that Fastify uses for such servers.

function makeClear (options: Partial<SessionOptions>) {
  const app = Fastify({ http2: true })
  app.register(sessionPlugin, { secret, ...options })
  app.get('/count', async request => {
    const session = getSession(request)
    session.views = (request.session.views ?? 0) + 1
    return { views: session.views }
  })
  app.get('/raw', async (request, reply) => {
    getSession(request, 'session').note = 'raw'
    const cookies = await app.session.commit(request, reply)
    reply.hijack()
    reply.raw.writeHead(200, { 'set-cookie': cookies })
    reply.raw.end('{}')
  })
  app.get('/logout', async request => { request.session.destroy(); return {} })
  app.get('/off', { config: { session: false } }, async request => getSession(request))
  app.get('/large', async request => { request.session.note = 'x'.repeat(5000); return {} })
  return app
}

function makeSecure (options: Partial<SessionOptions>) {
  const app = Fastify({ http2: true, https: { ...makeCertificate(['localhost']), allowHTTP1: true } })
  app.register(sessionPlugin, { secret, ...options })
  app.get('/count', async request => {
    const session = getSession(request)
    session.views = (request.session.views ?? 0) + 1
    return { views: session.views }
  })
  app.get('/raw', async (request, reply) => {
    getSession(request).note = 'raw'
    const cookies = await app.session.commit(request, reply)
    reply.hijack()
    reply.raw.writeHead(200, { 'set-cookie': cookies })
    reply.raw.end('{}')
  })
  app.get('/logout', async request => { request.session.destroy(); return {} })
  return app
}

interface Answer { status: number, setCookies: string[], cookie: string, json: Record<string, unknown> }

/** Starts an app and returns a function that sends requests over one HTTP/2 connection. */
async function ask<Server extends Http2Server | Http2SecureServer> (
  t: Test, app: FastifyInstance<Server, any, any, FastifyBaseLogger, any>
): Promise<(path: string, cookie?: string) => Promise<Answer>> {
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const client = connect(`${url.protocol}//localhost:${(app.server.address() as AddressInfo).port}`, {
    rejectUnauthorized: false, lookup: (_name, _options, done) => { done(null, [{ address: '127.0.0.1', family: 4 }]) }
  })
  t.teardown(async () => { client.close(); await app.close() })
  return async (path, cookie) => {
    const stream = client.request({ ':path': path, ...cookie !== undefined && { cookie } })
    const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
    const setCookies = headers['set-cookie'] ?? []
    return { status: Number(headers[':status']), setCookies, cookie: setCookies[0]?.split(';')[0] ?? '', json: JSON.parse(await text(stream)) }
  }
}

const noOpenssl = spawnSync('openssl', ['version']).error !== undefined && process.env.CI === undefined && 'openssl is not installed'

for (const [name, make, skip] of [['clear text', makeClear, false], ['TLS', makeSecure, noOpenssl]] as const) {
  for (const [place, options] of [['the cookie', {}], ['a store', { store: new TestStore() }]] as const) {
    t.test(`a session in ${place} works over HTTP/2 with ${name}`, { skip }, async t => {
      const get = await ask<Http2Server | Http2SecureServer>(t, make(options) as ReturnType<typeof makeClear>)
      const first = await get('/count')
      t.match(first, { status: 200, json: { views: 1 } })
      t.match(first.setCookies, { length: 1 })
      t.equal(first.setCookies[0]!.includes('; Secure'), name === 'TLS')
      const second = await get('/count', first.cookie)
      t.same(second.json, { views: 2 })
      const raw = await get('/raw', second.cookie || first.cookie)
      t.match(raw, { status: 200, setCookies: place === 'the cookie' ? [/^session=Fe26\.2/] : [] })
      t.same((await get('/count', raw.cookie || first.cookie)).json, { views: 3 })
      const logout = await get('/logout', first.cookie)
      t.match(logout.setCookies, [/^session=; Max-Age=0/])
    })
  }
}

t.test('each request of one connection has its own session', async t => {
  const get = await ask(t, makeClear({}))
  const cookies = await Promise.all([1, 2, 3].map(async () => (await get('/count')).cookie))
  t.equal(new Set(cookies).size, 3)
  const answers = await Promise.all(cookies.map(async cookie => await get('/count', cookie)))
  t.same(answers.map(({ json }) => json.views), [2, 2, 2])
})

t.test('errors are the same as over HTTP/1', async t => {
  const get = await ask(t, makeClear({}))
  t.match(await get('/off'), { status: 500, json: { code: 'FST_SESSION_NOT_REGISTERED' } })
  t.match(await get('/large'), { status: 500, setCookies: [], json: { code: 'FST_SESSION_TOO_LARGE' } })
  const forgotten = Fastify({ http2: true })
  forgotten.get('/', async request => request.session)
  t.match(await (await ask(t, forgotten))('/'), { status: 500, json: { code: 'FST_SESSION_NOT_REGISTERED' } })
})
