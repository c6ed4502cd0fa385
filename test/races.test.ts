import { setTimeout as wait } from 'node:timers/promises'
import * as iron from 'iron-webcrypto'
import t from 'tap'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { denylist } from '../lib/index.js'
import { Deadline } from '../lib/store/deadline.js'
import { WriteQueue } from '../lib/store/write-queue.js'
import { Jar, secret } from './fixtures/app.js'
import { Deferred } from './fixtures/gates.js'
import { ada, bag, clears, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// Races found by reading the code: between calls of one request, between two nodes, and with calls that take effect late.

const now = Date.now
let ahead = 0
Date.now = () => now() + ahead
t.beforeEach(() => { ahead = 0 })
t.teardown(() => { Date.now = now })

t.test('a turn that is requested too late releases no other', async t => {
  const queue = new WriteQueue()
  const slow = new Deferred()
  const order: string[] = []
  const first = queue.turn('id', undefined, async () => { await slow.promise; order.push('first') })
  const deadline = new Deadline(0.01)
  await deadline.bound(async () => await new Promise(() => {})).catch(() => {})
  await t.rejects(queue.turn('id', deadline, async () => { order.push('never') }))
  const third = queue.turn('id', undefined, async () => { order.push('third') })
  await wait(20)
  slow.resolve()
  await Promise.all([first, third])
  t.same(order, ['first', 'third'])
})

t.test('a turn that the work of another one requests, even before that waits for anything, comes after it', async t => {
  const queue = new WriteQueue()
  const order: string[] = []
  let second: Promise<unknown> | undefined
  await queue.turn('id', undefined, async () => {
    second = queue.turn('id', undefined, async () => { order.push('second') })
    await wait(1)
    order.push('first')
  })
  await second
  t.same(order, ['first', 'second'])
})

t.test('a change and a login that both time out do not undo the logout after them', async t => {
  const store = new TestStore()
  const node = await makeNode({ store, storeTimeout: 0.1 }, {
    login2: request => { request.session.regenerate(); request.session.note = 'login' }
  })
  const jar = await startOn(node)
  const id = [...store.entries.keys()][0]!
  const [other, third] = [copyOf(jar), copyOf(jar)]
  // W: a change whose set hangs
  const [hangW, hangN] = [new Deferred(), new Deferred()]
  let sets = 0
  store.before.set('set', async () => { sets++; if (sets === 1) await hangW.promise; else if (sets === 2) await hangN.promise })
  const w = await jar.get('/change')
  t.equal(w.status, 503, 'W timed out; its set is still in progress')
  // R: a login whose insert of the new id also hangs
  const r = await other.get('/login2')
  t.equal(r.status, 503)
  hangN.resolve() // R's insert takes effect late, and R goes on to end the old id after its deadline
  await wait(20)
  // X: logout
  const logout = await third.get('/logout')
  hangW.resolve()
  await wait(20)
  t.equal(logout.status, 503, 'the change may still take effect')
  t.ok(clears(logout.setCookies))
  t.equal((await third.get('/logout')).status, 200)
  await copyOf(jar).get('/logout')
  t.notOk(store.entries.has(id), 'an ended session does not come back')
})

t.test('a login survives the logout of its previous session on another node, under its own id', async t => {
  const a = new TestStore()
  const b = a.beside()
  const acts = {
    relogin: (request: FastifyRequest) => { request.session.regenerate(['cart' as 'note']); request.session.user = ada },
    cart: (request: FastifyRequest) => { bag(request).cart = [1] }
  }
  const nodeA = await makeNode({ isRevoked: denylist(a) }, acts)
  const nodeB = await makeNode({ isRevoked: denylist(b) }, acts)
  const jar = await startOn(nodeA, '/cart')
  const other = copyOf(jar, nodeB)
  const [announced, go] = [new Deferred(), new Deferred()]
  // Node A waits after it has set its successor mark, before it reads the revoked mark.
  let sets = 0
  a.before.set('set', () => { sets++ })
  a.before.set('get', async () => { if (sets === 1) { announced.resolve(); await go.promise } })
  const login = jar.get('/relogin')
  await announced.promise
  const logout = await other.get('/logout')
  t.equal(logout.status, 200)
  go.resolve()
  const answer = await login
  t.equal(answer.status, 200)
  t.match(await seen(jar), { data: { user: ada }, reason: null }, 'the rest of the request\'s session is saved')
})

t.test('the next attempt completes a revocation that failed halfway', async t => {
  const a = new TestStore()
  const b = a.beside()
  const acts = {
    keep: (request: FastifyRequest) => { request.session.regenerate(['user']) },
    out: async (request: FastifyRequest, reply: FastifyReply) => {
      request.session.destroy()
      await nodeB.app.session.commit(request, reply).catch(() => { b.fails.clear() })
      failed.resolve()
      await goB.promise
    }
  }
  const [failed, goB] = [new Deferred(), new Deferred()]
  const nodeA = await makeNode({ isRevoked: denylist(a) }, acts)
  const nodeB = await makeNode({ isRevoked: denylist(b) }, acts)
  const jar = await startOn(nodeA)
  const other = copyOf(jar, nodeB)
  const [atSet, goA] = [new Deferred(), new Deferred()]
  let setsA = 0
  a.before.set('set', async () => { if (++setsA === 2) { atSet.resolve(); await goA.promise } }) // before it sets revoked(S)
  const keeping = jar.get('/keep')
  await atSet.promise
  // Node B: setting revoked(S) works, and getting the successor fails once.
  b.before.set('set', () => { b.fails.set('get', new Error('once')) })
  b.before.set('get', () => {})
  const out = other.get('/out')
  await failed.promise
  b.before.clear()
  goB.resolve()
  const outAnswer = await out
  t.equal(outAnswer.status, 200, 'the logout responded with success')
  goA.resolve()
  t.equal((await keeping).status, 200)
  const { data } = await seen(jar)
  t.notOk(data.user, 'no data of the ended session is kept')
})

t.test('a seal of Iron that never expires does not come back after its logout', async t => {
  const store = new TestStore()
  const node = await makeNode({ interop: 'iron', idleTimeout: 600, absoluteTimeout: 3600, cacheSize: 0, isRevoked: denylist(store) })
  // Sealed by another Iron implementation with its default ttl of 0.
  const token = await iron.seal({ user: ada }, secret, iron.defaults)
  const jar = new Jar(node.app)
  jar.cookies.set('session', token)
  const copy = copyOf(jar)
  t.match(await seen(copyOf(jar)), { data: { user: ada } })
  t.equal((await jar.get('/logout')).status, 200)
  t.match(await seen(copyOf(copy)), { data: {}, reason: 'revoked' })
  ahead = 3_661_000
  const after = await seen(copy)
  t.same(after.data, {}, 'the session stays ended')
})

t.test('a seal of iron-session that outlives the absolute timeout does not come back after its logout', async t => {
  const store = new TestStore()
  const node = await makeNode({ interop: 'iron-session', idleTimeout: 600, absoluteTimeout: 3600, cacheSize: 0, isRevoked: denylist(store) })
  const token = await iron.seal({ user: ada }, { id: '1', secret }, { ...iron.defaults, ttl: 14 * 86_400_000 }) + '~2'
  const jar = new Jar(node.app)
  jar.cookies.set('session', token)
  const copy = copyOf(jar)
  t.equal((await jar.get('/logout')).status, 200)
  t.match(await seen(copyOf(copy)), { data: {}, reason: 'revoked' })
  ahead = 3_661_000
  t.same((await seen(copy)).data, {}, 'the session stays ended')
})

const acts = {
  grow: (request: FastifyRequest) => { request.session.note = 'x'.repeat(5000) },
  shrink: (request: FastifyRequest) => { delete request.session.note },
  a: (request: FastifyRequest) => { bag(request).a = Number((request.query as { v: string }).v) }
}

for (const replace of [false, true]) {
  t.test(`an old entry is not merged into a session that grows again, replace: ${replace}`, async t => {
    const store = replace ? new TestStore('replace') : new TestStore()
    const node = await makeNode({ store, storage: 'overflow' }, acts)
    const jar = await startOn(node)
    for (const url of ['/a?v=1', '/grow', '/shrink']) await jar.get(url)
    ahead = 10_000
    await jar.get('/a?v=2')
    ahead = 70_000
    t.equal((await jar.get('/a?v=3')).status, 200)
    t.match(await seen(jar), { data: { a: 3 } })
    ahead = 80_000
    t.equal((await jar.get('/grow')).status, 200)
    const { data } = await seen(jar)
    t.equal(data.a, 3, 'a change with a 200 response is kept')
  })
}

t.test('an entry that was written late is not merged into a session that grows again', async t => {
  const store = new TestStore()
  const node = await makeNode({ store, storage: 'overflow', storeTimeout: 0.1 }, acts)
  const jar = await startOn(node)
  await jar.get('/a?v=1')
  const hang = new Deferred()
  store.before.set('set', async () => await hang.promise)
  t.equal((await jar.get('/grow')).status, 503)
  hang.resolve()
  store.before.clear()
  await wait(10)
  ahead = 86_400_000
  t.equal((await jar.get('/a?v=2')).status, 200)
  t.equal((await seen(jar)).data.a, 2)
  t.equal((await jar.get('/grow')).status, 200)
  t.equal((await seen(jar)).data.a, 2, 'a change with a 200 response is kept')
})

t.test('an entry whose response was lost is not merged into a session that grows again', async t => {
  const store = new TestStore('replace')
  const node = await makeNode({ store, storage: 'overflow' }, acts)
  const jar = await startOn(node)
  await jar.get('/a?v=1')
  const saved = new Map(jar.cookies)
  await jar.get('/grow')
  jar.cookies.clear()
  for (const [name, value] of saved) jar.cookies.set(name, value)
  t.equal((await jar.get('/a?v=2')).status, 200)
  t.equal((await seen(jar)).data.a, 2)
  t.equal((await jar.get('/grow')).status, 200)
  t.equal((await seen(jar)).data.a, 2, 'a change with a 200 response is kept')
})

t.test('a save after a commit that timed out is not undone with it', async t => {
  const store = new TestStore()
  const hang = new Deferred()
  const node = await makeNode({ store, storeTimeout: 0.1 }, {
    retry: async (request, reply) => {
      request.session.user = ada
      await node.app.session.commit(request, reply).catch(() => {})
      setTimeout(() => { hang.resolve() }, 30)
    }
  })
  let sets = 0
  store.before.set('set', async () => { if (++sets === 1) await hang.promise })
  const jar = new Jar(node.app)
  const answer = await jar.get('/retry')
  t.equal(answer.status, 200)
  await wait(30)
  t.match(await seen(jar), { data: { user: ada }, reason: null })
})

t.test('a session whose headers are sent while it is saved leaves no entry, and this is logged', async t => {
  const store = new TestStore()
  const node = await makeNode({ store }, {
    raw: async (request, reply) => {
      request.session.user = ada
      reply.hijack()
      const committing = node.app.session.commit(request, reply)
      reply.raw.writeHead(200); reply.raw.end('x')
      await committing
    }
  })
  const jar = new Jar(node.app)
  await jar.get('/raw')
  await wait(20)
  t.ok(node.lines.length > 0, 'logged at warn')
  t.equal(store.entries.size, 0, 'the store has no entry without a cookie')
})

t.test('a logout ends the sessions of all cookies of the name if a look-up fails', async t => {
  const store = new TestStore()
  const node = await makeNode({ store })
  const old = await startOn(node)
  const oldCookie = old.cookies.get('session')!
  await copyOf(old).get('/logout')
  const jar = await startOn(node)
  const good = jar.cookies.get('session')!
  let gets = 0
  store.before.set('get', () => { if (++gets === 1) throw new Error('blip') })
  const answer = await node.app.inject({ url: '/logout', headers: { cookie: `session=${oldCookie}; session=${good}` } })
  const cleared = String(answer.headers['set-cookie']).includes('Max-Age=0')
  store.before.clear()
  const still = await seen(copyOf(jar))
  t.ok(cleared, 'the cookie is cleared')
  t.ok(answer.statusCode === 503 || still.data.user === undefined, 'a 503 unless the end could be carried out')
})
