import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { Jar } from './fixtures/app.js'
import { copyOf, makeNode, makeNodes, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

const userOf: SessionOptions['userOf'] = data => data.user?.id

// Taken before the clock of a test replaces it.
const later = setImmediate

async function turns (): Promise<void> {
  for (let nth = 0; nth < 20; nth++) await new Promise(resolve => { later(resolve) })
}

/** Acts that keep a response open until the signal of its session aborts, and the signals. */
function holding (every?: number): { acts: Acts, signals: AbortSignal[] } {
  const signals: AbortSignal[] = []
  const acts: Acts = {
    hold: async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200).write('open')
      signals.push(request.server.session.signal(request, every === undefined ? {} : { every }))
      await once(signals.at(-1)!, 'abort')
      reply.raw.end()
    },
    keep: request => { request.session.regenerate(['user']) }
  }
  return { acts, signals }
}

/** A store that notifies all its copies of deletions, as a store with pub/sub does. */
class TellingStore extends TestStore {
  listeners = new Set<(id: string) => void>()
  subscriptions = 0
  /** The error with which subscriptions reject, if any */
  away: Error | undefined

  override async delete (id: string): Promise<unknown> {
    const answer = await super.delete(id)
    for (const listener of this.listeners) listener(id)
    return answer
  }

  override beside (): TellingStore {
    const other = new TellingStore('replace', 'find')
    other.entries = this.entries
    other.listeners = this.listeners
    return other
  }

  async subscribe (listener: (id: string) => void): Promise<() => Promise<void>> {
    this.subscriptions++
    if (this.away !== undefined) throw this.away
    this.listeners.add(listener)
    return async () => { this.listeners.delete(listener) }
  }
}

/** Waits until the session has a signal. */
async function held (signals: AbortSignal[], jar: Jar, count = 1): Promise<AbortSignal> {
  jar.get('/hold').catch(() => undefined)
  while (signals.length < count) await wait(1)
  return signals[count - 1]!
}

t.test('the signal of a session aborts when this process ends the session', async t => {
  const kinds: Array<() => Partial<SessionOptions>> = [
    () => ({}),
    () => ({ store: new TestStore('find'), userOf }),
    () => ({ isRevoked: denylist(new TestStore()), userOf })
  ]
  for (const options of kinds) {
    for (const end of ['/logout', '/login', '/keep', 'of']) {
      const { acts, signals } = holding()
      const { app } = await makeNode(options(), acts)
      const [jar, other] = [await startOn({ app } as Node), await startOn({ app } as Node, '/change')]
      const signal = await held(signals, copyOf(jar))
      const otherSignal = await held(signals, copyOf(other), 2)
      const aborted = once(signal, 'abort')
      if (end !== 'of') await jar.get(end)
      else if (options().userOf === undefined) continue
      else await app.session.of('u1').endAll()
      await aborted
      t.match(signal.reason, { message: 'the session has ended' })
      t.notOk(otherSignal.aborted)
      await app.close()
    }
  }
})

t.test('of(user).end() and a login beyond the limit abort the signals of the sessions that they end', async t => {
  const { acts, signals } = holding()
  const { app } = await makeNode({ store: new TestStore('find'), userOf, maxSessions: 1 }, acts)
  const jar = await startOn({ app } as Node, '/login')
  const first = await held(signals, copyOf(jar))
  const second = await startOn({ app } as Node, '/login')
  t.ok(first.aborted)
  const signal = await held(signals, copyOf(second), 2)
  const [{ id }] = await app.session.of('u1').list() as unknown as [{ id: string }]
  t.equal(await app.session.of('u1').end(id), true)
  t.ok(signal.aborted)
})

t.test('with subscribe, signals on other nodes abort too, and the first signal subscribes', async t => {
  const store = new TellingStore('replace', 'find')
  const { acts, signals } = holding()
  const stores: TellingStore[] = []
  const [here, there] = await makeNodes(2, () => {
    stores.push(store.beside())
    return { store: stores.at(-1)!, userOf }
  }, acts)
  const jar = await startOn(here, '/login')
  t.equal(stores[0]!.subscriptions, 0)
  const signal = await held(signals, copyOf(jar))
  await held(signals, copyOf(jar), 2)
  t.equal(stores[0]!.subscriptions, 1)
  await copyOf(jar, { app: there.app }).get('/logout')
  t.ok(signal.aborted && signals[1]!.aborted)
  t.equal(store.listeners.size, 1)
  await here.app.close()
  await there.app.close()
  t.equal(store.listeners.size, 0)
})

t.test('without subscribe, the signal aborts at the next look-up', async t => {
  for (const kind of ['store', 'denylist'] as const) {
    const store = new TestStore('find')
    const { acts, signals } = holding(1)
    const [here, there] = await makeNodes(2, () => kind === 'store' ? { store: store.beside() } : { isRevoked: denylist(store.beside()) }, acts)
    const jar = await startOn(here)
    const signal = await held(signals, copyOf(jar))
    await copyOf(jar, { app: there.app }).get('/logout')
    t.notOk(signal.aborted)
    // Keeps the process alive, because the timer of the look-up does not.
    for (let waited = 0; waited < 200 && !signal.aborted; waited++) await wait(50)
    t.ok(signal.aborted)
    await here.app.close()
  }
})

t.test('the look-ups are repeated while the session lives, and an outage of the store aborts nothing', async t => {
  t.clock.enter()
  const store = new TellingStore('replace', 'find')
  store.away = new Error('down')
  const { acts, signals } = holding(10)
  const { app } = await makeNode({ store }, acts)
  const jar = await startOn({ app } as Node)
  jar.get('/hold').catch(() => undefined)
  await turns()
  const [signal] = signals as [AbortSignal]
  for (let nth = 0; nth < 3; nth++) {
    store.took()
    t.clock.advance(10_000)
    await turns()
    t.same(store.took(), ['get'])
    store.fails.set('get', new Error('down'))
    t.clock.advance(10_000)
    await turns()
    store.fails.clear()
  }
  t.notOk(signal.aborted)
  t.ok(store.subscriptions > 3)
  store.entries.clear()
  t.clock.advance(10_000)
  await turns()
  t.ok(signal.aborted)
  await app.close()
})

t.test('the signal of a session in a cookie aborts when its seal expires, even if the session was in the store before', async t => {
  t.clock.enter()
  for (const options of [{}, { store: new TestStore(), storage: 'overflow' }, { isRevoked: () => false }] as Array<Partial<SessionOptions>>) {
    const { acts, signals } = holding(600)
    const { app } = await makeNode({ idleTimeout: 1000, ...options }, { ...acts, big: request => { request.session.note = 'x'.repeat(5000) }, small: request => { request.session.note = 'x' } })
    const jar = await startOn({ app } as Node, options.store === undefined ? '/start' : '/big')
    copyOf(jar).get('/hold').catch(() => undefined)
    await turns()
    if (options.store !== undefined) {
      await jar.get('/small')
      options.store.get = async () => undefined
    }
    t.clock.advance(600_000)
    await turns()
    t.notOk(signals[0]!.aborted)
    t.clock.advance(600_000)
    await turns()
    t.ok(signals[0]!.aborted)
    await app.close()
  }
})

t.test('a signal is released when its request closes, or its socket after an upgrade', async t => {
  const store = new TestStore()
  let signal: AbortSignal | undefined
  const { app } = await makeNode({ store }, {
    brief: request => { signal = request.server.session.signal(request) },
    upgrade: async (request, reply) => {
      reply.hijack()
      signal = request.server.session.signal(request)
      request.raw.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n')
    }
  })
  const jar = await startOn({ app } as Node)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  await (await fetch(`http://127.0.0.1:${port}/brief`, { headers: { cookie: jar.header(), connection: 'close' } })).text()
  await wait(50)
  await jar.get('/logout')
  t.notOk(signal!.aborted)
  const again = await startOn({ app } as Node)
  const [, socket] = await new Promise<[unknown, NodeJS.WritableStream & { destroy (): void }]>(resolve => {
    httpRequest({ port, path: '/upgrade', headers: { cookie: again.header(), connection: 'upgrade', upgrade: 'test' } })
      .on('upgrade', (response, socket) => { resolve([response, socket]) }).end()
  })
  const held = signal!
  await copyOf(again).get('/logout')
  t.ok(held.aborted)
  socket.destroy()
  await app.close()
})

t.test('signal() for a session that has ended, was not saved, or cannot be loaded', async t => {
  const store = new TestStore()
  const signals: AbortSignal[] = []
  const node = await makeNode({ store }, {
    signal: request => { signals.push(request.server.session.signal(request, { every: 1 })) },
    gone: async (request, reply) => {
      request.session.note = 'mine'
      await node.gates.pass('gone')
      await request.server.session.commit(request, reply)
      signals.push(request.server.session.signal(request))
    },
    wrong: request => { request.server.session.signal(request, { every: 0 }) }
  })
  const jar = await startOn(node)
  const late = copyOf(jar).get('/gone')
  await node.gates.arrival('gone')
  await copyOf(jar).get('/logout')
  node.gates.open('gone')
  await late
  t.ok(signals.at(-1)!.aborted)
  t.equal((await new Jar(node.app).get('/signal')).status, 200)
  await wait(1100)
  t.notOk(signals.at(-1)!.aborted, 'an empty session has not ended')
  t.match(await jar.get('/wrong'), { status: 500, json: { code: 'FST_SESSION_INVALID_OPTION' } })
  store.fails.set('get', new Error('down'))
  t.match(await jar.get('/signal'), { status: 503 })
})

t.test('a session that has ended since it was loaded aborts its signal at once', async t => {
  const store = new TestStore('find')
  const signals: AbortSignal[] = []
  const node = await makeNode({ store, userOf }, {
    late: async request => {
      request.session.get('user')
      await node.gates.pass('late')
      signals.push(request.server.session.signal(request))
      await turns()
    }
  })
  const jar = await startOn(node, '/login')
  const answer = copyOf(jar).get('/late')
  await node.gates.arrival('late')
  await store.delete([...store.entries.keys()][0]!)
  node.gates.open('late')
  await answer
  t.ok(signals[0]!.aborted)
})

t.test('a request that finds its session ended by another process aborts the signals of it', async t => {
  const store = new TestStore('replace', 'find')
  const { acts, signals } = holding()
  const [here, there] = await makeNodes(2, () => ({ store: store.beside(), userOf }), acts)
  const jar = await startOn(here, '/login')
  const signal = await held(signals, copyOf(jar))
  const late = copyOf(jar).get('/late/change')
  await here.gates.arrival('change')
  await copyOf(jar, { app: there.app }).get('/logout')
  t.notOk(signal.aborted)
  here.gates.open('change')
  await late
  t.ok(signal.aborted)
  await here.app.close()
})
