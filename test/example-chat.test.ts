import { on, once } from 'node:events'
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { buildApp } from '../examples/chat/app.mjs'
import { Jar } from './fixtures/app.js'

const secret = 'a secret for the example, long enough'
const DAY = 24 * 60 * 60 * 1000

interface Client extends EventEmitter { send (text: string): void, terminate (): void }

// The client that comes with @fastify/websocket: Node 20 has none of its own.
const require = createRequire(import.meta.url)
const WebSocket = createRequire(require.resolve('@fastify/websocket'))('ws') as
  new (url: string, options: { headers: Record<string, string> }) => Client

class Visitor extends Jar {
  constructor (app: Jar['app'], readonly url: string, readonly t: Test) { super(app) }

  async post (url: string, form: Record<string, string> = {}): Promise<number> {
    const headers = { cookie: this.header(), 'content-type': 'application/x-www-form-urlencoded' }
    const response = await this.app.inject({ method: 'POST', url, headers, body: new URLSearchParams(form).toString() })
    this.store(response)
    return response.statusCode
  }

  async logIn (name: string): Promise<this> {
    this.t.equal(await this.post('/login', { name, password: 'fastify' }), 303)
    return this
  }

  /** The status of a handshake; 101 is a socket. */
  async handshake (headers: Record<string, string> = {}): Promise<number | undefined> {
    const client = new WebSocket(this.url, { headers: { cookie: this.header(), ...headers } })
    this.t.teardown(() => { client.terminate() })
    const accepted = once(client, 'open').then(() => ({ statusCode: 101 }))
    const refused = once(client, 'unexpected-response').then(([, response]) => (response as IncomingMessage).resume())
    return (await Promise.race([accepted, refused])).statusCode
  }

  async connect (headers: Record<string, string> = {}): Promise<{ say: (text: string) => void, heard: () => Promise<string>, closed: Promise<number> }> {
    const client = new WebSocket(this.url, { headers: { cookie: this.header(), ...headers } })
    this.t.teardown(() => { client.terminate() })
    const messages = on(client, 'message')
    const closed = once(client, 'close').then(([code]) => code as number)
    await once(client, 'open')
    const heard = async (): Promise<string> => {
      const { value: [data] } = await messages.next() as { value: [Buffer] }
      const { name, text } = JSON.parse(data.toString()) as { name?: string, text: string }
      return name === undefined ? text : `${name}: ${text}`
    }
    return { say: text => { client.send(text) }, heard, closed }
  }
}

async function open (t: Test): Promise<() => Visitor> {
  const app = await buildApp({ secret })
  t.teardown(async () => await app.close())
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  return () => new Visitor(app, `${address.replace('http', 'ws')}/chat`, t)
}

t.test('the handshake refuses strangers', async t => {
  const visitor = await open(t)
  t.equal(await visitor().handshake(), 401)
  t.equal(await visitor().handshake({ cookie: 'session=forged' }), 401)
  const other = await buildApp({ secret: 'another secret, which is long enough' })
  const cookie = await other.session.cookie({ user: { id: 'ada', name: 'Ada' } })
  t.equal(await visitor().handshake({ cookie }), 401)
})

t.test('the handshake refuses pages of other origins, whatever their cookie', async t => {
  const visitor = await open(t)
  const ada = await visitor().logIn('ada')
  const { host, hostname } = new URL(ada.url)
  for (const origin of ['https://example.com', `http://${hostname}:1`, 'null']) t.equal(await ada.handshake({ origin }), 403, origin)
  const { heard } = await ada.connect({ origin: `http://${host}` })
  t.equal(await heard(), 'Ada has joined')
})

t.test('messages carry the name that the session knows', async t => {
  const visitor = await open(t)
  const ada = await (await visitor().logIn('ada')).connect()
  const grace = await (await visitor().logIn('grace')).connect()
  t.equal(await ada.heard(), 'Ada has joined')
  for (const each of [ada, grace]) t.equal(await each.heard(), 'Grace has joined')
  ada.say('hello')
  for (const each of [ada, grace]) t.equal(await each.heard(), 'Ada: hello')
  grace.say('{"name":"Ada","text":"hello"}')
  for (const each of [ada, grace]) t.equal(await each.heard(), 'Grace: {"name":"Ada","text":"hello"}')
})

t.test('a logout closes the sockets of its session, and no others', async t => {
  const visitor = await open(t)
  const laptop = await visitor().logIn('ada')
  const phone = await visitor().logIn('ada')
  const tabs = [await laptop.connect(), await laptop.connect()]
  const other = await phone.connect()
  t.equal(await other.heard(), 'Ada has joined')
  t.equal(await laptop.post('/logout'), 303)
  for (const tab of tabs) t.equal(await tab.closed, 4401)
  other.say('still here')
  t.equal(await other.heard(), 'Ada: still here')
  t.equal(await laptop.handshake(), 401)
})

t.test('a copy of the cookie is of no use after the logout', async t => {
  const visitor = await open(t)
  const ada = await visitor().logIn('ada')
  const cookie = ada.header()
  await ada.connect()
  await ada.post('/logout')
  t.equal(await ada.handshake({ cookie }), 401)
})

t.test('a login in place of another closes the sockets of the session before', async t => {
  const visitor = await open(t)
  const jar = await visitor().logIn('ada')
  const before = await jar.connect()
  await jar.logIn('grace')
  t.equal(await before.closed, 4401)
  const { heard } = await jar.connect()
  t.equal(await heard(), 'Grace has joined')
})

t.test('a socket does not outlive its session', async t => {
  const visitor = await open(t)
  // The session is looked up once a minute; here, ten times a second. And days pass.
  const { setTimeout: setTimer } = globalThis
  const { now } = Date
  let passed = 0
  t.intercept(globalThis, 'setTimeout', { value: (callback: () => void, ms?: number) => setTimer(callback, ms === 60_000 ? 100 : ms) })
  t.intercept(Date, 'now', { value: () => now() + passed })
  const ada = await (await visitor().logIn('ada')).connect()
  t.equal(await ada.heard(), 'Ada has joined')
  passed = 13 * DAY
  await wait(500)
  ada.say('still here')
  t.equal(await ada.heard(), 'Ada: still here')
  passed = 15 * DAY
  t.equal(await ada.closed, 4401)
})

t.test('a message that is too long closes the socket of its sender alone', async t => {
  const visitor = await open(t)
  const ada = await (await visitor().logIn('ada')).connect()
  const grace = await (await visitor().logIn('grace')).connect()
  ada.say('x'.repeat(5000))
  t.equal(await ada.closed, 1009)
  t.equal(await grace.heard(), 'Grace has joined')
  grace.say('hello')
  t.equal(await grace.heard(), 'Grace: hello')
})

t.test('the page is the login for strangers, and the chat for users', async t => {
  const visitor = (await open(t))()
  t.match((await visitor.get('/')).body, 'Log in to chat')
  t.equal(await visitor.post('/login', { name: 'ada', password: 'x' }), 401)
  t.equal(await visitor.post('/login'), 401)
  await visitor.logIn('ada')
  t.match((await visitor.get('/')).body, 'new WebSocket(')
  await visitor.post('/logout')
  t.match((await visitor.get('/')).body, 'Log in to chat')
})
