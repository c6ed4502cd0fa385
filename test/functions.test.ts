import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { hasFunction } from '../lib/json.js'
import { count, Jar, makeApp, read } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

const values: Record<string, unknown> = {
  'a function': () => {},
  'a symbol': Symbol('x'),
  'a function in an object': { deep: { one: () => {} } },
  'a method of an instance': { list: [1, { call () {} }] }
}
const set = (value: unknown): Parameters<typeof makeApp>[1] => ({
  '/count': count,
  '/read': read,
  '/nested': request => { request.session.any = { deep: {}, list: [1, {}] } },
  '/set': request => { request.session.any = value },
  '/into': request => {
    const { any } = request.session as unknown as { any: { deep: Record<string, unknown>, list: [number, Record<string, unknown>] } }
    any.deep.one = value
    any.list[1].two = value
  },
  '/changed': request => { request.session.any = value; return { changed: request.session.changed } },
  '/dropped': request => { request.session.any = value; delete request.session.any }
})

const kinds: Record<string, () => Partial<SessionOptions>> = {
  'in the cookie': () => ({}),
  'in a store': () => ({ store: new TestStore() }),
  'with iron-webcrypto': () => ({ iron: { integrity: { iterations: 2 } } })
}
for (const [kind, options] of Object.entries(kinds)) {
  for (const [what, value] of Object.entries(values)) {
    t.test(`${kind}: ${what} is an error where nothing else has changed`, async t => {
      const app = await makeApp(options(), set(value))
      for (const prepare of ['/read', '/count']) {
        const jar = new Jar(app)
        await jar.get(prepare)
        const before = jar.header()
        t.match((await jar.get('/set')).json, { code: 'FST_SESSION_NOT_SERIALIZABLE', message: /"any.*is a (?:function|symbol): only JSON values/ }, prepare)
        t.equal(jar.header(), before)
        t.equal((await jar.get('/dropped')).status, 200)
      }
    })
  }

  t.test(`${kind}: a function that is put into nested data is an error with its path`, async t => {
    const jar = new Jar(await makeApp(options(), set(() => {})))
    await jar.get('/nested')
    t.match((await jar.get('/into')).json, { code: 'FST_SESSION_NOT_SERIALIZABLE', message: /"any\.deep\.one" is a function/ })
    t.equal((await jar.get('/read')).status, 200)
  })
}

t.test('a session with a function counts as changed', async t => {
  const app = await makeApp({}, set(() => {}), {}, app => { app.setErrorHandler((_error, request) => ({ changed: request.session.changed })) })
  t.same((await new Jar(app).get('/changed')).json, { changed: true })
})

t.test('an inherited function is none of the data', async t => {
  const inherits = Object.assign(Object.create({ inherited () {} }) as object, { a: 1 })
  t.equal(hasFunction({ a: { b: [inherits] } }), false)
  t.equal(hasFunction({ a: { b: [inherits, { c () {} }] } }), true)
})
