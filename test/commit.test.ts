import t from 'tap'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { Gates } from './fixtures/gates.js'
import { ada, bag, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// commit() saves as the end of a request does: saves run one after another, and the next one includes changes made meanwhile.

type Meanwhile = (request: FastifyRequest) => void

const changes: Record<string, Meanwhile> = {
  change: request => { bag(request).meanwhile = 1 },
  login: request => { request.session.regenerate(); request.session.user = ada },
  keep: request => { request.session.regenerate(['user']) },
  logout: request => { request.session.destroy() },
  farewell: request => { request.session.destroy(); request.session.note = 'bye' }
}

/** Which store call of a commit is in progress when the session changes; at 0 none has begun. */
const moments = [0, 1, 2, 3]

/** A node whose routes change their session at a given moment of a commit, and respond in three ways. */
async function makeCommitting (options: Partial<SessionOptions>, store: TestStore, moment: number): Promise<Node> {
  const during = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { first, change } = request.query as { first: string, change: string }
    if (first === 'login') request.session.regenerate(['user'])
    bag(request).committed = 1
    const calls = new Gates()
    let called = 0
    for (const method of ['get', 'set', 'delete', 'touch', 'replace'] as const) {
      store.before.set(method, async () => { if (++called === moment) await calls.pass('call') })
    }
    const saving = node.app.session.commit(request, reply)
    if (moment > 0) await Promise.race([calls.arrival('call'), saving])
    changes[change]!(request)
    store.before.clear()
    calls.open('call')
    await saving
  }
  const node = await makeNode(options, {
    plain: during,
    hijacked: async (request, reply) => {
      reply.hijack()
      await during(request, reply).then(async () => await node.app.session.commit(request, reply)).catch((error: unknown) => { t.error(error) })
      const { 'set-cookie': cookies = [] } = reply.getHeaders()
      reply.raw.writeHead(200, { 'content-type': 'application/json', 'set-cookie': cookies as string[] }).end('{}')
    },
    left: async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'application/json' })
      await during(request, reply)
      await node.app.session.commit(request, reply)
      reply.raw.end('{}')
    }
  })
  return node
}

const kinds: Record<string, { make: (store: TestStore) => Partial<SessionOptions>, optional?: ['replace'], stores: boolean }> = {
  'a plain store': { make: store => ({ store }), stores: true },
  'a store that can replace': { make: store => ({ store }), optional: ['replace'], stores: true },
  'a denylist': { make: store => ({ isRevoked: denylist(store) }), stores: false },
  'iron-webcrypto': { make: () => ({ iron: { encryption: { iterations: 2 } } }), stores: false }
}
const expected: Record<string, (user: object) => object> = {
  change: user => ({ ...user, committed: 1, meanwhile: 1 }),
  login: () => ({ user: ada }),
  keep: user => user,
  logout: () => ({}),
  farewell: () => ({ note: 'bye' })
}
for (const [kind, { make, optional = [], stores }] of Object.entries(kinds)) {
  for (const how of ['plain', 'hijacked']) {
    for (const [change, data] of Object.entries(expected)) {
      t.test(`${kind}, a reply that is ${how}: a ${change} during a commit takes effect`, async t => {
        for (const moment of moments) {
          for (const [first, start] of [['change', '/start'], ['change', '/data'], ['login', '/start']] as const) {
            const store = new TestStore(...optional)
            const node = await makeCommitting(make(store), store, moment)
            const browser = await startOn(node, start)
            const copy = copyOf(browser)
            const title = `during call ${moment} of a ${first} of a session that is ${start === '/data' ? 'new' : 'there'}`
            t.equal((await browser.get(`/${how}?first=${first}&change=${change}`)).status, 200, title)
            const left = data(start === '/start' ? { user: ada } : {})
            t.same((await seen(browser)).data, left, title)
            if (stores) t.same(store.values, Object.keys(left).length > 0 ? [left] : [], `${title}: nothing else is stored`)
            if (change === 'logout') t.equal(browser.cookies.size, 0, title)
            if (kind !== 'iron-webcrypto' && !(change === 'change' && first === 'change')) t.same((await seen(copy)).data, {}, `${title}: the old cookie is rejected`)
            t.same(node.lines, [], title)
          }
        }
      })
    }
  }
}

t.test('a change made during a commit is kept when the commit merges a change of another request', async t => {
  for (const optional of [[], ['replace' as const]]) {
    const store = new TestStore(...optional)
    const node: Node = await makeNode({ store }, {
      merging: async (request, reply) => {
        bag(request).committed = 1
        const saving = node.app.session.commit(request, reply)
        bag(request).meanwhile = 1
        await saving
        return request.session.data()
      }
    })
    const browser = await startOn(node)
    const slow = copyOf(browser)
    const { json } = await node.gates.during('merging', slow.get('/late/merging'), () => browser.get('/change'))
    t.same(json, { user: ada, views: 1, committed: 1, meanwhile: 1 })
    t.same((await seen(browser)).data, { user: ada, views: 1, committed: 1, meanwhile: 1 })
  }
})

t.test('commits of one request that are not awaited save one after another', async t => {
  const node: Node = await makeNode({ store: new TestStore() }, {
    many: async (request, reply) => {
      const saving: Array<Promise<unknown>> = []
      for (const name of ['a', 'b', 'c']) {
        bag(request)[name] = 1
        saving.push(node.app.session.commit(request, reply))
      }
      request.session.regenerate(['a' as 'note', 'b' as 'note', 'c' as 'note'])
      saving.push(node.app.session.commit(request, reply))
      await Promise.all(saving)
    }
  })
  const browser = await startOn(node)
  const copy = copyOf(browser)
  t.equal((await browser.get('/many')).status, 200)
  t.same((await seen(browser)).data, { a: 1, b: 1, c: 1 })
  t.same((await seen(copy)).data, {})
})

t.test('the end of the request waits for a commit that was not awaited', async t => {
  const node: Node = await makeNode({ store: new TestStore() }, {
    forgotten: (request, reply) => {
      bag(request).a = 1
      node.app.session.commit(request, reply).catch(t.error)
      request.session.regenerate(['a' as 'note'])
    }
  })
  const browser = await startOn(node)
  t.equal((await browser.get('/forgotten')).status, 200)
  t.same((await seen(browser)).data, { a: 1 })
})

t.test('a commit fails if an earlier one of its request takes longer than storeTimeout', async t => {
  t.teardown(t.clock.enter())
  const store = new TestStore()
  const calls = new Gates()
  const node: Node = await makeNode({ store, storeTimeout: 2 }, {
    twice: async (request, reply) => {
      store.before.set('set', async () => await calls.pass('set'))
      bag(request).first = 1
      const first = node.app.session.commit(request, reply)
      bag(request).second = 1
      const second = node.app.session.commit(request, reply)
      await calls.arrival('set')
      // The second times out before it learns that the first has, as after a pause of the event loop.
      t.clock.advance(2000)
      for (const commit of [first, second]) await t.rejects(commit, { code: 'FST_SESSION_STORE' })
      await t.rejects(second, { message: /an earlier save of the request did not answer in time/ })
      store.before.clear()
      calls.open('set')
    }
  })
  const browser = await startOn(node)
  t.equal((await browser.get('/twice')).status, 200)
  t.same((await seen(browser)).data, { user: ada, first: 1, second: 1 }, 'the end of the request saves what the commits could not')
})

t.test('with a store, the next commit saves what changes during a commit after the headers are sent, and ends the session too', async t => {
  for (const change of ['change', 'logout']) {
    for (const moment of moments) {
      const store = new TestStore()
      const node = await makeCommitting({ store }, store, moment)
      const browser = await startOn(node)
      await browser.get(`/left?first=change&change=${change}`)
      t.same((await seen(browser)).data, expected[change]!({ user: ada }), `${change} during call ${moment}`)
      t.same(node.lines, [], 'nothing is lost')
    }
  }
})
