import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { ada, clears, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Acts } from './fixtures/nodes.js'
import { TestStore } from './fixtures/stores.js'

// While the store or the denylist is unavailable, a session can still be ended in the browser. Everything else fails.

const down = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:6379'), { code: 'ECONNREFUSED' })

/** An error handler that responds with the error's code and leaves the status to Fastify. */
const codes = (app: FastifyInstance): void => {
  app.setErrorHandler(async (error: Error & { code: string }) => ({ code: error.code }))
}

const away: Record<string, () => { away: TestStore, options: Partial<SessionOptions> }> = {
  'the store': () => {
    const store = new TestStore('touch', 'replace')
    return { away: store, options: { store } }
  },
  'the denylist': () => {
    const list = new TestStore()
    return { away: list, options: { isRevoked: denylist(list) } }
  }
}
for (const [what, make] of Object.entries(away)) {
  t.test(`a logout while ${what} is unavailable clears the cookie and responds with 503`, async t => {
    for (const prepare of [undefined, codes]) {
      const { away, options } = make()
      const node = await makeNode(options, { delete: request => { request.session.delete() } }, prepare)
      for (const url of ['/logout', '/delete']) {
        const browser = await startOn(node)
        const copy = copyOf(browser)
        for (const method of ['get', 'set', 'delete'] as const) away.fails.set(method, down)
        const { status, json, setCookies, headers } = await browser.get(url)
        t.same([status, json.code, clears(setCookies), browser.cookies.size], [503, 'FST_SESSION_STORE', true, 0], url)
        t.match(headers.vary, 'Cookie')
        t.match(headers['cache-control'], /private|no-store/)
        away.fails.clear()
        t.same((await seen(copy)).data, { user: ada }, 'the session itself could not be ended')
      }
    }
  })

  t.test(`a logout that began while ${what} was unavailable succeeds if it is back by the end of the request`, async t => {
    const { away, options } = make()
    const node = await makeNode(options, {
      logout: request => {
        request.session.destroy()
        away.fails.clear()
      }
    })
    const browser = await startOn(node)
    const copy = copyOf(browser)
    away.fails.set('get', down)
    const { status, setCookies } = await browser.get('/logout')
    t.same([status, clears(setCookies)], [200, true])
    t.same((await seen(copy)).data, {})
  })

  t.test(`while ${what} is unavailable, a session can be ended and nothing else`, async t => {
    const uses: Record<string, (session: Record<string, unknown>) => unknown> = {
      'reading a key': session => session.user,
      'reading a key that is not there': session => session.toString,
      'setting a key': session => { session.views = 1 },
      'deleting a key': session => Reflect.deleteProperty(session, 'user'),
      'looking for a key': session => 'user' in session,
      keys: session => Object.keys(session),
      spreading: session => ({ ...session }),
      'JSON.stringify': session => JSON.stringify(session),
      get: session => (session.get as (key: string) => unknown)('user'),
      set: session => (session.set as (key: string, value: unknown) => unknown)('views', 1),
      clear: session => (session.clear as () => unknown)(),
      regenerate: session => (session.regenerate as () => unknown)(),
      touch: session => (session.touch as () => unknown)(),
      data: session => (session.data as () => unknown)(),
      info: session => session.info,
      changed: session => session.changed
    }
    const thrown: Record<string, unknown> = {}
    const { away, options } = make()
    const node = await makeNode(options, {
      use: request => {
        const session = request.session as unknown as Record<string, unknown>
        for (const [how, use] of Object.entries(uses)) {
          try {
            thrown[how] = use(session)
          } catch (error) {
            thrown[how] = (error as { code: string }).code
          }
        }
        return {}
      },
      one: request => ({ user: request.session.user })
    })
    const browser = await startOn(node)
    away.fails.set('get', down)
    const { setCookies } = await browser.get('/use')
    t.same(thrown, Object.fromEntries(Object.keys(uses).map(how => [how, 'FST_SESSION_STORE'])))
    t.same(setCookies, [])
    t.match(await browser.get('/one'), { status: 503, json: { code: 'FST_SESSION_STORE' }, setCookies: [], headers: { vary: 'Cookie' } })
    away.fails.clear()
    t.same((await seen(browser)).data, { user: ada })
  })
}

const failing: Acts = {
  unauthorized: (request, reply) => { request.session.views = 1; reply.code(401); return { ok: false } },
  created: (request, reply) => { request.session.views = 1; reply.code(201); return { ok: true } },
  plain: request => { request.session.views = 1 },
  own: request => { request.session.views = 1; throw Object.assign(new Error('of the app'), { statusCode: 403, code: 'OWN' }) },
  date: (request, reply) => { request.session.any = new Date(); reply.code(401); return {} },
  dateCreated: (request, reply) => { request.session.any = new Date(); reply.code(201); return {} }
}

t.test('destroy() in the error handler of a failed save clears the cookie', async t => {
  for (const [url, code] of [['/plain', 503], ['/date', 500]] as const) {
    const store = new TestStore()
    const node = await makeNode({ store }, failing, app => {
      app.setErrorHandler(async (error: Error & { code: string }, request) => { request.session.destroy(); return { code: error.code } })
    })
    const browser = await startOn(node)
    store.fails.set('set', down)
    const { status, setCookies } = await browser.get(url)
    t.same([status, clears(setCookies), browser.cookies.size], [code, true, 0], url)
  }
})

t.test('destroy() after a commit that failed clears the cookie', async t => {
  const store = new TestStore()
  const node = await makeNode({ store }, {
    caught: async (request, reply) => {
      request.session.views = 1
      await node.app.session.commit(request, reply).catch(() => { request.session.destroy() })
      return {}
    }
  })
  const browser = await startOn(node)
  store.fails.set('set', down).set('delete', down)
  const { status, setCookies } = await browser.get('/caught')
  t.same([status, clears(setCookies)], [503, true])
})

for (const [handler, prepare] of [['Fastify\'s own error handler', undefined], ['an error handler of the app', codes]] as const) {
  t.test(`a save that the store rejects responds with 503, whatever status the app had set, with ${handler}`, async t => {
    for (const url of ['/plain', '/unauthorized', '/created', '/own']) {
      for (const visits of [0, 1]) {
        const store = new TestStore()
        const node = await makeNode({ store }, failing, prepare)
        const browser = await startOn(node, visits === 0 ? '/data' : '/start')
        store.fails.set('set', down)
        const { status, json, setCookies } = await browser.get(url)
        t.same([status, json.code, setCookies], [503, 'FST_SESSION_STORE', []], `${url} of a session with ${visits} visits`)
      }
    }
  })

  t.test(`a session that cannot be serialized responds with 500, whatever status the app had set, with ${handler}`, async t => {
    for (const options of [{ store: new TestStore() }, {}, { iron: { encryption: { iterations: 2 } } }]) {
      const node = await makeNode(options, failing, prepare)
      for (const url of ['/date', '/dateCreated']) {
        const { status, json, setCookies } = await (await startOn(node)).get(url)
        t.same([status, json.code, setCookies], [500, 'FST_SESSION_NOT_SERIALIZABLE', []], url)
      }
    }
  })
}
