import t from 'tap'
import { count, Jar, logTo, makeApp, olderSecret, read, secret, setCookiesOf } from './fixtures/app.js'

t.test('a session that was not read, changed or filled sets no cookie', async t => {
  const app = await makeApp({}, {
    '/count': count,
    '/untouched': () => {},
    '/read': read,
    '/same': request => { request.session.views = 1 }
  })
  const jar = new Jar(app)
  for (const url of ['/untouched', '/read']) t.same((await jar.get(url)).setCookies, [], url)
  await jar.get('/count')
  for (const url of ['/untouched', '/read', '/same']) t.same((await jar.get(url)).setCookies, [], url)
})

t.test('an empty session needs no cookie', async t => {
  const app = await makeApp({}, { '/read': read, '/touch': request => { request.session.touch() } })
  const cookie = await app.session.cookie({})
  t.same(setCookiesOf(await app.inject({ url: '/read', headers: { cookie } })), [])
  t.match(setCookiesOf(await app.inject({ url: '/touch', headers: { cookie } })), [/^session=; Max-Age=0/])
})

t.test('a nested change is saved', async t => {
  const app = await makeApp({}, {
    '/set': request => { request.session.any = { list: [{ n: 1 }] } },
    '/push': request => { (request.session.any as { list: unknown[] }).list.push({ n: 2 }) },
    '/get': request => request.session.any
  })
  const jar = new Jar(app)
  await jar.get('/set')
  await jar.get('/push')
  t.same((await jar.get('/get')).json, { list: [{ n: 1 }, { n: 2 }] })
})

t.test('each cookie has one Set-Cookie, and cookies set by others are left alone', async t => {
  const app = await makeApp({}, {
    '/': (request, reply) => {
      request.session.views = 1
      reply.setCookie('session', 'of another plugin')
      reply.setCookie('sessions', 'a longer name')
      reply.header('set-cookie', 'session.1=a chunk of ours; Path=/')
      reply.header('set-cookie', ['raw=1', 'session.x=not ours'])
    }
  })
  const setCookies = setCookiesOf(await app.inject('/'))
  t.same(setCookies.map(line => line.slice(0, line.indexOf('='))).sort(), ['raw', 'session', 'session.x', 'sessions'])
  t.match(setCookies.find(line => line.startsWith('session=')), /^session=Fe26/)
})

t.test('a session cookie set by other code is replaced, even if it is the only Set-Cookie', async t => {
  const app = await makeApp({}, { '/': (request, reply) => { request.session.views = 1; reply.header('set-cookie', 'session=x') } })
  t.match(setCookiesOf(await app.inject('/')), [/^session=Fe26/])
})

t.test('an error response saves the session like any other', async t => {
  const app = await makeApp({}, {
    '/count': count,
    '/throw': request => { request.session.note = 'before the error'; throw new Error('of the app') },
    '/get': request => request.session.data()
  })
  const jar = new Jar(app)
  t.equal((await jar.get('/throw')).status, 500)
  t.same((await jar.get('/get')).json, { note: 'before the error' })
})

t.test('an error after destroy() or clear() does not bring the session back', async t => {
  const app = await makeApp({}, {
    '/count': count,
    '/destroy': request => { request.session.destroy(); throw new Error('of the app') },
    '/clear': request => { request.session.clear(); throw new Error('of the app') }
  }, {}, app => {
    app.setErrorHandler((_error, request, reply) => { reply.code(500).send({ deleted: request.session.deleted }) })
  })
  const jar = new Jar(app)
  for (const url of ['/destroy', '/clear']) {
    await jar.get('/count')
    const answer = await jar.get(url)
    t.same(answer.json, { deleted: url === '/destroy' })
    t.match(answer.setCookies, [/^session=; Max-Age=0/])
    t.equal(jar.cookies.size, 0)
  }
})

t.test('a cookie that can never be valid again is cleared', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100, absoluteTimeout: 300 }, { '/count': count, '/': request => ({ reason: request.session.info.reason }) })
  const good = (await app.session.cookie({ views: 1 })).slice('session='.length)
  const lasting = await app.session.seal({ views: 1 }, { idleTimeout: 1000 })
  const cases: Array<[cookie: string, reason: string]> = [
    ['', 'malformed'],
    ['garbage', 'malformed'],
    [`${good}x`, 'malformed'],
    [good.replace(/.{43}$/, 'A'.repeat(43)), 'tampered'],
    [good, 'expired'],
    [lasting, 'outlived']
  ]
  t.clock.advance(301_000)
  for (const [cookie, reason] of cases) {
    const response = await app.inject({ url: '/', headers: { cookie: `session=${cookie}` } })
    t.same(response.json(), { reason })
    t.match(setCookiesOf(response), [/^session=; Max-Age=0; .*Path=\/; HttpOnly; SameSite=Lax$/], reason)
    const next = await app.inject({ url: '/count', headers: { cookie: `session=${cookie}` } })
    t.match(setCookiesOf(next), [/^session=Fe26/], 'unless there is a new session to set')
  }
})

t.test('a cookie that another node or app may be able to read is left alone', async t => {
  const { seal, defaults } = await import('iron-webcrypto')
  const { createSealer } = await import('../lib/index.js')
  const app = await makeApp({}, { '/': request => ({ reason: request.session.info.reason }) })
  const cases: Array<[cookie: string, reason: string]> = [
    [await createSealer({ secret: olderSecret }).seal({ views: 1 }), 'unknown-key'],
    [await createSealer({ secret, sessionName: 'admin' }).seal({ views: 1 }), 'wrong-name'],
    [await seal({ reset: 'password' }, secret, defaults), 'foreign']
  ]
  for (const [cookie, reason] of cases) {
    const response = await app.inject({ url: '/', headers: { cookie: `session=${cookie}` } })
    t.same(response.json(), { reason })
    t.same(setCookiesOf(response), [], reason)
  }
})

t.test('the first of several cookies of the name that opens is used', async t => {
  const app = await makeApp({}, { '/': request => ({ views: request.session.views ?? null, reason: request.session.info.reason }) })
  const [one, two] = [await app.session.cookie({ views: 1 }), await app.session.cookie({ views: 2 })]
  const get = async (cookie: string): Promise<unknown> => (await app.inject({ url: '/', headers: { cookie } })).json()
  t.same(await get(`session=bad; ${one}; ${two}`), { views: 1, reason: null })
  t.same(await get(`${two}; session=bad; other=x`), { views: 2, reason: null })
  const { createSealer } = await import('../lib/index.js')
  const foreign = await createSealer({ secret: olderSecret }).seal({})
  t.same(await get(`session=bad; session=${foreign}`), { views: null, reason: 'unknown-key' }, 'a value that is not a seal is not tried')
  const forged = one.replace(/.$/, last => last === 'A' ? 'E' : 'A')
  const mixed = await app.inject({ url: '/', headers: { cookie: `${forged}; session=${foreign}` } })
  t.match(mixed.json(), { reason: 'tampered' })
  t.same(setCookiesOf(mixed), [], 'cleared only if all of them must be cleared')
})

t.test('no cookie is cleared if not every cookie of the name could be tried', async t => {
  const app = await makeApp({}, { '/read': read })
  const cookie = await app.session.cookie({ views: 1 })
  const decoys = Array.from({ length: 16 }, (_, n) => cookie.replace(/\*\d+\*/, `*${n + 1}*`)).join('; ')
  const response = await app.inject({ url: '/read', headers: { cookie: `${decoys}; ${cookie}` } })
  t.match(response.json(), { views: null, reason: 'tampered' })
  t.equal(response.headers['set-cookie'], undefined)
})

t.test('Vary: Cookie is added once if the session was read', async t => {
  const app = await makeApp({}, {
    '/untouched': () => {},
    '/read': read,
    '/beside': (request, reply) => { reply.header('vary', 'Accept'); return read(request, reply) },
    '/list': (request, reply) => { reply.header('vary', ['Accept', 'cookie']); return read(request, reply) },
    '/there': (request, reply) => { reply.header('vary', 'accept, Cookie'); request.session.views = 1 },
    '/star': (request, reply) => { reply.header('vary', '*'); return read(request, reply) },
    '/other': (request, reply) => { reply.header('vary', 'X-Cookie-Policy'); return read(request, reply) }
  })
  const vary = async (url: string): Promise<unknown> => (await app.inject(url)).headers.vary
  t.equal(await vary('/untouched'), undefined)
  t.equal(await vary('/read'), 'Cookie')
  t.equal(await vary('/beside'), 'Accept, Cookie')
  t.same(await vary('/list'), ['Accept', 'cookie'])
  t.equal(await vary('/there'), 'accept, Cookie')
  t.equal(await vary('/star'), '*')
  t.equal(await vary('/other'), 'X-Cookie-Policy, Cookie')
})

t.test('a response that sets or clears a session cookie is kept out of shared caches', async t => {
  const app = await makeApp({}, {
    '/count': count,
    '/read': read,
    '/public': (request, reply) => { reply.header('cache-control', 'public, max-age=60'); request.session.views = 7 },
    '/field': (request, reply) => { reply.header('cache-control', 'private="X-Name"'); request.session.views = 8 },
    '/private': (request, reply) => { reply.header('cache-control', 'Private, max-age=60'); request.session.views = 9 },
    '/never': (request, reply) => { reply.header('cache-control', 'no-store'); request.session.destroy() }
  })
  const jar = new Jar(app)
  const cacheControl = async (url: string): Promise<unknown> => (await jar.get(url)).headers['cache-control']
  t.equal(await cacheControl('/read'), undefined)
  t.equal(await cacheControl('/count'), 'private, no-cache')
  t.equal(await cacheControl('/read'), undefined)
  t.equal(await cacheControl('/public'), 'public, max-age=60, private')
  t.equal(await cacheControl('/field'), 'private="X-Name", private')
  t.equal(await cacheControl('/private'), 'Private, max-age=60')
  t.equal(await cacheControl('/never'), 'no-store')
})

t.test('with cacheHeaders: false, only the Set-Cookie header is changed', async t => {
  const app = await makeApp({ cacheHeaders: false }, { '/count': count, '/read': read })
  for (const url of ['/count', '/read']) {
    const { headers } = await app.inject(url)
    t.notOk('vary' in headers || 'cache-control' in headers)
  }
})

t.test('a session sealed with an older secret is sealed with the newest one when it is read', async t => {
  const old = await makeApp({ secret: olderSecret }, { '/count': count })
  const both = await makeApp({ secret: [secret, olderSecret] }, { '/count': count, '/read': request => ({ views: request.session.views }), '/untouched': () => {} })
  const jar = new Jar(old)
  await jar.get('/count')
  const next = new Jar(both)
  next.cookies.set('session', jar.cookies.get('session')!)
  t.same((await next.get('/untouched')).setCookies, [])
  const read = await next.get('/read')
  t.same(read.json, { views: 1 })
  t.equal(read.setCookies.length, 1)
  t.same((await next.get('/read')).setCookies, [], 'once')
  const newest = new Jar(await makeApp({}, { '/count': count }))
  newest.cookies.set('session', next.cookies.get('session')!)
  t.same((await newest.get('/count')).json, { views: 2 }, 'the older secret can be retired')
})

t.test('every rejection is logged at debug level, with reason and name and without the value', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = await makeApp({}, { '/': read }, logTo(lines))
  const cookie = `${await app.session.cookie({ note: 'my private note' })}x`
  await app.inject({ url: '/', headers: { cookie } })
  await app.inject('/')
  const rejections = lines.filter(line => 'reason' in line)
  t.match(rejections, [{ level: 20, sessionName: 'session', reason: 'malformed', msg: 'session cookie rejected' }])
  t.notMatch(JSON.stringify(lines), cookie.slice(20, 60))
  t.notMatch(JSON.stringify(lines), 'my private note')
})

t.test('secure follows the protocol by default, and is on in production', async t => {
  const proxied = await makeApp({}, { '/count': count }, { trustProxy: true })
  t.match(setCookiesOf(await proxied.inject({ url: '/count', headers: { 'x-forwarded-proto': 'https' } })), [/; Secure/])
  t.notMatch(setCookiesOf(await proxied.inject('/count')), [/; Secure/])
  const { NODE_ENV } = process.env
  t.teardown(() => { if (NODE_ENV === undefined) delete process.env.NODE_ENV; else process.env.NODE_ENV = NODE_ENV })
  process.env.NODE_ENV = 'production'
  const app = await makeApp({}, { '/count': count })
  t.match(setCookiesOf(await app.inject('/count')), [/; Secure/], 'over plain HTTP too')
})

t.test('the other attributes of the cookie are those of the registration', async t => {
  const app = await makeApp({
    cookieName: '__Secure-sid',
    cookie: { path: '/app', domain: 'example.com', httpOnly: false, sameSite: 'none', priority: 'high', partitioned: true }
  }, { '/count': count })
  const [line] = setCookiesOf(await app.inject('/count'))
  t.same(line?.split('; ').slice(1).sort(),
    ['Domain=example.com', 'Max-Age=1209600', 'Partitioned', 'Path=/app', 'Priority=High', 'SameSite=None', 'Secure'])
})
