import { inspect } from 'node:util'
import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionInfo, SessionOptions } from '../lib/index.js'
import { decodeEntry, EMPTIED, encodeEntry, ENDED } from '../lib/store/entry.js'
import { Jar, makeApp, read } from './fixtures/app.js'
import { Gates } from './fixtures/gates.js'
import { copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

t.test('an entry is read as it was written, even if the store has reformatted its JSON', t => {
  const entries = [
    { createdAt: 1, idle: undefined, text: '{}' }, { createdAt: 1.9e12, idle: 50, text: '{"a":[1,{"b":"}"}]}' },
    { createdAt: 0, idle: false as const, text: '{"d":{"c":1},"v":2,"__proto__":3}' }, { createdAt: 5, idle: 0.5, text: '{"ü":"\\u2028"}' }
  ]
  for (const entry of entries) {
    const raw = encodeEntry(entry)
    t.same(decodeEntry(raw), { ...entry, data: JSON.parse(entry.text) as object }, raw)
    const { d, c, ...rest } = JSON.parse(raw) as Record<string, unknown>
    t.match(decodeEntry(JSON.stringify({ d, ...rest, c }, undefined, 1)), { createdAt: entry.createdAt, idle: entry.idle }, 'in another order')
  }
  t.equal(decodeEntry(ENDED), 'ended')
  t.equal(decodeEntry(JSON.stringify(JSON.parse(EMPTIED), undefined, 2)), 'emptied')
  for (const wrong of ['', 'null', '[]', '1', '{"d":{}}', '{"v":2,"c":1,"d":{}}', '{"v":1,"c":1,"d":[1]}', '{"v":1,"c":1,"d":{}', '{"v":1,"mark":"x"}', '{"v":1,"c":"1","d":{}}']) {
    t.equal(decodeEntry(wrong), 'invalid', wrong)
  }
  t.end()
})

t.test('an entry whose data has the name of a session method as a key is invalid', async t => {
  const store = new TestStore()
  const app = await makeApp({ store }, { '/start': request => { request.session.views = 1 }, '/read': read })
  const jar = new Jar(app)
  await jar.get('/start')
  for (const entry of store.entries.values()) entry.value = encodeEntry({ createdAt: 1, idle: undefined, text: '{"destroy":1}' })
  t.equal((await jar.get('/read')).json.reason, 'invalid')
})

t.test('regenerate() keeps nothing of a session that isRevoked has rejected meanwhile, with any kind of list', async t => {
  class List {
    readonly revoked = new Set<string>()
    check = ({ id }: SessionInfo): boolean => this.revoked.has(id)
    revoke = ({ id }: SessionInfo): void => { this.revoked.add(id) }
  }
  const list = new List()
  const kinds: Array<SessionOptions['isRevoked']> = [list, list.check, { check: list.check, revoke: list.revoke }]
  for (const isRevoked of kinds) {
    const node = await makeNode({ isRevoked }, { keep: request => { request.session.regenerate(['user']); request.session.note = 'own' } })
    const [alive, ended] = [await startOn(node), await startOn(node)]
    await alive.get('/keep')
    t.same((await seen(alive)).data, { user: { id: 'u1', name: 'Ada' }, note: 'own' })
    const late = copyOf(ended).get('/late/keep')
    await node.gates.arrival('keep')
    const { info } = await node.app.session.unseal(ended.cookies.get('session')!) as { info: SessionInfo }
    list.revoke(info)
    node.gates.open('keep')
    const jar = new Jar(node.app)
    jar.store({ headers: { 'set-cookie': (await late).setCookies } })
    t.same((await seen(jar)).data, { note: 'own' })
  }
})

t.test('revoking a session also ends the one that regenerate() has just moved its data to', async t => {
  const store = new TestStore()
  const list = denylist(store)
  const node = await makeNode({ isRevoked: list }, { keep: request => { request.session.regenerate(['user']) } })
  const jar = await startOn(node)
  const { info } = await node.app.session.unseal(jar.cookies.get('session')!) as { info: SessionInfo }
  await jar.get('/keep')
  t.ok((await seen(jar)).data.user)
  await list.revoke(info)
  t.equal((await seen(jar)).reason, 'revoked')
})

t.test('a large session keeps its entry until it expires if the smaller one cannot be saved', async t => {
  for (const optional of [[], ['touch'], ['replace']] as Array<Array<'touch' | 'replace'>>) {
    for (const fails of ['before', 'after'] as const) {
      const store = new TestStore(...optional)
      const write = optional.includes('replace') ? 'replace' : 'set'
      const app = await makeApp({ store, storage: 'overflow', idleTimeout: 1000 }, {
        '/big': request => { request.session.note = 'x'.repeat(5000); request.session.views = 1 },
        '/small': request => { delete request.session.note },
        '/read': read
      })
      const jar = new Jar(app)
      await jar.get('/big')
      const own = store[write]!.bind(store) as (...args: unknown[]) => Promise<unknown>
      ;(store as unknown as Record<string, unknown>)[write] = async (...args: unknown[]) => {
        delete (store as unknown as Record<string, unknown>)[write]
        ;(store as unknown as Record<string, unknown>)[write] = own
        if (fails === 'after') await own(...args)
        throw new Error('the connection was lost')
      }
      t.equal((await jar.get('/small')).status, 503)
      for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
      const { expiresAt } = [...store.entries.values()][0]!
      t.ok(expiresAt > Date.now() + 900_000, `${optional.join()} ${fails}`)
      t.equal((await jar.get('/read')).json.views, 1)
    }
  }
})

t.test('printing a session that could not be loaded shows that it could not', async t => {
  const store = new TestStore()
  const printed: string[] = []
  const app = await makeApp({ store }, { '/start': request => { request.session.views = 1 }, '/print': request => { printed.push(inspect(request.session)) } })
  const jar = new Jar(app)
  await jar.get('/start')
  store.fails.set('get', new Error('down'))
  t.equal((await jar.get('/print')).status, 200)
  t.same(printed, ['Session (could not be loaded)'])
})

t.test('calling a method of a session after the response logs what is lost', async t => {
  const node = await makeNode({}, {
    touch: request => { const { session } = request; setImmediate(() => setImmediate(() => { session.touch() })) },
    end: request => { const { session } = request; setImmediate(() => setImmediate(() => { session.destroy() })) }
  })
  for (const url of ['/touch', '/end']) {
    await (await startOn(node)).get(url)
    for (let turn = 0; turn < 10; turn++) await new Promise(resolve => { setImmediate(resolve) })
    t.match(node.lines.splice(0), [{ msg: /the change is lost/ }], url)
  }
})

t.test('a change made during a commit to a value that JSON rejects is not lost', async t => {
  const store = new TestStore('replace')
  const gates = new Gates()
  const app = await makeApp({ store }, {
    '/start': request => { request.session.views = 1 },
    '/other': request => { request.session.note = 'theirs' },
    '/commit': async (request, reply) => {
      request.session.get('views')
      await gates.pass('commit')
      request.session.views = 2
      const saving = app.session.commit(request, reply)
      request.session.any = 10n
      await saving
      return { any: String(request.session.any) }
    }
  })
  const jar = new Jar(app)
  await jar.get('/start')
  const answer = copyOf(jar).get('/commit')
  await gates.arrival('commit')
  await copyOf(jar).get('/other')
  gates.open('commit')
  t.match(await answer, { status: 500, json: { code: 'FST_SESSION_NOT_SERIALIZABLE' } })
  t.same(store.values, [{ views: 2, note: 'theirs' }])
})
