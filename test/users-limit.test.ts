import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { ada, copyOf, makeNode, makeNodes, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { Jar } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

const userOf: SessionOptions['userOf'] = data => data.user?.id
const acts: Acts = {
  bob: request => { request.session.user = { id: 'u2', name: 'Bob' } },
  keep: request => { request.session.regenerate(['user']) },
  again: request => { request.session.destroy(); request.session.user = ada },
  visit: request => { request.session.note = 'a visitor' }
}
const methods = ['replace', 'touch', 'find'] as const

async function alive (jars: readonly Jar[]): Promise<boolean[]> {
  return await Promise.all(jars.map(async jar => (await seen(jar)).data.user !== undefined))
}

t.test('a login beyond maxSessions ends the least recently used session of the user', async t => {
  t.clock.enter()
  const { app } = await makeNode({ store: new TestStore(...methods), userOf, maxSessions: 2 }, acts)
  const jars: Jar[] = []
  const login = async (): Promise<void> => { t.clock.advance(1_000_000); jars.push(await startOn({ app } as Node, '/login')) }
  await login()
  await login()
  t.clock.advance(1_000_000)
  await seen(jars[0]!)
  const other = await startOn({ app } as Node, '/bob')
  await login()
  t.same(await alive(jars), [true, false, true])
  await login()
  t.same(await alive(jars), [true, false, false, true], 'the first was just used again')
  t.same(await alive([other]), [true], 'another user')
})

t.test('a lowered limit ends sessions at the next login, and none before', async t => {
  t.clock.enter()
  const store = new TestStore(...methods)
  const { app } = await makeNode({ store, userOf }, acts)
  const jars: Jar[] = []
  for (let nth = 0; nth < 5; nth++) {
    t.clock.advance(60_000)
    jars.push(await startOn({ app } as Node, '/login'))
  }
  const { app: limited } = await makeNode({ store, userOf, maxSessions: 2 }, acts)
  const [first] = jars.map(jar => copyOf(jar, { app: limited })) as [Jar]
  await first.get('/change')
  await first.get('/keep')
  t.equal((await app.session.of('u1').list()).length, 5, 'a change and a regenerate end nobody')
  await first.get('/login')
  t.equal((await app.session.of('u1').list()).length, 5, 'nor does a new login in the same browser')
  await startOn({ app: limited } as Node, '/login')
  t.equal((await app.session.of('u1').list()).length, 2)
  t.same(await alive([first]), [true], 'it was used last')
})

t.test('a session that gains or changes its user without regenerate() counts from then on', async t => {
  t.clock.enter()
  const { app } = await makeNode({ store: new TestStore(...methods), userOf, maxSessions: 1 }, acts)
  const first = await startOn({ app } as Node, '/login')
  const visitor = await startOn({ app } as Node, '/visit')
  t.same(await alive([first]), [true])
  t.clock.advance(60_000)
  await visitor.get('/start')
  t.same(await alive([first, visitor]), [false, true])
  await visitor.get('/bob')
  const second = await startOn({ app } as Node, '/login')
  t.same(await alive([visitor, second]), [true, true])
  await app.session.cookie({ user: { id: 'u1', name: 'Ada' } })
  t.clock.advance(60_000)
  await app.session.cookie({ user: { id: 'u2', name: 'Bob' } })
  t.same(await alive([visitor]), [false], 'a session that is sealed outside a request counts too')
})

t.test('if logins overlap, the last one keeps its session', async t => {
  for (const count of [1, 2] as const) {
    const store = new TestStore(...methods)
    const nodes = await makeNodes(count, () => ({ store: store.beside(), userOf, maxSessions: 1 }), acts)
    for (let round = 0; round < 10; round++) {
      const jars = Array.from({ length: 6 }, (_, nth) => new Jar(nodes[nth % 2]!.app))
      await Promise.all(jars.map(async jar => await jar.get('/login')))
      t.equal((await alive(jars)).filter(Boolean).length, 1)
    }
  }
})

t.test('of logins that overlap in one browser, the last lives', async t => {
  const store = new TestStore(...methods)
  const nodes = await makeNodes(2, () => ({ store: store.beside(), userOf, maxSessions: 1 }), acts)
  const jar = await startOn(nodes[0], '/login')
  for (const path of ['/login', '/again', '/keep']) {
    const jars = Array.from({ length: 6 }, (_, nth) => copyOf(jar, nodes[nth % 2]!))
    await Promise.all(jars.map(async jar => await jar.get(path)))
    const lives = await alive(jars)
    t.equal(lives.filter(Boolean).length, 1, path)
    jar.cookies.clear()
    for (const [name, value] of jars[lives.indexOf(true)]!.cookies) jar.cookies.set(name, value)
  }
})

t.test('a session that is changed during a login is no later login', async t => {
  t.clock.enter()
  const store = new TestStore(...methods)
  const { app } = await makeNode({ store, userOf, maxSessions: 1 }, acts)
  const first = await startOn({ app } as Node, '/login')
  t.clock.advance(60_000)
  store.before.set('find', async () => {
    store.before.clear()
    await first.get('/change')
  })
  const second = await startOn({ app } as Node, '/login')
  t.same(await alive([first, second]), [false, true])
})

t.test('of logins without regenerate() that overlap, the last lives', async t => {
  t.clock.enter()
  const { app } = await makeNode({ store: new TestStore(...methods), userOf, maxSessions: 1 }, acts)
  const jars = await Promise.all(Array.from({ length: 6 }, async () => await startOn({ app } as Node, '/visit')))
  t.clock.advance(60_000)
  await Promise.all(jars.map(async jar => await jar.get('/start')))
  t.equal((await alive(jars)).filter(Boolean).length, 1)
})

t.test('a login fails and leaves no session if the other sessions cannot be found', async t => {
  const store = new TestStore(...methods)
  const node = await makeNode({ store, userOf, maxSessions: 1 }, acts)
  store.fails.set('find', new Error('down'))
  t.match(await new Jar(node.app).get('/login'), { status: 503, setCookies: [] })
  store.fails.clear()
  await new Promise(resolve => { setImmediate(resolve) })
  t.same(await node.app.session.of('u1').list(), [])
})

t.test('a login takes at most four store calls, and a change three', async t => {
  const store = new TestStore(...methods)
  const { app } = await makeNode({ store, userOf, maxSessions: 2 }, acts)
  const visitor = await startOn({ app } as Node, '/visit')
  store.took()
  await visitor.get('/login')
  t.same(store.took(), ['get', 'set', 'delete', 'find'])
  await visitor.get('/change')
  t.same(store.took(), ['get', 'replace'])
  await visitor.get('/data')
  t.same(store.took(), ['get'])
})

t.test('a login that another login has ended ends no session', async t => {
  const store = new TestStore(...methods)
  const { app } = await makeNode({ store, userOf, maxSessions: 1 }, acts)
  const jar = await startOn({ app } as Node, '/login')
  const [kept] = store.entries.keys()
  store.before.set('find', () => { for (const id of store.entries.keys()) if (id !== kept) store.entries.delete(id) })
  await startOn({ app } as Node, '/login')
  t.same(await alive([jar]), [true])
})

t.test('a visitor who logs in without regenerate() is not logged in if the other sessions cannot be found', async t => {
  const store = new TestStore(...methods)
  const { app } = await makeNode({ store, userOf, maxSessions: 1 }, acts)
  const first = await startOn({ app } as Node, '/login')
  const visitor = await startOn({ app } as Node, '/visit')
  store.fails.set('find', new Error('down'))
  t.equal((await visitor.get('/start')).status, 503)
  store.fails.clear()
  t.same(await alive([first, visitor]), [true, false])
})
