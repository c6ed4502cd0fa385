import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import ts from 'typescript'
import sessionPlugin, { createSealer } from '../lib/index.js'
import type { SessionStore } from '../lib/index.js'
import { count, Jar, makeApp, read, secret } from './fixtures/app.js'
import { listen, passport, WebSocket } from './fixtures/ecosystem.js'
import { blocksOf, readPage, root } from './fixtures/pages.js'
import { TestStore } from './fixtures/stores.js'

// What the documentation tells people to write, run as it is printed.

process.env.SESSION_SECRET = secret
// Inside the project, so that the snippets find the packages that they import.
const folder = mkdtempSync(join(root, 'test', 'snippets-'))
t.teardown(() => { rmSync(folder, { recursive: true }) })
let runs = 0

/** Runs the one snippet of a page that has these words, with what it takes as given. */
async function run (path: string, words: string, given: Record<string, unknown>, edit = (code: string) => code): Promise<void> {
  const found = blocksOf(readPage(path)).filter(({ language, code }) => ['js', 'ts'].includes(language) && code.includes(words))
  if (found.length !== 1) throw new Error(`${found.length} snippets of ${path} have ${words}`)
  const { outputText } = ts.transpileModule(edit(found[0]!.code), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } })
  const file = join(folder, `${runs++}.js`)
  writeFileSync(file, outputText.replaceAll("'fastify-sealed-session'", "'../../lib/index.js'"))
  Object.assign(globalThis, { sessionPlugin, ...given })
  await import(pathToFileURL(file).href)
}

const user = { id: 'u1', name: 'Ada' }
const login = { method: 'POST', url: '/login', payload: { name: 'ada', password: 'lovelace' } } as const

t.test('log out everywhere, with a denylist', async t => {
  const app = Fastify()
  const { SESSION_SECRET } = process.env
  process.env.SESSION_SECRET = secret
  t.teardown(() => { if (SESSION_SECRET === undefined) delete process.env.SESSION_SECRET; else process.env.SESSION_SECRET = SESSION_SECRET })
  await run('README.md', 'userOf:', { app, store: new TestStore('getMany') })
  app.post('/login', async request => { request.session.regenerate(); request.session.user = user })
  app.get('/who', async request => ({ user: request.session.user?.id ?? null, reason: request.session.info.reason }))
  const [laptop, phone] = [new Jar(app), new Jar(app)]
  for (const jar of [laptop, phone]) jar.store(await app.inject(login))
  t.same((await phone.get('/who')).json, { user: 'u1', reason: null })
  await app.inject({ method: 'POST', url: '/logout-everywhere', headers: { cookie: laptop.header() } })
  for (const jar of [laptop, phone]) t.same((await jar.get('/who')).json, { user: null, reason: 'revoked' })
})

t.test('log out everywhere, with a number that is kept with the user', async t => {
  const generations = new Map([['u1', 1], ['u2', 1]])
  const given = {
    generationOf: async (id: string) => generations.get(id),
    nextGeneration: async (id: string) => { generations.set(id, generations.get(id)! + 1) },
    checkPassword: async ({ id }: { id: string }) => ({ id, name: id })
  }
  const app = Fastify()
  await run('docs/stores.md', "app.post('/logout-everywhere'", { app, ...given })
  app.get('/who', async request => ({ user: request.session.user?.id ?? null, reason: request.session.info.reason }))
  const jars = new Map<string, Jar>()
  for (const [name, id] of [['laptop', 'u1'], ['phone', 'u1'], ['other', 'u2']] as const) {
    const jar = new Jar(app)
    jar.store(await app.inject({ ...login, payload: { id } }))
    jars.set(name, jar)
  }
  const who = async (name: string): Promise<unknown> => (await jars.get(name)!.get('/who')).json
  t.same(await who('phone'), { user: 'u1', reason: null })
  await app.inject({ method: 'POST', url: '/logout-everywhere', headers: { cookie: jars.get('laptop')!.header() } })
  t.same(await who('phone'), { user: null, reason: 'revoked' })
  t.same(await who('laptop'), { user: null, reason: 'revoked' })
  t.same(await who('other'), { user: 'u2', reason: null })
})

t.test('sessions of cookies are moved into a store', async t => {
  const before = await makeApp({}, { '/count': count })
  const store = new TestStore()
  const after = await makeApp({ store }, { '/count': count, '/read': read, '/destroy': request => { request.session.destroy() } })
  await run('docs/stores.md', "reason !== 'not-stored'", { app: after })
  const jar = new Jar(before)
  await jar.get('/count')
  const moved = new Jar(after)
  moved.cookies.set('session', jar.cookies.get('session')!)
  t.same((await moved.get('/count')).json, { views: 2 })
  t.same(store.values, [{ views: 2 }])
  t.same((await moved.get('/read')).json, { views: 2, reason: null })
  const copy = moved.header()
  await moved.get('/destroy')
  t.equal((await new Jar(after).get('/read', { cookie: copy })).json.views, null, 'a session that ended in the store is not taken over again')
})

t.test('a store of one\'s own, and a page for an outage', async t => {
  const entries = new Map<string, string>()
  let isAway = false
  const answer = <T>(value: T): T => { if (isAway) throw new Error('away'); return value }
  const redis = {
    get: async (key: string) => answer(entries.get(key) ?? null),
    set: async (key: string, value: string, unit: string, ttl: number) => { t.match([unit, ttl > 0], ['PX', true]); entries.set(key, answer(value)) },
    del: async (key: string) => Number(answer(entries.delete(key))),
    pexpire: async () => 1
  }
  await run('docs/stores.md', 'redis.pexpire', { redis }, code => `${code}\nObject.assign(globalThis, { store })`)
  const { store } = globalThis as unknown as { store: SessionStore }
  const app = Fastify()
  await run('docs/stores.md', 'setErrorHandler', { app })
  await app.register(sessionPlugin, { secret, store })
  app.get('/count', count)
  const jar = new Jar(app)
  await jar.get('/count')
  t.same((await jar.get('/count')).json, { views: 2 })
  t.match([...entries.keys()], [/^session:[\w-]{22}$/])
  isAway = true
  t.match(await jar.get('/count'), { status: 503, headers: { 'retry-after': '5' }, json: { error: /back in a moment/ } })
})

t.test('sessions are switched off for a prefix', async t => {
  const app = Fastify()
  await run('docs/options.md', "startsWith('/assets/')", { app })
  await app.register(sessionPlugin, { secret })
  app.get('/assets/:file', count)
  app.get('/other', count)
  t.match(await new Jar(app).get('/assets/a'), { status: 500, json: { code: 'FST_SESSION_NOT_REGISTERED' } })
  t.match(await new Jar(app).get('/other'), { status: 200, json: { views: 1 } })
})

t.test('a quota by user or address cannot be multiplied by more sessions', async t => {
  const app = await makeApp({})
  await run('docs/plugins.md', 'rateLimit, {', { app }, code => code.replace('max: 100', 'max: 3'))
  app.get('/count', count)
  const statuses: number[] = []
  for (let visit = 0; visit < 4; visit++) statuses.push((await new Jar(app).get('/count')).status)
  t.same(statuses, [200, 200, 200, 429])
  const cookie = await app.session.cookie({ user })
  t.equal((await new Jar(app).get('/count', { cookie })).status, 200, 'a user has a quota of their own')
})

t.test('an OAuth token that has expired is refreshed once, however many requests need it', async t => {
  const refreshed: string[] = []
  const refresh = async (token: string): Promise<object> => {
    refreshed.push(token)
    return { access: 'a2', refresh: 'r2', expiresAt: Date.now() + 3_600_000 }
  }
  const app = await makeApp({ store: new TestStore() })
  await run('docs/plugins.md', 'const refreshing', { app, refresh })
  app.get('/token', async ({ session }) => session.get('token' as never) ?? {})
  const cookie = await app.session.cookie({ token: { access: 'a1', refresh: 'r1', expiresAt: 0 } } as never)
  const answers = await Promise.all([1, 2, 3].map(async () => await app.inject({ url: '/token', headers: { cookie } })))
  answers.push(await app.inject({ url: '/token', headers: { cookie } }))
  t.same(answers.map(answer => answer.json<{ access: string }>().access), ['a2', 'a2', 'a2', 'a2'])
  t.same(refreshed, ['r1'])
})

t.test('requests of other origins are rejected by what the browser says of them', async t => {
  const app = await makeApp({})
  await run('docs/security.md', 'sec-fetch-site', { app })
  app.post('/', async () => ({}))
  app.get('/', async () => ({}))
  const statusOf = async (method: 'GET' | 'POST', site?: string): Promise<number> =>
    (await app.inject({ method, url: '/', headers: site === undefined ? {} : { 'sec-fetch-site': site } })).statusCode
  t.same([await statusOf('POST', 'same-origin'), await statusOf('POST'), await statusOf('GET', 'cross-site')], [200, 200, 200])
  t.same([await statusOf('POST', 'same-site'), await statusOf('POST', 'cross-site')], [403, 403])
})

t.test('a session is saved though a server of GraphQL writes to the raw reply', async t => {
  const app = await makeApp({})
  t.teardown(() => app.close())
  const graphql = async (_request: unknown, reply: ServerResponse): Promise<void> => {
    reply.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }
  await run('docs/plugins.md', 'await graphql(', { app, graphql })
  const response = await fetch(`${await listen(app)}/graphql`, { method: 'POST' })
  t.equal(response.headers.get('content-type'), 'application/json')
  const token = /^session=(.*?);/.exec(response.headers.getSetCookie()[0]!)![1]!
  t.match(await createSealer({ secret }).unseal(token), { ok: true, data: { views: 1 } })
})

for (const [how, words, url] of [['@fastify/websocket', 'websocket: true', '/live'], ['a raw upgrade', "'upgrade'", '/']] as const) {
  t.test(`a socket by ${how} needs a session and the right origin`, async t => {
    const app = await makeApp({})
    t.teardown(() => app.close())
    await run('docs/plugins.md', words, { app })
    const host = (await listen(app)).replace('http', 'ws')
    const cookie = await app.session.cookie({ user })
    const origin = 'https://app.example'
    const open = async (headers: Record<string, string>): Promise<string> => {
      const socket = new WebSocket(`${host}${url}`, { headers })
      const [event] = await Promise.race([once(socket, 'open').then(() => ['open']), once(socket, 'error') as Promise<[Error]>])
      socket.close()
      return event instanceof Error ? event.message : event as string
    }
    t.equal(await open({ cookie, origin }), 'open')
    t.match(await open({ cookie, origin: 'https://evil.example' }), /40[13]/)
    t.match(await open({ cookie }), /40[13]/)
    t.match(await open({ origin }), /401/)
    t.match(await open({ origin, cookie: 'session=forged' }), /401/)
  })
}

t.test('what a response has saved, and expiry, are tested as the page on testing shows', async t => {
  const app = await makeApp({})
  app.post('/login', async request => { request.session.user = { id: 'u1', name: 'Ada' }; return {} })
  app.get('/', async request => ({ user: request.session.user?.name ?? null }))
  await run('docs/testing.md', 'response.cookies.find', { app })
  await run('docs/testing.md', 'mock.timers', { app })
  await run('docs/testing.md', 'user: { id:', { app }, code => `${code}\nObject.assign(globalThis, { response })`)
  t.same((globalThis as unknown as { response: { json: () => unknown } }).response.json(), { user: 'Ada' })
})

t.test('a test logs a user of @fastify/passport in as the page on testing shows', async t => {
  const authenticator = new passport.Authenticator()
  authenticator.registerUserDeserializer(async name => ({ name }))
  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  await app.register(authenticator.initialize())
  await app.register(authenticator.secureSession())
  app.get('/me', async request => request.user)
  await run('docs/testing.md', 'passport: ', { app }, code => `${code}\nObject.assign(globalThis, { response })`)
  t.same((globalThis as unknown as { response: { json: () => unknown } }).response.json(), { name: 'u1' })
})
