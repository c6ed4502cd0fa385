import t from 'tap'
import { ada, clears, copyOf, makeNodes, seen, startOn } from './fixtures/nodes.js'
import type { Acts } from './fixtures/nodes.js'
import type { SessionOptions } from '../lib/index.js'
import { TestStore } from './fixtures/stores.js'

// With storage "overflow", a session that fits into its cookie again leaves the store. Until every browser tab has the new
// cookie, the old one opens the same session.

const acts: Acts = {
  start: request => { request.session.user = ada; request.session.note = 'x'.repeat(5000) },
  shrink: request => { delete request.session.note },
  read: request => ({ data: request.session.data() })
}

const topologies: Array<[title: string, count: 1 | 2, makeStore: () => TestStore]> = [
  ['one node', 1, () => new TestStore()],
  ['one node, a store that can replace', 1, () => new TestStore('replace')],
  ['two nodes, a store that can replace', 2, () => new TestStore('touch', 'replace')]
]
for (const [title, count, makeStore] of topologies) {
  const options = (): (() => Partial<SessionOptions>) => {
    const store = makeStore()
    return () => ({ store: store.beside(), storage: 'overflow' })
  }

  t.test(`${title}: a request that shrinks the session does not undo a logout`, async t => {
    for (const end of ['logout', 'login']) {
      const [here, there] = await makeNodes(count, options(), acts)
      const browser = await startOn(here)
      const slow = copyOf(browser, there)
      const { status, setCookies } = await there.gates.during('shrink', slow.get('/late/shrink'), () => browser.get(`/${end}`))
      t.same([status, setCookies], [200, []], end)
      t.same(await seen(slow), { data: {}, reason: 'not-stored' })
    }
  })

  t.test(`${title}: a request that shrinks the session keeps the changes of another`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const browser = await startOn(here)
    const slow = copyOf(browser, there)
    await there.gates.during('shrink', slow.get('/late/shrink'), () => browser.get('/change'))
    t.same((await seen(slow)).data, { user: ada, views: 1 })
    t.same((await seen(browser)).data, { user: ada, views: 1 })
  })

  t.test(`${title}: a session that shrinks is kept even if the response is lost`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const browser = await startOn(here)
    const offline = copyOf(browser)
    await offline.get('/shrink')
    t.same(await seen(copyOf(browser, there)), { data: { user: ada }, reason: null })
    await copyOf(browser, there).get('/change')
    t.same((await seen(browser)).data, { user: ada, views: 1 })
  })

  t.test(`${title}: a read with the old cookie that ends later leaves the new cookie alone`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const browser = await startOn(here)
    const old = copyOf(browser, there)
    await browser.get('/shrink')
    t.ok(browser.header().length > 0)
    for (const url of ['/read', '/data']) {
      const { json, setCookies } = await copyOf(old, there).get(url)
      t.same(json.data, { user: ada })
      t.notOk(clears(setCookies), 'the browser has the new cookie under the same name')
    }
    const slow = copyOf(await startOn(here), there)
    const late = await there.gates.during('read', slow.get('/late/read'), () => copyOf(slow, here).get('/shrink'))
    t.same([(late.json.data as { user: unknown }).user, late.setCookies], [ada, []])
  })

  t.test(`${title}: for a minute after shrinking, both cookies open the same session`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const fresh = await startOn(here)
    const old = copyOf(fresh, there)
    await fresh.get('/shrink')
    const offline = copyOf(fresh, there)
    await copyOf(old).get('/change')
    t.same((await seen(fresh)).data, { user: ada, views: 1 }, 'the new cookie shows what was changed with the old one')
    await fresh.get('/change')
    t.same((await seen(copyOf(old))).data, { user: ada, views: 2 }, 'the old cookie shows what was changed with the new one')
    t.same((await seen(offline)).data, { user: ada, views: 2 })
  })

  t.test(`${title}: for a minute after shrinking, a logout with either cookie ends both`, async t => {
    for (const which of ['old', 'new'] as const) {
      for (const end of ['logout', 'login']) {
        const [here, there] = await makeNodes(count, options(), acts)
        const fresh = await startOn(here)
        const old = copyOf(fresh, there)
        await fresh.get('/shrink')
        const cookies = { old: copyOf(old), new: copyOf(fresh, there) }
        t.same([(await seen(copyOf(cookies.old))).data, (await seen(copyOf(cookies.new))).data], [{ user: ada }, { user: ada }])
        await copyOf(cookies[which], here).get(`/${end}`)
        for (const [name, cookie] of Object.entries(cookies)) {
          t.same((await seen(copyOf(cookie))).data, {}, `${end} with the ${which} cookie, read with the ${name} one`)
        }
      }
    }
  })
}

t.test('the entry expires some time after the session has shrunk, and the new cookie works without it', async t => {
  t.clock.enter()
  t.clock.travel(1.9e12)
  const store = new TestStore()
  const [here] = await makeNodes(1, () => ({ store, storage: 'overflow' }), acts)
  const browser = await startOn(here)
  const old = copyOf(browser)
  await browser.get('/shrink')
  t.clock.advance(59_000)
  t.same((await seen(copyOf(old))).data, { user: ada })
  t.clock.advance(180_000)
  store.took()
  t.same(await seen(browser), { data: { user: ada }, reason: null })
  t.same(store.took(), [], 'without the store')
  const late = await old.get('/data')
  t.equal(late.json.reason, 'not-stored')
  t.same(late.setCookies, [])
})

t.test('a session that grows again while its entry exists is stored, and a logout with either cookie ends it', async t => {
  const store = new TestStore('replace')
  const [here] = await makeNodes(1, () => ({ store, storage: 'overflow' }), { ...acts, grow: acts.start! })
  const browser = await startOn(here)
  const old = copyOf(browser)
  await browser.get('/shrink')
  const small = copyOf(browser)
  await browser.get('/grow')
  for (const jar of [browser, old, small]) t.equal(((await seen(copyOf(jar))).data.note as string | undefined)?.length, 5000)
  await browser.get('/logout')
  for (const jar of [old, small]) t.same((await seen(copyOf(jar))).data, {})
})
