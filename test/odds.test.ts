import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import { MemoryStore } from 'express-session'
import Fastify from 'fastify'
import t from 'tap'
import sessionPlugin, { createSealer, fromExpressStore } from '../lib/index.js'
import type { ExpressStore, SessionInfo, SessionOptions, SessionStore } from '../lib/index.js'
import { Jar, makeApp, secret } from './fixtures/app.js'
import { ada, bag, copyOf, makeNode, makeNodes, seen, startOn } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

const root = resolve(import.meta.dirname, '..')
const DAY = 86_400 // seconds

t.test('bytes from a store are read as UTF-8 text', async t => {
  for (const bytes of [(text: string) => Buffer.from(text), (text: string) => new TextEncoder().encode(text)]) {
    const entries = new TestStore()
    const store: SessionStore = {
      async get (id) {
        const value = await entries.get(id)
        return value === undefined ? null : bytes(value)
      },
      set: entries.set.bind(entries),
      delete: entries.delete.bind(entries)
    }
    const node = await makeNode({ store }, { note: request => { request.session.note = 'grüße 👋 \u2028' } })
    const browser = await startOn(node)
    await browser.get('/note')
    t.same(await seen(browser), { data: { user: ada, note: 'grüße 👋 \u2028' }, reason: null })
  }
})

t.test('two scopes with the same cookie name and different stores leave each other\'s cookies alone', async t => {
  const app = Fastify()
  for (const prefix of ['/shop', '/blog']) {
    await app.register(async scope => {
      await scope.register(sessionPlugin, { secret, store: new TestStore() })
      scope.get('/start', async request => { request.session.note = prefix; return {} })
      scope.get('/data', async request => ({ data: request.session.data(), reason: request.session.info.reason }))
    }, { prefix })
  }
  const jar = new Jar(app)
  await jar.get('/shop/start')
  const { json, setCookies } = await jar.get('/blog/data')
  t.same([json, setCookies], [{ data: {}, reason: 'not-stored' }, []])
  t.same((await jar.get('/shop/data')).json, { data: { note: '/shop' }, reason: null })
})

t.test('fromExpressStore called twice on one store still merges overlapping changes', async t => {
  const store = new MemoryStore() as ExpressStore
  const more = { one: request => { bag(request).one = 1 }, other: request => { bag(request).other = 1 } } satisfies Parameters<typeof makeNodes>[2]
  const [here, there] = await makeNodes(2, () => ({ store: fromExpressStore(store) }), more)
  const browser = await startOn(here)
  const slow = copyOf(browser, there)
  await there.gates.during('one', slow.get('/late/one'), () => browser.get('/other'))
  t.same((await seen(browser)).data, { user: ada, one: 1, other: 1 })
  const late = copyOf(browser, there)
  t.same((await there.gates.during('one', late.get('/late/one'), () => browser.get('/logout'))).setCookies, [])
  t.same((await seen(late)).data, {}, 'an ended session does not come back')
})

t.test('a 503 from loading varies by cookie', async t => {
  for (const options of [{ store: new TestStore() }, { isRevoked: () => { throw new Error('down') } }]) {
    const node = await makeNode(options)
    const browser = await startOn(node)
    if ('store' in options) options.store.fails.set('get', new Error('down'))
    const { status, headers } = await browser.get('/data')
    t.same([status, headers.vary], [503, 'Cookie'])
    t.equal((await makeNode({ ...options, cacheHeaders: false }).then(async ({ app }) => await new Jar(app).get('/data', { cookie: browser.header() }))).headers.vary, undefined)
  }
})

t.test('sixteen equal cookies need one look-up', async t => {
  const store = new TestStore()
  const node = await makeNode({ store })
  const browser = await startOn(node)
  store.entries.clear()
  store.took()
  const cookie = Array.from({ length: 16 }, () => browser.header()).join('; ')
  t.equal((await new Jar(node.app).get('/data', { cookie })).json.reason, 'not-stored')
  t.same(store.took(), ['get'])
})

t.test('cookies that do not have the form of a seal do not count among the sixteen that are tried', async t => {
  for (const options of [{}, { store: new TestStore() }, { iron: { encryption: { iterations: 2 } } }]) {
    const node = await makeNode(options)
    const browser = await startOn(node)
    const junk = Array.from({ length: 40 }, (_, nth) => `session=${['', 'junk', 's:abc.def', 'Fe26.2*', '%7B%7D'][nth % 5]}${nth}`)
    for (const cookie of [[...junk, browser.header()], [...junk, browser.header(), ...junk], [...Array.from({ length: 30 }, () => junk[1]!), browser.header()]]) {
      const { json, setCookies } = await new Jar(node.app).get('/data', { cookie: cookie.join('; ') })
      t.same([json.data, setCookies], [{ user: ada }, []])
    }
  }
})

t.test('a denylist does not keep the process alive', { timeout: 60_000 }, t => {
  const code = `
    import { denylist } from './lib/index.js'
    const never = () => new Promise(() => {})
    const list = denylist({ get: never, set: never, delete: never })
    list.check({ id: 'a' }).catch(() => {})
    list.revoke({ id: 'a', createdAt: new Date(), expiresAt: new Date(Date.now() + 1e6) }).catch(() => {})
    console.log('asked')
  `
  const { status, signal, stdout } = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', code], {
    cwd: root, encoding: 'utf8', timeout: 20_000
  })
  t.same([status, signal, stdout], [0, null, 'asked\n'])
  t.end()
})

t.test('sixteen nodes that change one session concurrently lose no change', async t => {
  const store = new TestStore('replace')
  const names = Array.from({ length: 16 }, (_, nth) => `key${nth}`)
  const more = Object.fromEntries(names.map(name => [name, (request: Parameters<typeof bag>[0]) => { bag(request)[name] = 1 }]))
  const nodes = await Promise.all(names.map(async () => {
    const own = store.beside()
    own.before.set('get', async () => await immediate()).set('replace', async () => { await immediate(); await immediate() })
    return await makeNode({ store: own }, more)
  }))
  const browser = await startOn(nodes[0]!)
  const answers = names.map(async (name, nth) => await copyOf(browser, nodes[nth]!).get(`/late/${name}`))
  await Promise.all(names.map(async (name, nth) => await nodes[nth]!.gates.arrival(name)))
  names.forEach((name, nth) => nodes[nth]!.gates.open(name))
  t.same((await Promise.all(answers)).map(({ status }) => status), names.map(() => 200))
  t.same((await seen(browser)).data, { user: ada, ...Object.fromEntries(names.map(name => [name, 1])) })
})

/** An `isRevoked` that receives the data of the session as its third argument. */
type Check = (info: SessionInfo, request?: unknown, data?: Record<string, unknown>) => boolean

t.test('isRevoked receives the data of the session', async t => {
  const kinds: Record<string, () => Partial<SessionOptions>> = {
    'the cookie': () => ({}),
    'a store': () => ({ store: new TestStore() }),
    'an overflow': () => ({ store: new TestStore(), storage: 'overflow' }),
    'iron-webcrypto': () => ({ iron: { encryption: { iterations: 2 } } })
  }
  for (const [kind, options] of Object.entries(kinds)) {
    const asked: Array<{ url: string | undefined, data: unknown }> = []
    const check: Check = (_info, request, data) => {
      asked.push({ url: (request as { url: string } | undefined)?.url, data: structuredClone(data) })
      return data?.user !== undefined && (data.user as { id: string }).id === 'banned'
    }
    for (const isRevoked of [check, { check, revoke: () => {} }]) {
      const node = await makeNode({ ...options(), isRevoked: isRevoked as SessionOptions['isRevoked'] }, {
        ban: request => { request.session.user = { id: 'banned', name: 'B' } }
      })
      const browser = await startOn(node)
      asked.length = 0
      t.same((await seen(browser)).data, { user: ada }, kind)
      t.same(asked.splice(0), [{ url: '/data', data: { user: ada } }])
      t.match(await node.app.session.unseal(browser.cookies.get('session')!), { ok: true, data: { user: ada } })
      t.same(asked.splice(0), [{ url: undefined, data: { user: ada } }])
      const banned = await startOn(node, '/ban')
      const { json, setCookies } = await banned.get('/data')
      t.same([json, setCookies], [{ data: {}, reason: 'revoked' }, []], 'isRevoked can decide by the data')
      t.same(await node.app.session.unseal(banned.cookies.get('session')!), { ok: false, reason: 'revoked' })
    }
  }
})

t.test('a timeout above 400 days is rejected with a hint about milliseconds', async t => {
  const refusal = { code: 'FST_SESSION_INVALID_OPTION', message: /idleTimeout.*seconds, not milliseconds/s }
  for (const idleTimeout of [400 * DAY + 1, 14 * DAY * 1000, 1e12]) {
    await t.rejects(makeApp({ idleTimeout, absoluteTimeout: false }).then(async app => await app.ready()), refusal)
    t.throws(() => createSealer({ secret, idleTimeout, absoluteTimeout: false }), refusal)
  }
  await t.resolves(makeApp({ idleTimeout: 400 * DAY, absoluteTimeout: false }).then(async app => await app.ready()))

  const node = await makeNode({}, {
    long: request => { request.session.persist(400 * DAY + 1) }, most: request => { request.session.persist(400 * DAY) }
  })
  t.match(await (await startOn(node)).get('/long'), { status: 500, json: { code: 'FST_SESSION_INVALID_OPTION', message: /persist.*seconds, not milliseconds/s } })
  t.equal((await (await startOn(node)).get('/most')).status, 200)
})

t.test('an explicit idleTimeout that is longer than absoluteTimeout is rejected', async t => {
  for (const [idleTimeout, absoluteTimeout] of [[101, 100], [91 * DAY, undefined], [400 * DAY, 90 * DAY]] as const) {
    const options = { idleTimeout, ...absoluteTimeout !== undefined && { absoluteTimeout } }
    await t.rejects(makeApp(options).then(async app => await app.ready()), { code: 'FST_SESSION_INVALID_OPTION', message: /absoluteTimeout/ })
  }
  for (const options of [{ absoluteTimeout: 100 }, { idleTimeout: 100, absoluteTimeout: 100 }, { idleTimeout: 400 * DAY, absoluteTimeout: false as const }]) {
    await t.resolves(makeApp(options).then(async app => await app.ready()), JSON.stringify(options))
  }
  const browser = await startOn(await makeNode({ absoluteTimeout: 100 }))
  t.match((await browser.get('/touch')).setCookies, [/Max-Age=(?:99|100);/])
})
