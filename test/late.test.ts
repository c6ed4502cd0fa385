import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { ada, bag, clears, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Acts, Node } from './fixtures/nodes.js'
import { Gates, turns } from './fixtures/gates.js'
import { TestStore } from './fixtures/stores.js'

// The store may still carry out a call after the request has timed out. Writes are ordered by when calls really end, not by
// when requests give up.

const storeTimeout = 0.4 // seconds

const acts: Acts = {
  first: request => { bag(request).first = 1 },
  second: request => { bag(request).second = 1 },
  third: request => { bag(request).third = 1 },
  keep: request => { request.session.regenerate(['user']) }
}

/** A node with a slow store: the next call of a held method waits at the gate of that name. */
async function makeSlow (...optional: Array<'touch' | 'replace'>): Promise<{ node: Node, store: TestStore, calls: Gates, hold: (method: 'set' | 'replace' | 'touch') => void }> {
  const store = new TestStore(...optional)
  const calls = new Gates()
  const hold = (method: 'set' | 'replace' | 'touch'): void => {
    store.before.set(method, async () => {
      store.before.delete(method)
      await calls.pass(method)
    })
  }
  return { node: await makeNode({ store, storeTimeout }, acts), store, calls, hold }
}

for (const method of ['set', 'replace'] as const) {
  const optional = method === 'replace' ? [method] : []

  t.test(`a ${method} that timed out does not bring back a session that is ended after it`, async t => {
    const { node, calls, hold } = await makeSlow(...optional)
    const browser = await startOn(node)
    hold(method)
    t.equal((await copyOf(browser).get('/first')).status, 503)
    const logout = copyOf(browser).get('/logout')
    await turns()
    calls.open(method)
    const { status, setCookies } = await logout
    t.same([status, clears(setCookies)], [200, true])
    await turns()
    t.same(await seen(browser), { data: {}, reason: 'not-stored' })
  })

  t.test(`a logout waits at most storeTimeout for a ${method} that timed out, and fails then`, async t => {
    const { node, calls, hold } = await makeSlow(...optional)
    const browser = await startOn(node)
    hold(method)
    t.equal((await copyOf(browser).get('/first')).status, 503)
    const { status, setCookies } = await copyOf(browser).get('/logout')
    t.same([status, clears(setCookies)], [503, true])
    calls.open(method)
    await turns()
    t.match((await seen(browser)).data, { user: ada }, 'a request that timed out has no effect later')
    t.equal((await copyOf(browser).get('/logout')).status, 200)
    t.same(await seen(browser), { data: {}, reason: 'not-stored' })
  })

  t.test(`a ${method} that timed out does not overwrite a change that succeeded after it`, async t => {
    const { node, calls, hold } = await makeSlow(...optional)
    const browser = await startOn(node)
    hold(method)
    t.equal((await copyOf(browser).get('/first')).status, 503)
    const second = copyOf(browser).get('/second')
    await turns()
    calls.open(method)
    t.equal((await second).status, 200)
    await turns()
    t.match((await seen(browser)).data, { user: ada, second: 1 })
  })

  t.test(`a request that times out waiting for a ${method} does not release the requests behind it`, async t => {
    const { node, calls, hold } = await makeSlow(...optional)
    const browser = await startOn(node)
    hold(method)
    const [first, second] = [copyOf(browser).get('/first'), copyOf(browser).get('/second')]
    await wait(storeTimeout * 500)
    const third = copyOf(browser).get('/third')
    t.same([(await first).status, (await second).status], [503, 503])
    await turns()
    calls.open(method)
    t.equal((await third).status, 200)
    await turns()
    const { data } = await seen(browser)
    t.match(data, { user: ada, third: 1 })
    t.notOk('second' in data, 'a request that timed out has no effect later')
  })
}

t.test('a touch that timed out does not affect the logout after it', async t => {
  const { node, calls, hold } = await makeSlow('touch')
  const browser = await startOn(node)
  hold('touch')
  t.equal((await copyOf(browser).get('/touch')).status, 503)
  const logout = copyOf(browser).get('/logout')
  await turns()
  calls.open('touch')
  t.equal((await logout).status, 200)
  t.same(await seen(browser), { data: {}, reason: 'not-stored' })
})

t.test('of many concurrent changes through a slow store, each one with a 200 response is saved', async t => {
  for (const optional of [[], ['replace' as const]]) {
    const store = new TestStore(...optional)
    const all = Array.from({ length: 12 }, (_, nth) => `change${nth}`)
    const more: Acts = Object.fromEntries(all.map(name => [name, request => { bag(request)[name] = 1 }]))
    const node = await makeNode({ store, storeTimeout: 0.1 }, more)
    const browser = await startOn(node)
    const slow = async (): Promise<void> => { await wait(30) }
    store.before.set('set', slow).set('replace', slow)
    const answers = await Promise.all(all.map(async name => ({ name, ...await copyOf(browser).get(`/${name}`) })))
    await wait(200)
    const { data } = await seen(browser)
    for (const { name, status } of answers) {
      if (status === 200) t.ok(name in data, `${name} had a 200 response and is saved`)
      else t.equal(status, 503)
    }
    t.ok(answers.some(({ status }) => status === 200))
    t.same((await copyOf(browser).get('/change')).status, 200, 'the session still works')
  }
})

t.test('storeTimeout limits the total time of a save, not of each call', async t => {
  const store = new TestStore()
  const node = await makeNode({ store, storeTimeout: 0.2 }, acts)
  const browser = await startOn(node)
  const slow = async (): Promise<void> => { await wait(150) }
  store.before.set('get', slow).set('set', slow)
  t.equal((await browser.get('/first')).status, 503)
})

t.test('a session whose creation timed out leaves nothing in the store', async t => {
  const { node, store, calls, hold } = await makeSlow()
  hold('set')
  const { status, setCookies } = await copyOf(await startOn(node, '/data')).get('/start')
  t.same([status, setCookies], [503, []])
  calls.open('set')
  await turns()
  t.same(store.values, [])
})

t.test('a login whose creation timed out leaves the previous session', async t => {
  for (const url of ['/login', '/keep']) {
    const { node, store, calls, hold } = await makeSlow()
    const browser = await startOn(node)
    hold('set')
    t.equal((await copyOf(browser).get(url)).status, 503)
    calls.open('set')
    await turns()
    t.same(store.values.length, 1)
    t.same((await seen(browser)).data, { user: ada })
  }
})
