import t from 'tap'
import { denylist } from '../lib/index.js'
import type { RevocationList, SessionInfo, SessionOptions } from '../lib/index.js'
import { Jar } from './fixtures/app.js'
import { copyOf, makeNode, makeNodes, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

const userOf: SessionOptions['userOf'] = data => data.user?.id
const acts: Acts = {
  id: request => ({ id: request.session.info.id }),
  bob: request => { request.session.regenerate(); request.session.user = { id: 'u2', name: 'Bob' } },
  keep: request => { request.session.regenerate(['user']) }
}
const idOf = async (jar: Jar): Promise<string> => (await jar.get('/id')).json.id as string
const makeListed = async (store = new TestStore(), more: Partial<SessionOptions> = {}): Promise<Node & { store: TestStore }> =>
  ({ ...await makeNode({ userOf, isRevoked: denylist(store), ...more }, acts), store })

t.test('endAll() with a denylist ends all sessions of the user except one', async t => {
  for (const more of [{}, { store: new TestStore(), storage: 'overflow' }, { store: new TestStore() }] as Array<Partial<SessionOptions>>) {
    const { app } = await makeListed(undefined, more)
    const jars = await Promise.all(Array.from({ length: 3 }, async () => await startOn({ app } as Node, '/login')))
    const other = await startOn({ app } as Node, '/bob')
    const [own] = jars as [Jar]
    t.ok(Number.isNaN(await app.session.of('u1').endAll({ except: await idOf(own) })))
    t.same(await Promise.all(jars.map(async jar => (await seen(jar)).reason)), [null, 'revoked', 'revoked'])
    const later = await startOn({ app } as Node, '/login')
    t.match((await seen(later)).data, { user: { id: 'u1' } }, 'a login after it')
    await app.session.of('u1').endAll()
    t.same([(await seen(own)).reason, (await seen(later)).reason], ['revoked', 'revoked'])
    t.match((await seen(other)).data, { user: { id: 'u2' } })
  }
})

t.test('a session that was ended stays ended if a later endAll() excepts it', async t => {
  for (const optional of [[], ['replace']] as Array<['replace'] | []>) {
    const { app } = await makeListed(new TestStore(...optional))
    const [one, two] = [await startOn({ app } as Node, '/login'), await startOn({ app } as Node, '/login')]
    const [first, second] = [await idOf(one), await idOf(two)]
    const { endAll } = app.session.of('u1')
    await endAll({ except: first })
    await endAll({ except: second })
    t.same([(await seen(one)).reason, (await seen(two)).reason], ['revoked', 'revoked'])
  }
})

t.test('after calls of endAll() on two nodes, the sessions of both calls have ended', async t => {
  const store = new TestStore('replace')
  const [here, there] = await makeNodes(2, () => ({ userOf, isRevoked: denylist(store.beside()) }), acts)
  for (let round = 0; round < 10; round++) {
    const [one, two, three] = [await startOn(here, '/login'), await startOn(here, '/login'), await startOn(here, '/login')] as [Jar, Jar, Jar]
    await Promise.all([
      here.app.session.of('u1').endAll({ except: await idOf(one) }),
      there.app.session.of('u1').endAll({ except: await idOf(two) })
    ])
    const reasons = await Promise.all([one, two, three].map(async jar => (await seen(jar)).reason))
    t.ok(reasons.filter(reason => reason === null).length <= 1, reasons.join())
    t.equal(reasons[2], 'revoked')
  }
})

t.test('end() adds one session to the list', async t => {
  const { app } = await makeListed()
  const [one, two] = [await startOn({ app } as Node, '/login'), await startOn({ app } as Node, '/login')]
  const id = await idOf(one)
  t.equal(await app.session.of('u1').end(id), true)
  t.equal(await app.session.of('u1').end(id), false)
  t.equal(await app.session.of('u1').end(''), false)
  t.equal(await app.session.of('u1').end('x'.repeat(129)), false)
  t.same([(await seen(one)).reason, (await seen(two)).reason], ['revoked', null])
})

t.test('list() throws an error that names the stores which support it', async t => {
  const { app } = await makeListed()
  await t.rejects(app.session.of('u1').list(), { code: 'FST_SESSION_INVALID_OPTION', message: /redisStore\(\) or postgresStore\(\)/ })
})

t.test('a request that is under way does not keep a session alive after endAll()', async t => {
  for (const count of [1, 2] as const) {
    const store = new TestStore()
    const [here, there] = await makeNodes(count, () => ({ userOf, isRevoked: denylist(store.beside()) }), acts)
    for (const act of ['change', 'touch', 'keep', 'login']) {
      const jar = await startOn(here, '/login')
      const late = copyOf(jar).get(`/late/${act}`)
      await here.gates.arrival(act)
      await there.app.session.of('u1').endAll()
      here.gates.open(act)
      const copy = copyOf(jar)
      copy.store({ headers: { 'set-cookie': (await late).setCookies } })
      t.equal((await seen(copy)).data.user !== undefined, act === 'login', `${act}: only a login is a session of its own`)
    }
  }
})

t.test('a session with a user takes one look-up', async t => {
  const { app, store } = await makeListed(new TestStore('getMany'))
  const jar = await startOn({ app } as Node, '/login')
  store.took()
  await seen(jar)
  t.same(store.took(), ['getMany'])
  const visitor = await startOn({ app } as Node, '/change')
  store.took()
  await seen(visitor)
  t.same(store.took(), ['get'], 'nobody\'s session')
})

t.test('with an invalid mark, or a store that breaks its contract, no session opens', async t => {
  const { app, store } = await makeListed(new TestStore('getMany'))
  const jar = await startOn({ app } as Node, '/login')
  await app.session.of('u1').endAll()
  const [[key]] = [...store.entries].filter(([key]) => key.startsWith('user:')) as [[string, unknown]]
  for (const value of ['null', 'x', '{}', '[]']) {
    await store.set(key, value, 1000)
    t.equal((await seen(jar)).reason, 'revoked', value)
  }
  await app.session.of('u1').endAll()
  t.match((await seen(await startOn({ app } as Node, '/login'))).data, { user: { id: 'u1' } }, 'the next mark can be decoded')
  await app.session.of('u1').endAll()
  for (const wrong of [{}, [], undefined]) {
    store.getMany = async () => wrong as never
    t.equal((await jar.get('/data')).status, 503)
  }
})

t.test('a custom list receives the user, and its errors are store errors', async t => {
  const calls: unknown[][] = []
  const list: RevocationList = {
    check: (_info, _request, _data, user) => { calls.push(['check', user]); return false },
    revoke: () => {},
    revokeUser: (user, mark) => { calls.push(['revokeUser', user, mark.except]) }
  }
  const { app } = await makeNode({ userOf, isRevoked: list, sessionName: 'session' }, acts)
  const jar = await startOn({ app } as Node, '/login')
  await seen(jar)
  await app.session.of('u1').endAll({ except: 'x' })
  t.same(calls, [['check', '["session","u1"]'], ['revokeUser', '["session","u1"]', 'x'], ['revokeUser', '["session","u1"]', 'x']])
  list.revokeUser = async () => { throw new Error('down') }
  await t.rejects(app.session.of('u1').endAll(), { code: 'FST_SESSION_STORE' })
})

t.test('an error of userOf fails the request, when a session is saved and when it is read', async t => {
  let fails = false
  const node = await makeListed(undefined, { userOf: data => { if (fails) throw new Error('no such user'); return data.user?.id } })
  const jar = await startOn(node, '/login')
  fails = true
  t.match(await copyOf(jar).get('/data'), { status: 500 })
  t.match(await new Jar(node.app).get('/login'), { status: 500, setCookies: [] })
  fails = false
  const { info } = await node.app.session.unseal(jar.cookies.get('session')!) as { info: SessionInfo }
  t.ok(info.id)
})

t.test('a mark is set again if another process has changed it meanwhile', async t => {
  const store = new TestStore('replace')
  const { app } = await makeListed(store)
  const jar = await startOn({ app } as Node, '/login')
  await app.session.of('u1').endAll()
  const own = store.replace!
  let refusals = 2
  store.replace = async (...args) => refusals-- > 0 ? false : await own(...args)
  await app.session.of('u1').endAll()
  t.ok(refusals < 0)
  t.equal((await seen(jar)).reason, 'revoked')
  store.replace = async () => false
  await t.rejects(app.session.of('u1').endAll(), { code: 'FST_SESSION_STORE' }, 'but not for ever')
})

t.test('failures of a Keyv are not hidden', async t => {
  const listeners: Array<(error: Error) => void> = []
  let fails = false
  const entries = new TestStore('getMany')
  const keyv = {
    get: async (id: string) => await entries.get(id),
    set: async (id: string, value: string, ttlMs: number) => { await entries.set(id, value, ttlMs) },
    delete: async (id: string) => { await entries.delete(id) },
    getMany: async () => { throw new Error('it would hide its failures') },
    async getManyRaw (ids: string[]): Promise<Array<{ value?: unknown } | undefined>> {
      if (fails) for (const listener of listeners) listener(new Error('down'))
      return (await entries.getMany!(ids)).map(value => fails || value === undefined ? undefined : { value })
    },
    on: (_name: 'error', listener: (error: Error) => void) => { listeners.push(listener) }
  }
  const { app } = await makeNode({ userOf, isRevoked: denylist(keyv) }, acts)
  const jar = await startOn({ app } as Node, '/login')
  t.match((await seen(jar)).data, { user: { id: 'u1' } })
  fails = true
  t.equal((await jar.get('/data')).status, 503, 'a failure is no empty list')
  fails = false
  const id = await idOf(jar)
  await app.session.of('u1').endAll()
  await app.session.of('u1').end(id)
  keyv.getManyRaw = async ids => {
    for (const listener of listeners) listener(new Error('a connection broke'))
    return (await entries.getMany!(ids)).map(value => ({ value }))
  }
  t.equal((await seen(jar)).reason, 'revoked', 'what was found was not hidden')
})
