import { inspect } from 'node:util'
import t from 'tap'
import { errors } from '../lib/index.js'
import type { SessionInfo } from '../lib/index.js'
import { Jar, makeApp, secret } from './fixtures/app.js'

t.test('the session\'s own keys are only the data', async t => {
  const app = await makeApp({}, {
    '/set': request => { Object.assign(request.session, { note: 'hi', any: { deep: [1, { a: true }] } }) },
    '/get': request => {
      const { session } = request
      t.same(Object.keys(session), ['note', 'any'])
      t.same({ ...session }, { note: 'hi', any: { deep: [1, { a: true }] } })
      t.equal(JSON.stringify(session), '{"note":"hi","any":{"deep":[1,{"a":true}]}}')
      t.equal('note' in session, true)
      t.equal('toString' in session, false)
      const seen: string[] = []
      for (const key in session) seen.push(key)
      t.same(seen, ['note', 'any'])
      delete session.note
      t.same(session.data(), { any: { deep: [1, { a: true }] } })
    },
    '/left': request => ({ keys: Object.keys(request.session) })
  })
  const jar = new Jar(app)
  await jar.get('/set')
  t.equal((await jar.get('/get')).status, 200)
  t.same(await jar.get('/left').then(({ json }) => json), { keys: ['any'] })
})

t.test('console.log() shows the data and no secret', async t => {
  const app = await makeApp({}, { '/': request => { request.session.user = { id: 'u1', name: 'N' }; return inspect(request.session) } })
  const { body } = await new Jar(app).get('/')
  t.equal(body, "Session { user: { id: 'u1', name: 'N' } }")
})

t.test('names such as __proto__ and toString are keys like any other', async t => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'toJSON', 'then', 'length', '0']
  const app = await makeApp({}, {
    '/set': request => {
      const data = request.session as unknown as Record<string, unknown>
      for (const name of names) {
        t.equal(data[name], undefined, `${name} is unset`)
        if (name < 'm') data[name] = { of: name }
        else request.session.set(name as 'note', name)
      }
    },
    '/get': request => {
      const data = request.session as unknown as Record<string, unknown>
      t.same(Object.keys(data).sort(), [...names].sort())
      t.same(Object.getOwnPropertyDescriptor(data, '__proto__')?.value, { of: '__proto__' })
      t.equal(({} as Record<string, unknown>).of, undefined)
      request.session.regenerate(['__proto__' as 'note'])
      t.same(Object.keys(data), ['__proto__'])
      request.session.clear()
      t.same(Object.keys(data), [])
    }
  })
  const jar = new Jar(app)
  await jar.get('/set')
  await jar.get('/get')
})

t.test('get() and set() read and write the property', async t => {
  const app = await makeApp({}, {
    '/': request => {
      const { session } = request
      session.set('views', 1)
      t.equal(session.views, 1)
      session.views = 2
      t.equal(session.get('views'), 2)
      t.equal(session.get('note'), undefined)
      t.equal(session.get('get' as 'note'), undefined, 'a member is not data')
      t.equal(session.get('toString' as 'note'), undefined)
    }
  })
  await new Jar(app).get('/')
})

t.test('set() and assignment reject a key that would hide a member', async t => {
  const members = ['get', 'set', 'clear', 'regenerate', 'destroy', 'delete', 'touch', 'persist', 'options', 'data',
    'changed', 'deleted', 'info']
  const app = await makeApp({}, {
    '/': request => {
      for (const name of members) {
        const expected = { code: 'FST_SESSION_RESERVED_KEY', message: new RegExp(`"${name}"`) }
        t.throws(() => { (request.session as unknown as Record<string, unknown>)[name] = 1 }, expected)
        t.throws(() => { request.session.set(name as 'note', 'x') }, expected)
      }
      t.throws(() => Object.assign(request.session, { info: 1 }), errors.FST_SESSION_RESERVED_KEY)
      t.same(Object.keys(request.session), [])
    },
    '/define': request => { Object.defineProperty(request.session, 'get', { value: 1, enumerable: true, configurable: true }) }
  })
  const jar = new Jar(app)
  await jar.get('/')
  t.equal((await jar.get('/define')).json.code, 'FST_SESSION_RESERVED_KEY', 'saving rejects a key that was defined in another way')
})

t.test('assigning request.session throws an error that names regenerate()', async t => {
  const app = await makeApp({}, { '/': request => { (request as { session: unknown }).session = {} } })
  const { status, json } = await new Jar(app).get('/')
  t.equal(status, 500)
  t.match(json, { code: 'FST_SESSION_RESERVED_KEY', message: /regenerate\(\)/ })
})

t.test('clear() drops the data, keeps the id and clears the cookie', async t => {
  const ids: string[] = []
  const app = await makeApp({}, {
    '/set': request => { request.session.views = 1; ids.push(request.session.info.id) },
    '/clear': request => { request.session.clear(); ids.push(request.session.info.id) },
    '/refill': request => { request.session.clear(); request.session.note = 'x'; ids.push(request.session.info.id) }
  })
  const jar = new Jar(app)
  await jar.get('/set')
  const { setCookies } = await jar.get('/refill')
  t.match(setCookies, [/^session=Fe26/])
  t.match((await jar.get('/clear')).setCookies, [/^session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=\/; HttpOnly; SameSite=Lax$/])
  t.equal(jar.cookies.size, 0)
  t.same(ids, [ids[0], ids[0], ids[0]])
})

t.test('regenerate() sets a new id and creation time, and keeps only the given keys', async t => {
  t.clock.enter()
  const infos: SessionInfo[] = []
  const app = await makeApp({}, {
    '/set': request => { Object.assign(request.session, { views: 1, note: 'x' }); infos.push(request.session.info) },
    '/keep': request => { request.session.regenerate(['views', 'user']); infos.push(request.session.info) },
    '/get': request => { infos.push(request.session.info); return request.session.data() },
    '/drop': request => { request.session.regenerate() }
  })
  const jar = new Jar(app)
  await jar.get('/set')
  t.clock.advance(5000)
  t.equal((await jar.get('/keep')).setCookies.length, 1)
  t.same((await jar.get('/get')).json, { views: 1 })
  const [first, second, third] = infos as [SessionInfo, SessionInfo, SessionInfo]
  t.not(first.id, second.id)
  t.equal(second.id, third.id)
  t.equal(second.createdAt.getTime() - first.createdAt.getTime(), 5000)
  t.equal(second.isNew, true)
  t.match((await jar.get('/drop')).setCookies, [/Max-Age=0/], 'left empty, it clears the cookie')
  t.same((await jar.get('/drop')).setCookies, [], 'without a cookie in the request there is none to clear')
})

t.test('destroy() and delete() end the session, and data set afterwards starts a new one', async t => {
  const app = await makeApp({}, {
    '/set': request => { request.session.views = 1; return { id: request.session.info.id } },
    '/destroy': request => {
      request.session.destroy()
      t.match(request.session, { deleted: true, changed: true })
      t.same(Object.keys(request.session), [])
    },
    '/delete': request => { request.session.delete() },
    '/farewell': request => {
      const { id } = request.session.info
      request.session.destroy()
      request.session.note = 'bye'
      t.match(request.session, { deleted: false, changed: true, info: { isNew: true } })
      t.not(request.session.info.id, id)
    },
    '/get': request => ({ data: request.session.data() })
  })
  const jar = new Jar(app)
  for (const url of ['/destroy', '/delete']) {
    await jar.get('/set')
    t.match((await jar.get(url)).setCookies, [/^session=; Max-Age=0/])
    t.equal(jar.cookies.size, 0)
  }
  t.same((await jar.get('/destroy')).setCookies, [], 'without a cookie there is nothing to clear')
  await jar.get('/set')
  await jar.get('/farewell')
  t.same((await jar.get('/get')).json, { data: { note: 'bye' } })
})

t.test('info is a frozen object with id, times and reason', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100, absoluteTimeout: 150 }, {
    '/': request => {
      const { info } = request.session
      t.ok(Object.isFrozen(info))
      request.session.views = 1
      return info
    }
  })
  const jar = new Jar(app)
  const start = Date.now()
  const { json: fresh } = await jar.get('/')
  t.match(fresh, { isNew: true, reason: 'absent', id: /^[\w-]{22}$/ })
  t.same([fresh.createdAt, fresh.expiresAt], [new Date(start).toISOString(), new Date(start + 100_000).toISOString()])
  t.clock.advance(60_000)
  const { json: loaded } = await jar.get('/')
  t.match(loaded, { isNew: false, reason: null, id: fresh.id, createdAt: fresh.createdAt })
  const { json: rolled } = await jar.get('/')
  t.equal(rolled.expiresAt, new Date(start + 150_000).toISOString(), 'capped by the absolute timeout')
})

t.test('changed says whether there is anything to save', async t => {
  const app = await makeApp({}, {
    '/': request => {
      const { session } = request
      t.equal(session.changed, false)
      session.any = { list: [1] }
      t.equal(session.changed, true)
      session.clear()
      t.equal(session.changed, false, 'a new session that is empty again has not changed')
      session.touch()
      t.equal(session.changed, true)
      t.equal(session.deleted, false)
    },
    '/big': request => {
      request.session.any = 1n
      t.equal(request.session.changed, true)
      delete request.session.any
    }
  })
  const jar = new Jar(app)
  await jar.get('/')
  t.equal((await jar.get('/big')).status, 200)
})

t.test('data() is a deep copy', async t => {
  const app = await makeApp({}, {
    '/': request => {
      request.session.any = { list: [1] }
      const copy = request.session.data() as { any: { list: number[] } }
      copy.any.list.push(2)
      t.same(request.session.any, { list: [1] })
      t.equal(Object.getPrototypeOf(copy), Object.prototype)
      request.session.any = new Date()
      t.throws(() => request.session.data(), errors.FST_SESSION_NOT_SERIALIZABLE)
      request.session.clear()
    }
  })
  t.equal((await new Jar(app).get('/')).status, 200)
})

t.test('touch() and persist() seal the session again, but send nothing for an empty new session', async t => {
  const app = await makeApp({}, {
    '/touch': request => { request.session.touch() },
    '/persist': request => { request.session.persist(60) },
    '/set': request => { request.session.views = 1 }
  })
  const jar = new Jar(app)
  t.same((await jar.get('/touch')).setCookies, [])
  t.same((await jar.get('/persist')).setCookies, [])
  await jar.get('/set')
  t.match((await jar.get('/touch')).setCookies, [/^session=Fe26.*; Max-Age=1209600;/])
  t.match((await jar.get('/persist')).setCookies, [/^session=Fe26.*; Max-Age=60;/])
})

t.test('persist() sets the idle timeout of this session, and regenerate() resets it', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100 }, {
    '/login': request => { request.session.views = 1; request.session.persist(1000) },
    '/tab': request => { request.session.persist(false) },
    '/again': request => { request.session.regenerate(['views']) },
    '/get': request => ({ views: request.session.views ?? null }),
    '/bad': request => {
      for (const value of [0, -1, NaN, Infinity, '60', true, undefined]) {
        t.throws(() => { request.session.persist(value as number) }, { code: 'FST_SESSION_INVALID_OPTION', message: /persist/ })
      }
    }
  })
  const jar = new Jar(app)
  t.match((await jar.get('/login')).setCookies, [/Max-Age=1000/])
  t.clock.advance(400_000)
  t.same((await jar.get('/get')).setCookies, [], 'less than half of its own timeout has passed')
  t.clock.advance(200_000)
  const rolled = await jar.get('/get')
  t.same(rolled.json, { views: 1 })
  t.match(rolled.setCookies, [/Max-Age=1000/], 'it stays in effect after renewals')
  const [tab] = (await jar.get('/tab')).setCookies
  t.notMatch(tab, /Max-Age/)
  t.clock.advance(60_000)
  t.notMatch((await jar.get('/get')).setCookies[0], /Max-Age/, 'a cookie for the browser session does so too')
  t.match((await jar.get('/again')).setCookies, [/Max-Age=100;/])
  await jar.get('/bad')
})

t.test('options() sets the cookie attributes of this response', async t => {
  const app = await makeApp({}, {
    '/': request => {
      request.session.views = (request.session.views ?? 0) + 1
      request.session.options({ path: '/x', sameSite: 'strict', maxAge: 60, httpOnly: undefined, signed: true } as object)
    },
    '/plain': request => { request.session.views = 0 },
    '/bad': request => {
      t.throws(() => { request.session.options({ sameSite: 'none' }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /secure/ })
      t.throws(() => { request.session.options({ path: 'x' }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /cookie\.path/ })
      t.throws(() => { request.session.options({ maxAge: 0 }) }, { code: 'FST_SESSION_INVALID_OPTION' })
    },
    '/secure': request => {
      request.session.views = 5
      request.session.options({ secure: true })
      request.session.options({ sameSite: 'none' })
    }
  })
  const jar = new Jar(app)
  t.match((await jar.get('/')).setCookies, [/; Max-Age=60; Path=\/x; HttpOnly; SameSite=Strict$/])
  t.match((await jar.get('/plain')).setCookies, [/; Max-Age=60; Path=\/; HttpOnly; SameSite=Lax$/], 'persistent, with the registered attributes')
  await jar.get('/bad')
  t.match((await jar.get('/secure')).setCookies, [/; Secure; SameSite=None$/])
})

t.test('app.session seals, unseals and makes cookies for tests', async t => {
  const app = await makeApp({ sessionName: 'session', cookieName: 'sid' }, { '/': request => ({ user: request.session.user }) })
  const cookie = await app.session.cookie({ user: { id: 'u1', name: 'N' } })
  t.match(cookie, /^sid=Fe26\.2\*/)
  const response = await app.inject({ url: '/', headers: { cookie } })
  t.same(response.json(), { user: { id: 'u1', name: 'N' } })
  const token = await app.session.seal({ user: { id: 'u2', name: 'N' } }, { idleTimeout: 60 })
  const result = await app.session.unseal(token)
  t.match(result, { ok: true, data: { user: { id: 'u2', name: 'N' } }, info: { isNew: false, reason: null } })
  t.same(await app.session.unseal('nonsense'), { ok: false, reason: 'malformed' })
  t.notMatch(JSON.stringify(app.session), secret)
})
