import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Jar, makeApp } from './fixtures/app.js'

const routes = {
  '/set': (request: { session: { any?: unknown }, headers: Record<string, unknown> }) => { request.session.any = randomBytes(Number(request.headers['x-size'])).toString('hex') },
  '/get': (request: { session: { any?: unknown } }) => ({ size: ((request.session.any ?? '') as string).length }),
  '/destroy': (request: { session: { destroy (): void } }) => { request.session.destroy() }
}
const size = (bytes: number): Record<string, string> => ({ 'x-size': String(bytes) })

t.test('a large session is split over several cookies and put together again', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, routes))
  const { setCookies } = await jar.get('/set', size(4000))
  t.same([...jar.cookies.keys()], ['session', 'session.1', 'session.2'])
  t.ok(setCookies.every(line => Buffer.byteLength(line) <= 4096))
  t.same((await jar.get('/get')).json, { size: 8000 })
  jar.cookies.set('session', [...jar.cookies.get('session')!].reverse().join(''))
  t.same((await jar.get('/get')).json, { size: 0 })
})

t.test('chunks that are no longer needed are cleared', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, routes))
  await jar.get('/set', size(4000))
  const { setCookies } = await jar.get('/set', size(10))
  t.match(setCookies, [/^session=Fe26/, /^session\.1=; Max-Age=0/, /^session\.2=; Max-Age=0/])
  t.same([...jar.cookies.keys()], ['session'])
  t.same((await jar.get('/get')).json, { size: 20 })
  await jar.get('/set', size(4000))
  await jar.get('/destroy')
  t.equal(jar.cookies.size, 0, 'destroy() clears all chunks')
})

t.test('a leftover chunk of a longer session does no harm', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, routes))
  await jar.get('/set', size(10))
  jar.cookies.set('session.1', 'left-over')
  t.same((await jar.get('/get')).json, { size: 20 })
})

t.test('the later of two concurrent responses wins, even if it has fewer chunks', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, routes))
  const other = new Jar(jar.app)
  await jar.get('/set', size(4000))
  await other.get('/set', size(2000))
  t.same([...jar.cookies.keys()].length, 3)
  t.same([...other.cookies.keys()].length, 2)
  for (const [name, value] of other.cookies) jar.cookies.set(name, value)
  t.same((await jar.get('/get')).json, { size: 4000 })
})

t.test('a forged chunk does not block the valid ones', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, routes))
  await jar.get('/set', size(4000))
  for (const header of [`session.1=junk; ${jar.header()}`, `${jar.header()}; session.1=junk; session.2=junk`, `session.2=A; session=Fe26.2; session.1=B; ${jar.header()}`]) {
    const response = await jar.app.inject({ url: '/get', headers: { cookie: header } })
    t.same(response.json(), { size: 8000 })
    t.equal(response.headers['set-cookie'], undefined)
  }
})

t.test('chunks are read whatever the current maxCookies is', async t => {
  const wide = new Jar(await makeApp({ maxCookies: 8 }, routes))
  await wide.get('/set', size(4000))
  const narrow = new Jar(await makeApp({ maxCookies: 1 }, routes))
  for (const [name, value] of wide.cookies) narrow.cookies.set(name, value)
  t.same((await narrow.get('/get')).json, { size: 8000 })
})

t.test('a session with a missing chunk is malformed, and all its chunks are cleared', async t => {
  const jar = new Jar(await makeApp({ maxCookies: 4 }, { ...routes, '/why': request => ({ reason: request.session.info.reason }) }))
  await jar.get('/set', size(4000))
  jar.cookies.delete('session.1')
  const { json, setCookies } = await jar.get('/why')
  t.same(json, { reason: 'malformed' })
  t.equal(setCookies.length, 2)
  t.equal(jar.cookies.size, 0)
})

t.test('chunks of two sessions with the same secret do not mix', async t => {
  const app = await makeApp({ maxCookies: 4 }, routes)
  const [one, two] = [new Jar(app), new Jar(app)]
  await one.get('/set', size(4000))
  await two.get('/set', size(4000))
  one.cookies.set('session.1', two.cookies.get('session.1')!)
  t.same((await one.get('/get')).json, { size: 0 })
})
