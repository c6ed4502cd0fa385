import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { olderSecret, secret } from '../fixtures/app.js'
import { balance, Browser, Node } from '../fixtures/cluster.js'
import { missing, startRedis } from '../fixtures/servers.js'

// Two processes of the Redis example and one Redis, behind a balancer that alternates between the processes.

const login = { name: 'ada', password: 'fastify' }

t.test('two processes share one Redis', { skip: missing('redis-server'), timeout: 120_000 }, async t => {
  const redis = await startRedis()
  t.teardown(async () => await redis.stop())
  const env = { REDIS_URL: redis.url, SESSION_SECRET: secret }
  const nodes = [new Node('redis/server.mjs', { ...env }), new Node('redis/server.mjs', { ...env })]
  for (const node of nodes) await node.start()
  t.teardown(async () => { for (const node of nodes) await node.end('SIGKILL') })
  const { url, server } = await balance(nodes)
  t.teardown(() => server.close())
  const [first, second] = nodes as [Node, Node]

  const loggedIn = async (): Promise<Browser> => {
    const browser = new Browser(url)
    t.equal((await browser.visit('/login', login)).status, 303)
    return browser
  }

  await t.test('a login on one process is valid on the other', async t => {
    const browser = new Browser(`http://127.0.0.1:${first.port}`)
    await browser.visit('/login', login)
    for (const { port } of nodes) {
      const other = new Browser(`http://127.0.0.1:${port}`)
      other.cookie = browser.cookie
      t.match((await other.visit('/')).text, 'Hello, Ada')
    }
  })

  await t.test('logging out everywhere ends the sessions on every node and in every browser', async t => {
    const [laptop, phone] = [await loggedIn(), await loggedIn()]
    const other = new Browser(url)
    await other.visit('/login', { name: 'grace', password: 'fastify' })
    for (const browser of [laptop, phone]) for (let time = 0; time < 2; time++) t.match((await browser.visit('/')).text, 'Hello, Ada')
    const copy = phone.cookie
    t.equal((await laptop.visit('/logout-everywhere', {})).status, 303)
    for (const { port } of nodes) {
      const stale = new Browser(`http://127.0.0.1:${port}`)
      stale.cookie = copy
      t.match((await stale.visit('/')).text, 'You are not logged in')
      t.equal(copy === stale.cookie, false, 'the cookie is replaced')
    }
    t.match((await laptop.visit('/')).text, 'You are logged out, here and everywhere else.')
    t.match((await other.visit('/')).text, 'Hello, Grace', 'other users stay logged in')
  })

  /** Sends requests without a pause while something happens, and returns the faults. */
  async function underLoad (happening: () => Promise<void>): Promise<{ visits: number, faults: string[] }> {
    const browsers = await Promise.all(Array.from({ length: 8 }, loggedIn))
    const load = { ends: false }
    const faults: string[] = []
    let visits = 0
    const loops = browsers.map(async browser => {
      let views = 0
      while (!load.ends) {
        const { status, text } = await browser.visit('/')
        const seen = Number(/page <strong>(?:(once)|(\d+) times)/.exec(text)?.slice(1).map(match => match === 'once' ? 1 : match).join(''))
        // An aborted request may have counted, so the count can grow by more than one. Otherwise a session or a change is lost.
        if (status !== 200 || !text.includes('Hello, Ada') || !(seen > views)) faults.push(`${status}: ${seen} views after ${views}`)
        views = seen
        visits++
      }
    })
    await wait(200)
    await happening()
    await wait(200)
    load.ends = true
    await Promise.all(loops)
    return { visits, faults }
  }

  await t.test('killing and restarting a process under load loses no session', async t => {
    const { visits, faults } = await underLoad(async () => {
      await first.end('SIGKILL')
      await wait(300)
      await first.start()
    })
    t.same(faults, [])
    t.ok(visits > 50, `${visits} visits`)
  })

  await t.test('rotating the secret in a rolling restart logs nobody out', async t => {
    const away = new Browser(url)
    await away.visit('/login', login)
    const steps: Array<Record<string, string>> = [
      { SESSION_SECRET: secret, OLD_SESSION_SECRET: olderSecret },
      { SESSION_SECRET: olderSecret, OLD_SESSION_SECRET: secret }
    ]
    const { visits, faults } = await underLoad(async () => {
      for (const step of steps) {
        for (const node of nodes) {
          await node.end('SIGTERM')
          await node.start(step)
        }
      }
    })
    t.same(faults, [])
    t.ok(visits > 50, `${visits} visits`)
    t.match((await away.visit('/')).text, 'Hello, Ada', 'a user without requests in the meantime stays logged in')
    for (const node of nodes) {
      await node.end('SIGTERM')
      await node.start({ SESSION_SECRET: olderSecret, OLD_SESSION_SECRET: '' })
    }
    t.match((await away.visit('/')).text, 'Hello, Ada', 'the user stays logged in without the old secret, after a visit')
    second.env.SESSION_SECRET = secret
  })

  await t.test('without Redis, pages respond with 503, and all sessions are there when it is back', async t => {
    const browser = await loggedIn()
    await redis.kill()
    const { status, text } = await browser.visit('/')
    t.equal(status, 503)
    t.match(JSON.parse(text), { code: 'FST_SESSION_STORE' })
    await redis.start()
    for (let good = 0, tries = 0; good < 4 && tries < 100; tries++) {
      good = (await browser.visit('/')).status === 200 ? good + 1 : 0
      await wait(20)
    }
    for (let time = 0; time < 2; time++) t.match((await browser.visit('/')).text, 'Hello, Ada')
  })
})
