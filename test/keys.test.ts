import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { ada, bag, clears, copyOf, makeNodes, seen, startOn } from './fixtures/nodes.js'
import type { Acts } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// Two concurrent requests of one session: the changes of both are kept, key by key.

const acts: Acts = {
  start: request => { bag(request).a = 1 },
  two: request => { bag(request).a = 1; bag(request).b = 1 },
  withoutA: request => { delete bag(request).a },
  withoutB: request => { delete bag(request).b },
  addC: request => { bag(request).c = 1 },
  replaceAll: request => { request.session.clear(); bag(request).d = 1 },
  loginWithCart: request => { request.session.regenerate(['a' as 'note']); request.session.user = ada },
  setAndTouch: request => { bag(request).c = 1; request.session.touch() }
}

const topologies: Array<[title: string, count: 1 | 2, makeStore: () => TestStore]> = [
  ['one node, a plain store', 1, () => new TestStore()],
  ['one node, a store that can touch', 1, () => new TestStore('touch')],
  ['one node, a store that can replace', 1, () => new TestStore('replace')],
  ['two nodes, a store that can replace', 2, () => new TestStore('replace')],
  ['two nodes, a store that can touch and replace', 2, () => new TestStore('touch', 'replace')]
]
for (const [title, count, makeStore] of topologies) {
  const options = (more: Partial<SessionOptions> = {}): (() => Partial<SessionOptions>) => {
    const store = makeStore()
    return () => ({ ...more, store: store.beside() })
  }

  t.test(`${title}: deleting the last key does not delete a key that another request has set`, async t => {
    for (const empty of ['withoutA', 'clear']) {
      const [here, there] = await makeNodes(count, options(), acts)
      const browser = await startOn(here)
      const slow = copyOf(browser, there)
      const { status, setCookies } = await there.gates.during(empty, slow.get(`/late/${empty}`), () => browser.get('/addC'))
      t.equal(status, 200)
      t.notOk(clears(setCookies), 'the session continues')
      for (const jar of [browser, slow]) t.same((await seen(jar)).data, { c: 1 }, empty)
    }
  })

  t.test(`${title}: a change saved after another request has emptied the session is kept`, async t => {
    for (const empty of ['withoutA', 'clear']) {
      const [here, there] = await makeNodes(count, options(), acts)
      const browser = await startOn(here)
      const slow = copyOf(browser, there)
      const { status, setCookies } = await there.gates.during('addC', slow.get('/late/addC'), async () => {
        t.ok(clears((await browser.get(`/${empty}`)).setCookies))
      })
      t.same([status, setCookies.length], [200, 1], 'the cookie is set again')
      browser.store({ headers: { 'set-cookie': setCookies } })
      t.same((await seen(browser)).data, { c: 1 }, empty)
    }
  })

  t.test(`${title}: two requests that each delete a key empty the session`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const browser = await startOn(here, '/two')
    const copy = copyOf(browser)
    const slow = copyOf(browser, there)
    const { setCookies } = await there.gates.during('withoutA', slow.get('/late/withoutA'), () => browser.get('/withoutB'))
    t.ok(clears(setCookies))
    t.same(await seen(copy), { data: {}, reason: 'not-stored' })
  })

  t.test(`${title}: clear() deletes only the keys that the request has loaded, and keeps those set afterwards`, async t => {
    const [here, there] = await makeNodes(count, options(), acts)
    const browser = await startOn(here)
    const slow = copyOf(browser, there)
    await there.gates.during('replaceAll', slow.get('/late/replaceAll'), () => browser.get('/addC'))
    t.same((await seen(browser)).data, { c: 1, d: 1 })
  })

  t.test(`${title}: both responses to a login that was clicked twice set a cookie that is logged in`, async t => {
    for (const [login, data] of [['login', { user: ada }], ['loginWithCart', { a: 1, user: ada }]] as const) {
      const [here, there] = await makeNodes(count, options(), acts)
      const browser = await startOn(here)
      const slow = copyOf(browser, there)
      const { status, setCookies } = await there.gates.during(login, slow.get(`/late/${login}`), () => browser.get(`/${login}`))
      t.same([status, setCookies.length], [200, 1], login)
      t.same((await seen(browser)).data, data)
      t.same((await seen(slow)).data, { user: ada }, 'data of the session that the first login has ended is dropped')
    }
  })

  t.test(`${title}: persist() during another request's change sets the longer timeout`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    for (const act of ['change', 'touch', 'setAndTouch']) {
      for (const rolling of [true, false]) {
        const [here, there] = await makeNodes(count, options({ idleTimeout: 100, rolling }), acts)
        const browser = await startOn(here)
        const slow = copyOf(browser, there)
        const { setCookies } = await there.gates.during(act, slow.get(`/late/${act}`), () => browser.get('/persist'))
        if (setCookies.length > 0 || act !== 'change' || !rolling) t.match(setCookies, [/Max-Age=5000;/], `the cookie of the ${act}, rolling ${rolling}`)
        t.clock.advance(4_900_000)
        t.equal((await seen(copyOf(browser))).reason, null, 'the entry lasts as long as the longer cookie')
        if (setCookies.length > 0) t.equal((await seen(copyOf(slow))).reason, null)
      }
    }
  })

  t.test(`${title}: a change during another request's persist() keeps the longer timeout`, async t => {
    t.clock.enter()
    t.clock.travel(1.9e12)
    const [here, there] = await makeNodes(count, options({ idleTimeout: 100 }), acts)
    const browser = await startOn(here)
    const slow = copyOf(browser, there)
    const { setCookies } = await there.gates.during('persist', slow.get('/late/persist'), () => browser.get('/addC'))
    t.match(setCookies, [/Max-Age=5000;/])
    t.clock.advance(4_900_000)
    t.same((await seen(slow)).data, { a: 1, c: 1 })
  })
}
