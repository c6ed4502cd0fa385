import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { secret } from '../fixtures/app.js'
import { Browser, Node } from '../fixtures/cluster.js'
import { missing, startRedis } from '../fixtures/servers.js'

// Two processes of the chat example and one Redis.

interface Client extends EventEmitter { send (text: string): void, terminate (): void }
const require = createRequire(import.meta.url)
const WebSocket = createRequire(require.resolve('@fastify/websocket'))('ws') as
  new (url: string, options: { headers: Record<string, string> }) => Client

t.test('a chat of two processes', { skip: missing('redis-server'), timeout: 120_000 }, async t => {
  const redis = await startRedis()
  t.teardown(async () => await redis.stop())
  const nodes = [1, 2].map(() => new Node('chat/server.mjs', { REDIS_URL: redis.url, SESSION_SECRET: secret })) as [Node, Node]
  for (const node of nodes) await node.start()
  t.teardown(async () => { for (const node of nodes) await node.end('SIGKILL') })
  const [here, there] = nodes.map(({ port }) => `http://127.0.0.1:${port}`) as [string, string]

  const logIn = async (name: string, url = here): Promise<Browser> => {
    const browser = new Browser(url)
    t.equal((await browser.visit('/login', { name, password: 'fastify' })).status, 303)
    return browser
  }

  async function connect ({ cookie }: Browser, url: string): Promise<{ heard: string[], closed: Promise<number>, say: (text: string) => void }> {
    const client = new WebSocket(`${url.replace('http', 'ws')}/chat`, { headers: { cookie } })
    t.teardown(() => { client.terminate() })
    const heard: string[] = []
    client.on('message', (data: Buffer) => { heard.push((JSON.parse(data.toString()) as { text: string }).text) })
    const closed = once(client, 'close').then(([code]) => code as number)
    await once(client, 'open')
    return { heard, closed, say: text => { client.send(text) } }
  }

  async function hears ({ heard }: { heard: string[] }, text: string): Promise<void> {
    for (let tries = 0; !heard.includes(text); tries++) {
      if (tries === 500) throw new Error(`"${text}" was not heard`)
      await wait(20)
    }
  }

  await t.test('messages reach the sockets of both', async () => {
    const [ada, grace] = [await connect(await logIn('ada'), here), await connect(await logIn('grace'), there)]
    await hears(ada, 'Grace has joined')
    ada.say('hello')
    for (const each of [ada, grace]) await hears(each, 'hello')
    grace.say('good morning')
    for (const each of [ada, grace]) await hears(each, 'good morning')
  })

  await t.test('a logout on one closes the sockets of the session on the other, within seconds, and no others', async t => {
    const [laptop, phone] = [await logIn('ada'), await logIn('ada')]
    const tabs = [await connect(laptop, here), await connect(laptop, there)]
    const other = await connect(phone, there)
    await hears(other, 'Ada has joined')
    const start = performance.now()
    t.equal((await laptop.visit('/logout', {})).status, 303)
    for (const { closed } of tabs) t.equal(await closed, 4401)
    const seconds = (performance.now() - start) / 1000
    t.ok(seconds < 20, `${seconds} s: the look-up each minute is not what closed them`)
    other.say('still here')
    await hears(other, 'still here')
  })

  await t.test('a login over another session closes its sockets on the other process too', async t => {
    const browser = await logIn('ada')
    const { closed } = await connect(browser, there)
    t.equal((await browser.visit('/login', { name: 'grace', password: 'fastify' })).status, 303)
    t.equal(await closed, 4401)
  })

  await t.test('Redis restarts: sockets stay open, and messages and logouts arrive again', async t => {
    const [ada, grace] = [await logIn('ada'), await logIn('grace')]
    const sockets = [await connect(ada, there), await connect(grace, here)] as const
    await redis.kill()
    await wait(300)
    await redis.start()
    for (let good = false, tries = 0; !good && tries < 200; tries++) {
      sockets[1].say('anybody?')
      good = sockets[0].heard.includes('anybody?')
      await wait(50)
    }
    t.ok(sockets[0].heard.includes('anybody?'))
    for (let status = 503; status === 503;) {
      await wait(50)
      status = (await ada.visit('/logout', {})).status
    }
    t.equal(await sockets[0].closed, 4401)
  })
})
