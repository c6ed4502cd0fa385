import t from 'tap'
import { denylist } from '../lib/index.js'
import type { StandardSchema } from '../lib/index.js'
import { Jar, makeApp } from './fixtures/app.js'
import { Deferred } from './fixtures/gates.js'
import { clears, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// Rare cases, one at a time.

t.test('a logout that is clicked twice clears the cookie once, as there may be a newer one by the second response', async t => {
  for (const kind of ['store', 'denylist', 'both']) {
    const store = new TestStore()
    const node = await makeNode({ ...kind !== 'denylist' && { store }, ...kind !== 'store' && { isRevoked: denylist(store) } })
    const jar = await startOn(node)
    const late = copyOf(jar).get('/late/logout')
    await node.gates.arrival('logout')
    t.ok(clears((await jar.get('/logout')).setCookies))
    node.gates.open('logout')
    const { status, setCookies } = await late
    t.same([status, setCookies], [200, []], kind)
  }
})

t.test('a logout clears the cookie even if it times out waiting for a commit of its own request', async t => {
  const store = new TestStore()
  const hang = new Deferred()
  const node = await makeNode({ store, storeTimeout: 0.05 }, {
    both: (request, reply) => {
      request.session.note = 'x'
      node.app.session.commit(request, reply).catch(() => {})
      request.session.destroy()
    }
  })
  const jar = await startOn(node)
  store.before.set('set', async () => { await hang.promise })
  const { status, setCookies } = await jar.get('/both')
  t.equal(status, 503)
  t.ok(clears(setCookies))
  hang.resolve()
})

t.test('a logout works with a denylist when the schema throws', async t => {
  let throws = false
  const schema: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'own',
      validate (value) {
        if (throws) throw new Error('of the schema')
        return { value }
      }
    }
  }
  const node = await makeNode({ schema, isRevoked: denylist(new TestStore()) })
  const jar = await startOn(node)
  throws = true
  t.match(await jar.get('/data'), { status: 500, json: { message: 'of the schema' } })
  t.ok(clears((await jar.get('/logout')).setCookies))
})

t.test('an entry is not written if it became invalid or disappeared during the request', async t => {
  for (const kind of ['spoilt', 'touch'] as const) {
    const store = new TestStore('touch')
    const node = await makeNode({ store })
    const jar = await startOn(node)
    const act = kind === 'spoilt' ? 'change' : 'touch'
    const late = copyOf(jar).get(`/late/${act}`)
    await node.gates.arrival(act)
    if (kind === 'spoilt') for (const entry of store.entries.values()) entry.value = 'not JSON'
    else store.touch = async () => false as never
    node.gates.open(act)
    t.same((await late).setCookies, [], kind)
    t.match(node.lines, [{ msg: /another request ended the session/ }])
  }
})

t.test('a large session keeps its entry until it expires if the save that shrinks it times out', async t => {
  const store = new TestStore('replace')
  const hang = new Deferred()
  const app = await makeApp({ store, storage: 'overflow', idleTimeout: 1000, storeTimeout: 0.05 }, {
    '/big': request => { request.session.note = 'x'.repeat(5000); request.session.views = 1 },
    '/small': request => { delete request.session.note }
  })
  const jar = new Jar(app)
  await jar.get('/big')
  store.before.set('replace', async () => { await hang.promise })
  t.equal((await jar.get('/small')).status, 503)
  store.before.clear()
  hang.resolve()
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  const { expiresAt } = [...store.entries.values()][0]!
  t.ok(expiresAt > Date.now() + 900_000)
})

t.test('a login that cannot be saved completely leaves nothing in the store', async t => {
  const [store, list] = [new TestStore(), new TestStore()]
  const node = await makeNode({ store, isRevoked: denylist(list) }, {
    keep: request => { request.session.regenerate(['user']); request.session.note = 'own' }
  })
  const jar = await startOn(node)
  const late = copyOf(jar).get('/late/keep')
  await node.gates.arrival('keep')
  await jar.get('/logout')
  let sets = 0
  store.before.set('set', () => { if (++sets === 2) throw new Error('down') })
  node.gates.open('keep')
  t.equal((await late).status, 503)
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  t.same(store.values, [])
})

t.test('a login whose first save ended the old session only partly fails instead of losing its data', async t => {
  const store = new TestStore('replace')
  const node = await makeNode({ store }, {
    retry: async (request, reply) => {
      request.session.regenerate(['user'])
      await node.app.session.commit(request, reply).catch(() => { store.fails.clear() })
    }
  })
  const jar = await startOn(node)
  store.fails.set('delete', new Error('once'))
  t.match(await jar.get('/retry'), { status: 503, json: { code: 'FST_SESSION_STORE' } })
  t.same((await seen(jar)).data, {})
})

t.test('a commit on a hijacked reply is lost if another request has emptied the session, and the loss is logged', async t => {
  for (const replaces of [false, true]) {
    const store = replaces ? new TestStore('replace') : new TestStore()
    const node = await makeNode({ store }, {
      live: async (request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200)
        request.session.note = 'late'
        t.same(await node.app.session.commit(request, reply), [])
        reply.raw.end()
      }
    })
    const jar = await startOn(node)
    const live = copyOf(jar).get('/late/live')
    await node.gates.arrival('live')
    await jar.get('/clear')
    node.gates.open('live')
    await live
    t.match(node.lines, [{ msg: /the change is lost/ }])
  }
})

t.test('with storage "overflow", a small session keeps its data through regenerate() in overlapping requests', async t => {
  const store = new TestStore('replace')
  const node = await makeNode({ store, storage: 'overflow' }, {
    keep: request => { request.session.regenerate(['user']) },
    big: request => { request.session.note = 'x'.repeat(5000) }
  })
  const jar = await startOn(node)
  const late = copyOf(jar)
  const keeping = late.get('/late/keep')
  await node.gates.arrival('keep')
  await jar.get('/big')
  node.gates.open('keep')
  await keeping
  t.match((await seen(late)).data, { user: { id: 'u1' } })
  t.equal((await seen(jar)).reason, 'not-stored', 'an entry written meanwhile ends with the old session')
})

t.test('a logout whose commit failed because of data set after it succeeds once that data is removed', async t => {
  const node = await makeNode({}, {
    end: async (request, reply) => {
      request.session.destroy()
      request.session.any = 10n
      await t.rejects(node.app.session.commit(request, reply), { code: 'FST_SESSION_NOT_SERIALIZABLE' })
      delete request.session.any
    }
  })
  const { status, setCookies } = await (await startOn(node)).get('/end')
  t.equal(status, 200)
  t.ok(clears(setCookies))
})
