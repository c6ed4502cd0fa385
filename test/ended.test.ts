import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { ada, copyOf, makeNode, makeNodes, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// After the response to a logout, no slow request that loaded the session before it brings the session back.

const DAY = 86_400 // seconds

const acts: Acts = {
  forever: request => { request.session.persist(false) },
  remember: request => { request.session.persist(400 * DAY) },
  read: request => ({ user: request.session.user ?? null }),
  keep: request => { request.session.regenerate(['user']) },
  carry: request => { request.session.regenerate(['user']); request.session.note = 'new' }
}

/** Makes options for nodes that share only their entries. */
const listed = (options: Partial<SessionOptions> = {}): (() => Partial<SessionOptions>) => {
  const list = new TestStore()
  return () => ({ ...options, isRevoked: denylist(list.beside()) })
}
const stored = (store: TestStore, options: Partial<SessionOptions> = {}) => (): Partial<SessionOptions> => ({ ...options, store: store.beside() })

const nodes: Array<[title: string, count: 1 | 2]> = [['one node', 1], ['two nodes', 2]]

for (const [title, count] of nodes) {
  t.test(`${title}, a denylist: a request that ends after the logout does not seal the session again`, async t => {
    for (const act of ['change', 'touch', 'persist', 'forever']) {
      for (const end of ['logout', 'login']) {
        const [here, there] = await makeNodes(count, listed(), acts)
        const browser = await startOn(here)
        const slow = copyOf(browser, there)
        const { status, setCookies } = await there.gates.during(act, slow.get(`/late/${act}`), () => browser.get(`/${end}`))
        t.same([status, setCookies], [200, []], `${act} after ${end}`)
        t.same(await seen(slow), { data: {}, reason: 'revoked' })
        t.match(there.lines, [{ msg: /ended/, sessionName: 'session' }])
        if (end === 'login') t.same((await seen(browser)).data, { user: ada })
      }
    }
  })

  t.test(`${title}, a denylist: a read that renews its session does not seal an ended session again`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    const [here, there] = await makeNodes(count, listed({ idleTimeout: 1000 }), acts)
    const browser = await startOn(here)
    t.clock.advance(600_000)
    const slow = copyOf(browser, there)
    const { setCookies, json } = await there.gates.during('read', slow.get('/late/read'), () => browser.get('/logout'))
    t.same([json.user, setCookies], [ada, []])
  })

  t.test(`${title}, a denylist: a logout with an older cookie also revokes a newer cookie with a longer timeout`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    const [here, there] = await makeNodes(count, listed({ idleTimeout: 100 }), acts)
    const browser = await startOn(here)
    const older = copyOf(browser, there)
    await browser.get('/persist')
    await older.get('/logout')
    for (const seconds of [0, 300, 4000]) {
      t.clock.advance(seconds * 1000)
      t.same(await seen(copyOf(browser)), { data: {}, reason: 'revoked' }, `${seconds} seconds later`)
    }
  })
}

const kinds: Array<[title: string, count: 1 | 2, options: () => () => Partial<SessionOptions>]> = [
  ['one node, a denylist', 1, listed],
  ['two nodes, a denylist', 2, listed],
  ['one node, a plain store', 1, () => stored(new TestStore())],
  ['one node, a store that can replace', 1, () => stored(new TestStore('replace'))],
  ['two nodes, a store that can replace', 2, () => stored(new TestStore('touch', 'replace'))]
]
for (const [title, count, options] of kinds) {
  t.test(`${title}: regenerate(keep) keeps nothing of an ended session, and saves the rest`, async t => {
    for (const end of ['logout', 'login']) {
      const [here, there] = await makeNodes(count, options(), acts)
      const browser = await startOn(here)
      const slow = copyOf(browser, there)
      const carried = await there.gates.during('carry', slow.get('/late/carry'), () => browser.get(`/${end}`))
      t.equal(carried.status, 200)
      t.same((await seen(slow)).data, { note: 'new' }, `the rest is saved after ${end}`)

      const again = await startOn(here)
      const late = copyOf(again, there)
      t.equal((await there.gates.during('keep', late.get('/late/keep'), () => again.get(`/${end}`))).status, 200)
      t.same((await seen(late)).data, {}, `nothing is kept after ${end}`)
    }
  })
}

t.test('one node, a plain store: a slow request still notices other writes of its session after 10,000 writes of other sessions', async t => {
  const node = await makeNode({ store: new TestStore() }, { note: request => { request.session.note = 'mine' } })
  const [ended, changed] = [await startOn(node), await startOn(node)]
  const [slowEnded, slowChanged] = [copyOf(ended), copyOf(changed)]
  const late = slowEnded.get('/late/change')
  const answer = await node.gates.during('note', slowChanged.get('/late/note'), async () => {
    await node.gates.arrival('change')
    await ended.get('/logout')
    await changed.get('/change')
    for (let other = 0; other < 10_100; other++) await startOn(node)
    node.gates.open('change')
  })
  t.same([answer.status, (await late).status, (await late).setCookies], [200, 200, []])
  t.same(await seen(slowEnded), { data: {}, reason: 'not-stored' })
  t.same((await seen(changed)).data, { user: ada, views: 1, note: 'mine' })
})

/** Stores by what their `touch` returns for a missing entry */
const renewing: Record<string, () => TestStore> = {
  'cannot touch': () => new TestStore(),
  'can replace': () => new TestStore('replace'),
  'can touch and tells nothing': () => new TestStore('touch'),
  'can touch and tells by a boolean': () => Object.assign(new TestStore('touch'), { touched: (found: boolean) => found }),
  'can touch and tells by a number': () => Object.assign(new TestStore('touch', 'replace'), { touched: Number })
}
for (const [title, makeStore] of Object.entries(renewing)) {
  t.test(`two nodes, a store that ${title}: a read that renews its session does not bring back an ended one`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    const gone: Record<string, (browser: Awaited<ReturnType<typeof startOn>>, store: TestStore) => unknown> = {
      login: async browser => await browser.get('/login'),
      logout: async browser => await browser.get('/logout'),
      'its expiry in the store': (_browser, store) => { store.entries.clear() }
    }
    for (const [how, end] of Object.entries(gone)) {
      const store = makeStore()
      const [here, there] = await makeNodes(2, stored(store, { idleTimeout: 1000 }), acts)
      const browser = await startOn(here)
      t.clock.advance(600_000)
      const slow = copyOf(browser, there)
      const { status, json, setCookies } = await there.gates.during('read', slow.get('/late/read'), () => end(browser, store))
      t.same([status, json.user, setCookies], [200, ada, []], `after ${how}`)
      t.same(await seen(slow), { data: {}, reason: 'not-stored' })
      if (how === 'login') t.same((await seen(browser)).data, { user: ada })
    }
  })

  t.test(`a store that ${title}: a read renews a session that has not ended`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    const store = makeStore()
    const browser = await startOn(await makeNode(stored(store, { idleTimeout: 1000 })()))
    t.clock.advance(600_000)
    t.match((await browser.get('/data')).setCookies, [/Max-Age=1000;/])
    t.clock.advance(900_000)
    t.same((await seen(browser)).data, { user: ada })
  })
}

t.test('an ended session stays on the denylist until its absolute timeout, or for 400 days without one', async t => {
  for (const [absoluteTimeout, most] of [[2000, 2000], [undefined, 90 * DAY], [false, 400 * DAY]] as const) {
    await t.test(`absoluteTimeout ${absoluteTimeout}`, async t => {
      t.clock.enter()
      t.clock.travel(1.9e12)
      const list = new TestStore()
      const node: Node = await makeNode({ idleTimeout: 100, ...absoluteTimeout !== undefined && { absoluteTimeout }, isRevoked: denylist(list) }, acts)
      const browser = await startOn(node)
      const older = copyOf(browser)
      await browser.get('/remember')
      await older.get('/logout')
      const [entry] = list.entries.values()
      const left = (entry!.expiresAt - Date.now()) / 1000
      t.ok(left >= most && left <= most + 60, `the entry lasts ${left} seconds`)
      t.clock.advance((most - 1) * 1000)
      t.same(await seen(browser), { data: {}, reason: 'revoked' }, 'the longest cookie is rejected until it expires')
    })
  }
})
