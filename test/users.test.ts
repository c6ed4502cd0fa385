import t from 'tap'
import { denylist, errors } from '../lib/index.js'
import type { SessionOptions, SessionStore } from '../lib/index.js'
import { Jar, logTo, makeApp } from './fixtures/app.js'
import { ada, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

const userOf: SessionOptions['userOf'] = data => data.user?.id
const bob = { id: 'u2', name: 'Bob' }

const acts: Acts = {
  id: request => ({ id: request.session.info.id }),
  bob: request => { request.session.user = bob },
  nobody: request => { delete request.session.user; request.session.views = 1 },
  keep: request => { request.session.regenerate(['user']) }
}

async function makeUsers (options: Partial<SessionOptions> = {}, store = new TestStore('replace', 'touch', 'find')): Promise<Node & { store: TestStore }> {
  return { ...await makeNode({ store, userOf, ...options }, acts), store }
}

const idOf = async (jar: Jar): Promise<string> => (await jar.get('/id')).json.id as string

t.test('list() returns the sessions of a user, the most recently seen first', async t => {
  t.clock.enter()
  const { app, store } = await makeUsers()
  const first = await startOn({ app } as Node, '/login')
  t.clock.advance(5000)
  const second = await startOn({ app } as Node, '/login')
  await startOn({ app } as Node, '/bob')
  const list = await app.session.of('u1').list()
  t.same(list.map(({ id }) => id), [await idOf(second), await idOf(first)])
  const [newest] = list
  t.same(newest!.data, { user: ada })
  t.equal(newest!.createdAt.getTime(), Date.now())
  t.equal(newest!.lastSeenAt.getTime(), Date.now())
  t.equal(newest!.expiresAt.getTime(), Date.now() + 1_209_600_000)
  t.same((await app.session.of('u2').list()).map(({ data }) => data), [{ user: bob }])
  t.same(await app.session.of('nobody').list(), [])
  t.equal(store.took().filter(method => method === 'find').length, 3)
})

t.test('a session is listed for its present user', async t => {
  const { app } = await makeUsers()
  const of = async (user: string): Promise<number> => (await app.session.of(user).list()).length
  const jar = await startOn({ app } as Node)
  t.same([await of('u1'), await of('u2')], [1, 0], 'without regenerate()')
  await jar.get('/bob')
  t.same([await of('u1'), await of('u2')], [0, 1], 'impersonation')
  const before = await idOf(jar)
  await jar.get('/keep')
  t.not(await idOf(jar), before)
  t.same([await of('u1'), await of('u2')], [0, 1], 'regenerate() takes it along')
  await jar.get('/nobody')
  t.same([await of('u1'), await of('u2')], [0, 0], 'logged out, but for the session')
  await jar.get('/login')
  await jar.get('/clear')
  t.same([await of('u1'), await of('u2')], [0, 0], 'empty')
  const cookie = await app.session.cookie({ user: ada })
  t.equal(await of('u1'), 1, 'sealed outside a request')
  t.ok(cookie)
})

t.test('end() ends only a session of the user', async t => {
  const { app } = await makeUsers()
  const [own, other] = [await startOn({ app } as Node, '/login'), await startOn({ app } as Node, '/bob')]
  const id = await idOf(own)
  t.equal(await app.session.of('u2').end(id), false)
  t.equal(await app.session.of('u1').end('unknown'), false)
  t.equal(await app.session.of('u1').end(undefined as never), false)
  t.equal(await app.session.of('u1').end(id), true)
  t.equal(await app.session.of('u1').end(id), false)
  t.match(await seen(own), { data: {}, reason: 'not-stored' })
  t.match((await seen(other)).data, { user: bob })
})

t.test('endAll() ends all sessions of the user except one', async t => {
  const { app, store } = await makeUsers()
  const jars = await Promise.all(Array.from({ length: 5 }, async () => await startOn({ app } as Node, '/login')))
  const other = await startOn({ app } as Node, '/bob')
  const [own] = jars as [Jar]
  store.took()
  t.equal(await app.session.of('u1').endAll({ except: await idOf(own) }), 4)
  t.same(store.took().filter(method => method !== 'get').sort(), ['delete', 'delete', 'delete', 'delete', 'find', 'find'])
  t.same(await Promise.all(jars.map(async jar => (await seen(jar)).reason)), [null, 'not-stored', 'not-stored', 'not-stored', 'not-stored'])
  t.equal(await app.session.of('u1').endAll(), 1)
  t.equal((await seen(own)).reason, 'not-stored')
  t.match((await seen(other)).data, { user: bob })
  t.equal(await app.session.of('u1').endAll(), 0)
})

t.test('a request that is under way does not bring back a session that was ended', async t => {
  const node = await makeUsers()
  for (const act of ['change', 'touch', 'keep']) {
    const jar = await startOn(node, '/login')
    const late = copyOf(jar).get(`/late/${act}`)
    await node.gates.arrival(act)
    t.equal(await node.app.session.of('u1').endAll(), 1)
    node.gates.open(act)
    const copy = new Jar(node.app)
    copy.store({ headers: { 'set-cookie': (await late).setCookies } })
    t.equal((await seen(copy)).data.user, undefined, act)
    t.same(await node.app.session.of('u1').list(), [], act)
  }
})

t.test('endAll() rejects if the store fails, and ends the rest when it is called again', async t => {
  const { app, store } = await makeUsers()
  for (let nth = 0; nth < 250; nth++) await startOn({ app } as Node, '/login')
  let calls = 0
  store.before.set('delete', () => { if (++calls === 120) throw new Error('the connection was lost') })
  await t.rejects(app.session.of('u1').endAll(), { code: 'FST_SESSION_STORE' })
  store.before.clear()
  const left = (await app.session.of('u1').list()).length
  t.ok(left < 250 && left > 0, `${left}`)
  t.equal(await app.session.of('u1').endAll(), left)
  store.fails.set('find', new Error('down'))
  const { list, end, endAll } = app.session.of('u1')
  for (const call of [list, async () => await end('x'), endAll] as Array<() => Promise<unknown>>) {
    await t.rejects(call(), { code: 'FST_SESSION_STORE', statusCode: 503 })
  }
})

t.test('a read within ten minutes writes nothing, and a later one updates lastSeenAt', async t => {
  t.clock.enter()
  const { app, store } = await makeUsers()
  const jar = await startOn({ app } as Node, '/login')
  const { expiresAt } = (await app.session.of('u1').list())[0]!
  t.clock.advance(590_000)
  store.took()
  await seen(jar)
  t.same(store.took(), ['get'])
  t.clock.advance(20_000)
  const { setCookies } = await jar.get('/data')
  t.same(setCookies, [])
  t.same(store.took(), ['get', 'replace'])
  const [noted] = await app.session.of('u1').list()
  t.equal(noted!.lastSeenAt.getTime(), Date.now())
  t.ok(noted!.expiresAt > expiresAt)
  t.clock.advance(300_000)
  store.took()
  await seen(jar)
  t.same(store.took(), ['get'])
})

t.test('a session that was saved before userOf was set is listed after its next use', async t => {
  const store = new TestStore('replace', 'find')
  const before = await makeNode({ store }, acts)
  const jar = await startOn(before, '/login')
  const { app } = await makeUsers({}, store)
  t.same(await app.session.of('u1').list(), [])
  const moved = copyOf(jar, { app })
  await moved.get('/data')
  t.equal((await app.session.of('u1').list()).length, 1)
})

t.test('sessions of different names that share a store are listed separately', async t => {
  const store = new TestStore('find')
  const { app } = await makeUsers({}, store)
  const admin = await makeApp({ store, userOf, sessionName: 'session' }, {})
  t.ok(admin)
  const other = await makeApp({ store, userOf, sessionName: 'staff' }, {
    '/login': request => { (request as unknown as { staff: { user: unknown } }).staff.user = ada }
  })
  await startOn({ app } as Node, '/login')
  await new Jar(other).get('/login')
  const staff = (other as unknown as { staff: typeof app.session }).staff
  t.equal((await app.session.of('u1').list()).length, 1)
  t.equal((await staff.of('u1').list()).length, 1)
  t.equal(await staff.of('u1').endAll(), 1)
  t.equal((await app.session.of('u1').list()).length, 1)
  t.equal(store.entries.size, 1)
})

t.test('any string is a user, and any other value is an error with a code', async t => {
  const users = ['', '__proto__', 'constructor', 'a:b', 'a\0b', '👩‍💻', 'x'.repeat(10_000), ' u1']
  const store = new TestStore('replace', 'find')
  const { app } = await makeUsers({}, store)
  for (const id of users) await app.session.cookie({ user: { id, name: 'x' } })
  for (const id of users) t.same((await app.session.of(id).list()).map(({ data }) => data.user!.id), [id])
  for (const wrong of [undefined, null, 1, {}, ['u1']]) {
    t.throws(() => app.session.of(wrong as never), { code: 'FST_SESSION_INVALID_OPTION', message: /"user" must be a string/ })
  }
  for (const wrong of ['an id', 1, { excpet: 'x' }, { except: 1 }]) {
    await t.rejects(app.session.of('u1').endAll(wrong as never), errors.FST_SESSION_INVALID_OPTION)
  }
})

t.test('an error of userOf fails the request, and nothing is saved', async t => {
  const failing: Array<[SessionOptions['userOf'], object]> = [
    [() => { throw new TypeError('no such user') }, { name: 'TypeError' }],
    [() => null as never, { code: 'FST_SESSION_INVALID_OPTION', message: /it returned null/ }],
    [() => 42 as never, { message: /a value of the type number/ }],
    [(async () => 'u1') as never, { message: /a value of the type object/ }],
    [(async () => { throw new Error('ends the process unless it is caught') }) as never, { message: /a value of the type object/ }]
  ]
  for (const [userOf, expected] of failing) {
    const store = new TestStore('find')
    const thrown: unknown[] = []
    const node = await makeNode({ store, userOf }, acts, app => { app.addHook('onError', async (_request, _reply, error) => { thrown.push(error) }) })
    t.match(await new Jar(node.app).get('/login'), { status: 500, setCookies: [] })
    t.match(thrown, [expected])
    t.equal(store.entries.size, 0)
  }
})

t.test('userOf receives a copy of the data', async t => {
  const { app } = await makeUsers({ userOf: data => { const { id } = data.user!; delete data.user; return id } })
  const jar = await startOn({ app } as Node, '/login')
  t.match((await seen(jar)).data, { user: ada })
  t.equal((await app.session.of('u1').list()).length, 1)
})

t.test('userOf and maxSessions throw at boot if nothing can find the sessions of a user', async t => {
  const find = new TestStore('find')
  const wrong: Array<[Partial<SessionOptions>, RegExp]> = [
    [{ userOf }, /nothing here can find the sessions.*redisStore.*denylist/],
    [{ userOf, store: new TestStore() }, /nothing here can find/],
    [{ userOf, isRevoked: () => false }, /nothing here can find/],
    [{ userOf, store: find, storage: 'overflow' }, /does not know of all sessions/],
    [{ userOf: 'id' as never, store: find }, /a function/],
    [{ maxSessions: 1, store: find }, /needs userOf/],
    [{ userOf, maxSessions: 1, isRevoked: denylist(new TestStore()) }, /needs a store that can find/],
    [{ userOf, maxSessions: 0, store: find }, /a whole number from 1/],
    [{ userOf, maxSessions: 1.5, store: find }, /a whole number from 1/]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(makeApp(options), { code: 'FST_SESSION_INVALID_OPTION', message })
  }
  const app = await makeApp({ store: find })
  t.throws(() => app.session.of('u1'), { code: 'FST_SESSION_INVALID_OPTION', message: /"userOf".*it is not set/ })
})

t.test('an entry that does not match the schema is not listed, but ended with the others', async t => {
  const schema = {
    '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => 'user' in (value as object) ? { value } : { issues: [{}] } }
  }
  const store = new TestStore('find')
  const { app } = await makeUsers({ schema, userOf: () => 'u1' }, store)
  await app.session.cookie({ user: ada })
  await app.session.cookie({ views: 1 })
  await store.set('mark', '{"v":1,"mark":"emptied"}', 1000, 'u1')
  t.same((await app.session.of('u1').list()).map(({ data }) => data), [{ user: ada }])
  t.equal(await app.session.of('u1').endAll(), 2)
})

t.test('a store that breaks the contract of find causes a store error', async t => {
  const store = new TestStore('find')
  const { app } = await makeUsers({}, store)
  const jar = await startOn({ app } as Node, '/login')
  store.find = async () => ({}) as never
  await t.rejects(app.session.of('u1').list(), { code: 'FST_SESSION_STORE' })
  const silent: SessionStore = { get: async id => await store.get(id), set: async (...args) => { await store.set(...args) }, delete: async () => {}, find: async () => [] }
  const lines: Array<Record<string, unknown>> = []
  const other = await makeApp({ store: silent, userOf }, { '/logout': request => { request.session.destroy() } }, logTo(lines, 'error'))
  t.equal((await copyOf(jar, { app: other }).get('/logout')).status, 503)
  t.match(lines, [{ err: { code: 'FST_SESSION_STORE', stack: /delete of a store with find must return whether there was an entry/ } }])
})

t.test('a store that lists sessions needs no denylist, and may have one', async t => {
  const list = new TestStore('getMany')
  const { app } = await makeUsers({ isRevoked: denylist(list) })
  const jar = await startOn({ app } as Node, '/login')
  list.took()
  await seen(jar)
  t.same(list.took(), ['get'], 'it is not asked about the user')
  t.equal(await app.session.of('u1').endAll(), 1)
  t.equal((await seen(jar)).reason, 'not-stored')
})

t.test('a store may return numbers from delete, and entries of other apps from find', async t => {
  const store = new TestStore('find')
  const own = store.delete.bind(store)
  store.delete = async id => Number(await own(id))
  const { app } = await makeUsers({}, store)
  const jar = await startOn({ app } as Node, '/login')
  await store.set('other', '{"v":1,"c":1000,"d":{"views":1}}', 10_000, 'u1')
  const list = await app.session.of('u1').list()
  t.same(list.map(({ lastSeenAt }) => lastSeenAt.getTime()).sort()[0], 1000, 'its creation is the last time that it was seen')
  t.equal(await app.session.of('u1').endAll(), 2)
  t.equal(await app.session.of('u1').end('other'), false)
  t.equal((await seen(jar)).reason, 'not-stored')
})

t.test('endAll() resolves even if find still returns deleted entries', async t => {
  const store = new TestStore('find')
  const { app } = await makeUsers({}, store)
  await startOn({ app } as Node, '/login')
  const stale = await store.find!('u1')
  store.find = async () => stale
  t.equal(await app.session.of('u1').endAll(), 1)
  t.equal(await app.session.of('u1').endAll(), 0)
})
