import t from 'tap'
import { count, Jar, makeApp, read } from './fixtures/app.js'

const DAY = 86_400_000
const routes = { '/count': count, '/read': read, '/untouched': () => {} }

t.test('by default a session ends after 14 days without use, plus a minute of clock skew', async t => {
  t.clock.enter()
  const jar = new Jar(await makeApp({}, routes))
  t.match((await jar.get('/count')).setCookies, [/; Max-Age=1209600;/])
  const cookie = jar.cookies.get('session')!
  t.clock.advance(14 * DAY + 59_999)
  t.match((await jar.get('/read')).json, { views: 1, reason: null })
  jar.cookies.set('session', cookie)
  t.clock.advance(1)
  t.match((await jar.get('/read')).json, { views: null, reason: 'expired' })
})

t.test('a session is renewed by use after half of its idle timeout', async t => {
  t.clock.enter()
  const jar = new Jar(await makeApp({ idleTimeout: 100 }, routes))
  await jar.get('/count')
  t.clock.advance(50_000)
  t.same((await jar.get('/read')).setCookies, [])
  t.clock.advance(1)
  t.same((await jar.get('/untouched')).setCookies, [], 'an unread session is not used')
  const rolled = await jar.get('/read')
  t.match(rolled.setCookies, [/^session=Fe26.*; Max-Age=100;/])
  t.match(rolled.headers['cache-control'], 'private, no-cache')
  t.clock.advance(100_000)
  t.match((await jar.get('/read')).json, { views: 1 })
})

t.test('with rolling: false, only a change extends the session', async t => {
  t.clock.enter()
  const jar = new Jar(await makeApp({ idleTimeout: 100, rolling: false }, routes))
  await jar.get('/count')
  t.clock.advance(99_000)
  t.same((await jar.get('/read')).setCookies, [])
  t.equal((await jar.get('/count')).setCookies.length, 1)
  t.clock.advance(99_000)
  t.match((await jar.get('/read')).json, { views: 2 })
  t.clock.advance(62_000)
  t.match((await jar.get('/read')).json, { views: null, reason: 'expired' })
})

t.test('no use, touch or re-seal extends the absolute timeout, and Max-Age is limited by the rest of it', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100, absoluteTimeout: 250 }, {
    ...routes,
    '/touch': request => { request.session.touch() },
    '/again': request => { request.session.regenerate(['views']) }
  })
  const jar = new Jar(app)
  await jar.get('/count')
  t.clock.advance(90_000)
  await jar.get('/count')
  t.clock.advance(90_000)
  t.match((await jar.get('/touch')).setCookies, [/Max-Age=70;/])
  t.clock.advance(69_500)
  t.match((await jar.get('/touch')).setCookies, [/Max-Age=1;/])
  const cookie = jar.cookies.get('session')!
  t.clock.advance(500)
  t.match((await jar.get('/read')).json, { views: null, reason: 'outlived' })
  t.equal(jar.cookies.size, 0)
  jar.cookies.set('session', cookie)
  t.clock.advance(200_000)
  t.match((await jar.get('/read')).json, { reason: 'expired' }, 'past both it is expired')
  await jar.get('/count')
  t.clock.advance(90_000)
  t.match((await jar.get('/again')).setCookies, [/Max-Age=100;/], 'regenerate() starts it again')
})

t.test('absoluteTimeout: false lets a session live as long as it is used', async t => {
  t.clock.enter()
  const jar = new Jar(await makeApp({ absoluteTimeout: false }, routes))
  await jar.get('/count')
  for (let n = 0; n < 60; n++) {
    t.clock.advance(10 * DAY)
    await jar.get('/read')
  }
  t.match((await jar.get('/read')).json, { views: 1 })
})

t.test('persistent: false makes a cookie for the browser session, whose seal still expires', async t => {
  t.clock.enter()
  const app = await makeApp({ idleTimeout: 100, persistent: false }, {
    ...routes, '/remember': request => { request.session.persist(1000) }
  })
  const jar = new Jar(app)
  t.notMatch((await jar.get('/count')).setCookies[0], /Max-Age|Expires/)
  t.clock.advance(160_000)
  t.match((await jar.get('/read')).json, { reason: 'expired' })
  await jar.get('/count')
  t.match((await jar.get('/remember')).setCookies, [/Max-Age=1000/], 'a session can be persistent on its own')
})

t.test('setting the clock back neither ends a session nor throws', async t => {
  t.clock.enter()
  const start = Date.now()
  const jar = new Jar(await makeApp({ idleTimeout: 100 }, routes))
  t.clock.travel(start + DAY)
  await jar.get('/count')
  t.clock.travel(start)
  t.match((await jar.get('/count')).json, { views: 2 })
})

t.test('timeouts can be fractions of seconds', async t => {
  const jar = new Jar(await makeApp({ idleTimeout: 0.5, absoluteTimeout: 1000.5 }, routes))
  t.match((await jar.get('/count')).setCookies, [/Max-Age=1;/])
  t.match((await jar.get('/count')).json, { views: 2 })
})
