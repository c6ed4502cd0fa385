import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { merge } from '../lib/store/merge.js'
import { Jar, logTo, makeApp, read } from './fixtures/app.js'
import { Gates } from './fixtures/gates.js'
import { TestStore } from './fixtures/stores.js'

// Two concurrent requests of one session. Neither loses the other's changes, within one process, or across processes if the
// store can replace. A session that was ended meanwhile stays ended.

type Bag = Record<string, unknown>
const bag = (request: FastifyRequest): Bag => request.session as unknown as Bag

interface Node { app: FastifyInstance, gates: Gates, lines: Array<Record<string, unknown>> }

async function makeNode (store: TestStore): Promise<Node> {
  const gates = new Gates()
  const lines: Array<Record<string, unknown>> = []
  const act = (name: string): ((request: FastifyRequest) => Promise<void>) => async request => {
    const change = new URLSearchParams(request.url.split('?')[1]).get(name)!
    const session = bag(request)
    await gates.pass(change)
    if (change === 'destroy') request.session.destroy()
    else if (change === 'regenerate') request.session.regenerate(['a' as 'note'])
    else if (change.startsWith('-')) Reflect.deleteProperty(session, change.slice(1))
    else session[change] = ((session[change] as number | undefined) ?? 0) + 1
  }
  const app = await makeApp({ store }, {
    '/start': request => { bag(request).a = 1; bag(request).b = 1 },
    '/do': act('change'),
    '/read': read,
    '/data': request => request.session.data()
  }, logTo(lines, 'warn'))
  return { app, gates, lines }
}

/** Two requests of the same session; the first one is saved while the second is in its handler. */
async function overlap (nodes: [Node, Node], store: TestStore, changes: [string, string]): Promise<{ jars: [Jar, Jar], data: unknown[], setCookies: string[] }> {
  const start = new Jar(nodes[0].app)
  await start.get('/start')
  const jars = nodes.map(({ app }) => {
    const jar = new Jar(app)
    for (const [name, value] of start.cookies) jar.cookies.set(name, value)
    return jar
  }) as [Jar, Jar]
  const answers = jars.map((jar, at) => jar.get(`/do?change=${changes[at]!}`))
  await Promise.all(changes.map((change, at) => nodes[at]!.gates.arrival(change)))
  nodes[0].gates.open(changes[0])
  await answers[0]
  nodes[1].gates.open(changes[1])
  const second = await answers[1]!
  t.equal(second.status, 200)
  return { jars, data: store.values, setCookies: second.setCookies }
}

const topologies: Array<[title: string, store: () => TestStore, processes: 1 | 2]> = [
  ['one process, a plain store', () => new TestStore(), 1],
  ['one process, a store that can touch', () => new TestStore('touch'), 1],
  ['one process, a store that can replace', () => new TestStore('replace'), 1],
  ['two processes, a store that can replace', () => new TestStore('touch', 'replace'), 2]
]
for (const [title, makeStore, processes] of topologies) {
  t.test(`${title}: no change is lost`, async t => {
    const run = async (changes: [string, string]): Promise<Awaited<ReturnType<typeof overlap>> & { nodes: [Node, Node] }> => {
      const store = makeStore()
      const first = await makeNode(store)
      const nodes: [Node, Node] = [first, processes === 1 ? first : await makeNode(store.beside())]
      return { nodes, ...await overlap(nodes, store, changes) }
    }
    t.same((await run(['c', 'd'])).data, [{ a: 1, b: 1, c: 1, d: 1 }])
    t.same((await run(['a', 'b'])).data, [{ a: 2, b: 2 }])
    t.same((await run(['-a', 'b'])).data, [{ b: 2 }])
    t.same((await run(['a', '-b'])).data, [{ a: 2 }])

    const ended = await run(['destroy', 'c'])
    t.same(ended.data, [], 'an ended session does not come back')
    t.same(ended.setCookies, [], 'its late request leaves the cookie alone, which may be a new one')
    t.match(ended.nodes[1].lines, [{ msg: /another request ended the session/, sessionName: 'session' }])

    const moved = await run(['regenerate', 'c'])
    t.same(moved.data, [{ a: 1 }], 'a request that began before a login does not undo it')
    t.same((await moved.jars[0].get('/data')).json, { a: 1 })

    const both = await run(['c', 'destroy'])
    t.same(both.data, [])
  })
}

t.test('two processes and a plain store: changes are merged unless their writes overlap', async t => {
  const store = new TestStore()
  const nodes: [Node, Node] = [await makeNode(store), await makeNode(store.beside())]
  t.same((await overlap(nodes, store, ['c', 'd'])).data, [{ a: 1, b: 1, c: 1, d: 1 }])
})

t.test('two apps of one process that share a store coordinate their writes', async t => {
  const store = new TestStore()
  const nodes: [Node, Node] = [await makeNode(store), await makeNode(store)]
  t.same((await overlap(nodes, store, ['c', 'd'])).data, [{ a: 1, b: 1, c: 1, d: 1 }])
})

t.test('neither a second save nor a save after a failure brings back an ended session', async t => {
  for (const fails of [false, true]) {
    const store = new TestStore()
    const lines: Array<Record<string, unknown>> = []
    const app = await makeApp({ store }, {
      '/start': request => { bag(request).a = 1 },
      '/end': request => { request.session.destroy() },
      '/late': async (request, reply) => {
        await new Jar(app).get('/end', { cookie: request.headers.cookie! })
        bag(request).b = 1
        if (fails) store.fails.set('get', new Error('down'))
        await app.session.commit(request, reply).catch(() => {})
        store.fails.clear()
        bag(request).b = 2
        await app.session.commit(request, reply)
        bag(request).b = 3
      }
    }, logTo(lines, 'warn'))
    const jar = new Jar(app)
    await jar.get('/start')
    const { status, setCookies } = await jar.get('/late')
    t.same([status, setCookies, store.values], [200, [], []])
    t.match(lines, { length: 1 }, 'it is logged once')
  }
})

t.test('a read that renews its session does not bring back one that another request has moved or ended', async t => {
  for (const store of [new TestStore(), new TestStore('touch')]) {
    const gates = new Gates()
    const app = await makeApp({ store }, {
      '/start': request => { bag(request).a = 1 },
      '/renew': async request => { request.session.touch(); await gates.pass('renew') },
      '/login': request => { request.session.regenerate(['a' as 'note']) }
    })
    const jar = new Jar(app)
    await jar.get('/start')
    const cookie = jar.header()
    const renewing = new Jar(app).get('/renew', { cookie })
    await gates.arrival('renew')
    await jar.get('/login')
    gates.open('renew')
    t.same((await renewing).setCookies, [], 'the old id would replace the new one')
    t.same(store.values, [{ a: 1 }])
  }
})

t.test('a session that was ended meanwhile does not continue under a new id, but a login still succeeds', async t => {
  const store = new TestStore()
  const gates = new Gates()
  const app = await makeApp({ store }, {
    '/start': request => { bag(request).a = ((bag(request).a as number | undefined) ?? 0) + 1 },
    '/keep': async request => { await gates.pass('keep'); request.session.regenerate(['a' as 'note']) },
    '/login': async request => { await gates.pass('login'); request.session.regenerate(); bag(request).b = 1 },
    '/end': request => { request.session.destroy() }
  })
  for (const [how, left] of [['keep', []], ['login', [{ b: 1 }]]] as const) {
    const jar = new Jar(app)
    await jar.get('/start')
    const cookie = { cookie: jar.header() }
    const late = new Jar(app).get(`/${how}`, cookie)
    await gates.arrival(how)
    await jar.get('/end')
    gates.open(how)
    t.equal((await late).setCookies.length, left.length)
    t.same(store.values, left, how)
  }
  const jar = new Jar(app)
  await jar.get('/start')
  const changing = await makeApp({ store }, {
    '/keep': async request => {
      await new Jar(app).get('/start', { cookie: request.headers.cookie! })
      request.session.regenerate(['a' as 'note'])
    }
  })
  t.equal((await new Jar(changing).get('/keep', { cookie: jar.header() })).setCookies.length, 1, 'one that was only changed continues')
})

t.test('a longer timeout that another request has set is kept', async t => {
  const store = new TestStore()
  const gates = new Gates()
  const app = await makeApp({ store, idleTimeout: 100 }, {
    '/start': request => { bag(request).a = 1 },
    '/change': async request => { bag(request).b = 1; await gates.pass('change') },
    '/remember': request => { request.session.persist(5000) }
  })
  const jar = new Jar(app)
  await jar.get('/start')
  const changing = new Jar(app).get('/change', { cookie: jar.header() })
  await gates.arrival('change')
  await jar.get('/remember')
  gates.open('change')
  await changing
  t.ok([...store.entries.values()][0]!.expiresAt - Date.now() > 4_900_000)
  t.same(store.values, [{ a: 1, b: 1 }])
})

t.test('writes of one session run one after another, even with a slow store', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, {
    '/start': request => { bag(request).n = 0 },
    '/add/:key': request => { bag(request)[(request.params as { key: string }).key] = 1 },
    '/data': request => request.session.data()
  })
  const jar = new Jar(app)
  await jar.get('/start')
  let delay = 60
  store.before.set('set', async () => await wait(delay -= 5))
  const keys = Array.from({ length: 10 }, (_, nth) => `key${nth}`)
  await Promise.all(keys.map(async key => await new Jar(app).get(`/add/${key}`, { cookie: jar.header() })))
  store.before.clear()
  t.same((await jar.get('/data')).json, { n: 0, ...Object.fromEntries(keys.map(key => [key, 1])) })
})

t.test('a change that others keep overtaking fails with an error in the end and is not lost silently', async t => {
  const store = new TestStore('replace')
  const app = await makeApp({ store, storeTimeout: 0.1 }, { '/start': request => { bag(request).n = 0 }, '/add': request => { bag(request).n = 1 } })
  const jar = new Jar(app)
  await jar.get('/start')
  store.replace = async () => { store.calls.push('replace'); return false }
  store.took()
  const { status, json, setCookies } = await jar.get('/add')
  t.same([status, json.code, setCookies], [503, 'FST_SESSION_STORE', []])
  t.ok(store.took().filter(call => call === 'replace').length > 3)
})

t.test('commit() shows what others have changed, and the end of the request saves on top of it', async t => {
  const store = new TestStore()
  const gates = new Gates()
  const app = await makeApp({ store }, {
    '/start': request => { bag(request).a = [1] },
    '/long': async (request, reply) => {
      const session = bag(request)
      await gates.pass('long')
      session.mine = 1
      await app.session.commit(request, reply)
      const seen = request.session.data()
      session.later = 1
      return seen
    },
    '/other': request => { bag(request).theirs = 1 }
  })
  const jar = new Jar(app)
  await jar.get('/start')
  const long = jar.get('/long')
  await gates.arrival('long')
  await new Jar(app).get('/other', { cookie: jar.header() })
  gates.open('long')
  t.same((await long).json, { a: [1], theirs: 1, mine: 1 })
  t.same(store.values, [{ a: [1], theirs: 1, mine: 1, later: 1 }])
})

t.test('sessions are merged by key: our changes win, and everything else is as the other request left it', async t => {
  const cases: Array<[base: string, ours: string, theirs: string, merged: string]> = [
    ['{"a":1}', '{"a":1}', '{"a":2}', '{"a":2}'],
    ['{"a":1}', '{"a":3}', '{"a":2}', '{"a":3}'],
    ['{"a":1}', '{}', '{"a":2,"b":1}', '{"b":1}'],
    ['{"a":1}', '{"a":1,"b":1}', '{}', '{"b":1}'],
    ['{}', '{"__proto__":1,"toString":2}', '{"constructor":3}', '{"constructor":3,"__proto__":1,"toString":2}'],
    ['{"__proto__":{"a":1}}', '{}', '{"__proto__":{"a":1},"b":1}', '{"b":1}'],
    ['{"o":{"x":1,"y":1}}', '{"o":{"x":2,"y":1}}', '{"o":{"x":1,"y":2}}', '{"o":{"x":2,"y":1}}']
  ]
  for (const [base, ours, theirs, merged] of cases) t.equal(merge(base, ours, theirs), merged)
})
