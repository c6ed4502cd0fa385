import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import fastifyCookie from '@fastify/cookie'
import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import { getIronSession, sealData } from 'iron-session'
import { getIronSession as getIronSession9 } from 'iron-session-9'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import ts from 'typescript'
import { Jar, secret } from './fixtures/app.js'
import { missing, startRedis } from './fixtures/servers.js'

// The blocks of docs/migrating.md, run as they are printed, on cookies that the old packages themselves have made.

const root = resolve(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs', 'migrating.md'), 'utf8')
const parts = new Map(page.split(/^## /m).map(text => [text.slice(0, text.indexOf('\n')), text]))
const blocksOf = (text: string): string[] => [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
const fileOf = (code: string): string | undefined => /^\/\/ ([\w-]+\.ts)$/m.exec(code)?.[1]

// Their types declare another `request.session`.
const load = createRequire(import.meta.url)
const secureSession = load('@fastify/secure-session') as FastifyPluginCallback<Record<string, unknown>>
const fastifySession = load('@fastify/session') as FastifyPluginCallback<Record<string, unknown>> & { MemoryStore: new () => object }

const oldKey = Buffer.alloc(32, 7).toString('base64')
Object.assign(process.env, { SESSION_SECRET: secret, OLD_KEY: oldKey, OLD_SECRET: 'the old secret, which is long enough too', OLD_PASSWORD: 'the old password, which is long enough' })
const OLD_SECRET = process.env.OLD_SECRET!
const password = process.env.OLD_PASSWORD!

// Inside the project, so that the blocks find the packages that they import.
const folder = mkdtempSync(join(root, 'test', 'snippets-'))
t.teardown(() => { rmSync(folder, { recursive: true }) })
let runs = 0

/** Runs the hook of a part, as it is printed, on an app of its own. */
async function migrated (part: string, oldStore?: object): Promise<FastifyInstance> {
  const app = Fastify()
  const code = [...blocksOf(parts.get('The recipe')!), blocksOf(parts.get(part)!).find(code => code.includes('migrate(app'))!]
  const names = code.map(code => fileOf(code)?.replace('.ts', '.js') ?? `run-${runs++}.js`)
  code.forEach((text, at) => {
    const { outputText } = ts.transpileModule(text, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true } })
    writeFileSync(join(folder, names[at]!), outputText.replace("'fastify-sealed-session'", "'../../lib/index.js'"))
  })
  Object.assign(globalThis, { app, oldStore })
  await import(pathToFileURL(join(folder, names.at(-1)!)).href)
  app.get('/who', async request => ({ user: request.session.user?.name ?? null, views: request.session.views ?? null }))
  app.get('/be', async request => { request.session.user = { id: 'b', name: 'Bob' }; return {} })
  app.get('/logout', async request => { request.session.destroy(); return {} })
  app.get('/apart', { config: { session: false } }, async () => ({ apart: true }))
  return app
}

interface Case {
  part: string
  /** Names of the old cookie and of ours */
  names: [old: string, ours: string]
  oldStore?: object
  /** Logs Ada in with the old package; its cookie's value, as a browser sends it */
  login: () => Promise<string>
  forged: string[]
  /** Milliseconds after which a copy of an old cookie that was taken over is good for nothing */
  ends: number
}

/** Proves what the page promises. */
async function prove (t: Test, { part, names: [oldName, name], oldStore, login, forged, ends }: Case): Promise<void> {
  const app = await migrated(part, oldStore)
  const browser = (...cookies: Array<[name: string, value: string]>): Jar => {
    const jar = new Jar(app)
    for (const [name, value] of cookies) jar.cookies.set(name, value)
    return jar
  }
  const ada = { user: 'Ada', views: 7 }
  const nobody = { user: null, views: null }

  const old = await login()
  const [jar, ...others] = [1, 2, 3].map(() => browser([oldName, old])) as [Jar, Jar, Jar]
  const first = await jar.get('/who')
  t.same(first.json, ada, 'the user stays logged in')
  const together = await Promise.all(others.map(async jar => await jar.get('/who')))
  t.same(together.map(({ json }) => json), [ada, ada], 'in requests that were sent before the answer came too')
  t.same([...jar.cookies.keys()], [name], 'the old cookie is cleared')
  t.match(jar.cookies.get(name), /^Fe26\.2\*(?!.*~2$)/, 'the new one is ours')
  t.equal(first.setCookies.length, 2, 'each is named once')
  const second = await jar.get('/who')
  t.same(second.json, ada, 'a second request needs no old cookie')
  t.same(second.setCookies, [])
  await jar.get('/logout')
  t.equal(jar.header(), '')
  t.same((await jar.get('/who')).json, nobody, 'a logout holds')

  for (const value of [...forged, old.slice(0, -3), `x${old}`]) {
    const jar = browser([oldName, value])
    const { status, json } = await jar.get('/who')
    t.same([status, json, jar.header()], [200, nobody, ''], `forged: ${value}`)
  }

  const leaving = browser([oldName, await login()])
  t.equal((await leaving.get('/logout')).status, 200)
  t.equal(leaving.header(), '', 'a logout with the first request leaves nothing')

  const bob = browser()
  await bob.get('/be')
  const left = await login()
  bob.cookies.set(oldName, left)
  t.match((await bob.get('/who')).json, { user: 'Bob' }, 'if both come, ours counts')
  t.same([...bob.cookies.keys()], [name], 'and the old one is cleared')

  const apart = browser([oldName, left])
  t.same((await apart.get('/apart')).json, { apart: true }, 'a route that takes no part is left alone')
  t.equal(apart.cookies.get(oldName), left)

  const untouched = await login()
  const now = Date.now()
  t.clock.enter()
  t.clock.travel(now + ends)
  for (const copy of [old, left]) t.same((await browser([oldName, copy]).get('/who')).json, nobody, 'a copy of the old cookie does not come back')
  if (oldStore !== undefined) t.same((await browser([oldName, untouched]).get('/who')).json, ada, 'who comes later is taken over all the same')
  t.clock.exit()
}

/** A server on node:http alone; the cookie of its answer, as a browser sends it. */
async function cookieOf (t: Test, handler: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
  const server = createServer(handler)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return /=([^;]*)/.exec(response.headers.getSetCookie()[0]!)![1]!
}

const user = { id: 'a', name: 'Ada' }

t.test('users of @fastify/secure-session stay logged in', async t => {
  const oldApp = async (options: Record<string, unknown>): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(secureSession, { cookie: { path: '/' }, expiry: 24 * 60 * 60, ...options })
    app.get('/login', async request => { request.session.set('user', user); request.session.set('views', 7); return {} })
    return app
  }
  const loginAt = async (app: FastifyInstance): Promise<string> => {
    const jar = new Jar(app)
    await jar.get('/login')
    return jar.cookies.get('session')!
  }
  const app = await oldApp({ key: oldKey })
  const other = await oldApp({ key: Buffer.alloc(32, 8).toString('base64') })
  const forged = ['', 'x', ';', encodeURIComponent('AAAA;AAAA'), await loginAt(other)]
  await prove(t, { part: 'From @fastify/secure-session', names: ['session', 'sid'], login: async () => await loginAt(app), forged, ends: 24 * 60 * 60 * 1000 + 1000 })
})

t.test('users of @fastify/session stay logged in', async t => {
  const oldStore = new fastifySession.MemoryStore()
  const oldApp = async (options: Record<string, unknown>): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fastifyCookie)
    await app.register(fastifySession, { secret: OLD_SECRET, store: oldStore, cookie: { secure: false, maxAge: 60_000 }, ...options })
    app.get('/login', async request => { request.session.set('user', user); request.session.set('views', 7); return {} })
    return app
  }
  const loginAt = async (app: FastifyInstance): Promise<string> => {
    const jar = new Jar(app)
    await jar.get('/login')
    return jar.cookies.get('sessionId')!
  }
  const app = await oldApp({})
  const forged = ['', 'x', '.', 'id.', await loginAt(await oldApp({ secret: 'some other secret, which is long enough' }))]
  const part = 'From @fastify/session'
  await prove(t, { part, names: ['sessionId', 'session'], oldStore, login: async () => await loginAt(app), forged, ends: 11_000 })

  const late = await loginAt(app)
  const now = Date.now()
  t.clock.enter()
  t.clock.travel(now + 61_000)
  const jar = new Jar(await migrated(part, oldStore))
  jar.cookies.set('sessionId', late)
  t.same((await jar.get('/who')).json.user, null, 'what had expired stays so, though the store has it still')
})

/** A login at express-session itself. */
async function expressLogin (t: Test, store: expressSession.Store, secret: string, note?: string): Promise<string> {
  const session = expressSession({ secret, store, resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } })
  return await cookieOf(t, (request, response) => {
    session(request as never, response as never, () => {
      Object.assign((request as unknown as { session: object }).session, { user, views: 7, ...note !== undefined && { note } })
      response.end()
    })
  })
}

t.test('users of express-session stay logged in', async t => {
  const part = 'From express-session'
  const oldStore = new expressSession.MemoryStore()
  const hoarder = new fastifySession.MemoryStore() as expressSession.Store
  for (const [kind, store] of [['one that drops what has expired', oldStore], ['one that never does', hoarder]] as const) {
    await t.test(`whose store is ${kind}`, async t => {
      const login = async (): Promise<string> => await expressLogin(t, store, OLD_SECRET)
      const forged = ['', 's:', 's:x', 's%3Ax.y', await expressLogin(t, store, 'some other secret'), (await login()).replace('s%3A', 'xx')]
      await prove(t, { part, names: ['connect.sid', 'session'], oldStore: store, login, forged, ends: 11_000 })
    })
  }

  const app = await migrated(part, oldStore)
  const jar = new Jar(app)
  const large = await expressLogin(t, oldStore, OLD_SECRET, 'x'.repeat(5000))
  jar.cookies.set('connect.sid', large)
  for (const time of ['first', 'second']) {
    t.match((await jar.get('/who')).json, { code: 'FST_SESSION_TOO_LARGE' }, `${time} time: what cannot be saved is an error`)
    t.same([...jar.cookies], [['connect.sid', large]], 'and the old session stays')
  }
})

t.test('with connect-redis the old entry ends by itself, and an outage logs nobody out', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  const client = createClient({ url: server.url, disableOfflineQueue: true }).on('error', () => {})
  t.teardown(async () => { client.destroy(); await server.stop() })
  await client.connect()
  const oldStore = new RedisStore({ client })
  const app = await migrated('From express-session', oldStore)
  const jar = new Jar(app)
  const old = await expressLogin(t, oldStore, OLD_SECRET)
  jar.cookies.set('connect.sid', old)
  await server.kill()
  t.equal((await jar.get('/who')).status, 500)
  t.same([...jar.cookies], [['connect.sid', old]])
  const ready = new Promise(resolve => client.once('ready', resolve))
  await server.start()
  await ready
  const [key] = await client.keys('sess:*') as [string]
  t.ok(await client.ttl(key) > 10)
  t.match((await jar.get('/who')).json, { user: 'Ada' })
  t.same([...jar.cookies.keys()], ['session'])
  t.ok(await client.ttl(key) <= 11)
})

t.test('users of iron-session stay logged in', async t => {
  const part = 'From iron-session'
  const loginWith = async (getSession: typeof getIronSession9, password: string | Record<string, string>): Promise<string> => {
    return await cookieOf(t, async (request, response) => {
      const session = await getSession<object>(request, response, { password, cookieName: 'app-session', ttl: 3600 })
      await Object.assign(session, { user, views: 7 }).save()
      response.end()
    })
  }
  const forged = ['', 'x', 'Fe26.2*1****', 'Fe26.1*1*a*b*c*d*e*f~2', '~2', await loginWith(getIronSession9, 'some other password, which is long enough')]
  for (const [version, getSession] of [[8, getIronSession as typeof getIronSession9], [9, getIronSession9]] as const) {
    await t.test(`of version ${version}`, async t => {
      await prove(t, { part, names: ['app-session', 'sid'], login: async () => await loginWith(getSession, password), forged, ends: 3_700_000 })
    })
  }
})

t.test('iron-session: a key that is refused here is renamed, and what is forged gives nothing', async t => {
  const code = blocksOf(parts.get('From iron-session')!).at(-1)!
  writeFileSync(join(folder, 'rename.js'), ts.transpileModule(`${code}\nexport { open }`, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } }).outputText)
  const { open } = await import(pathToFileURL(join(folder, 'rename.js')).href) as { open: (value: string) => Promise<unknown> }
  t.same(await open(await sealData({ user, data: { a: 1 } }, { password })), { data: { user, profile: { a: 1 } } })
  t.equal(await open('Fe26.1*1*a*b*c*d*e*f~2'), undefined)
})

t.test('what the page says of calls with a callback', async t => {
  const app = await migrated('From iron-session')
  app.get('/old', async request => {
    const session = request.session as unknown as Record<'destroy' | 'regenerate' | 'save' | 'id', ((done: () => void) => void) | undefined>
    let called = false
    t.throws(() => session.regenerate!(() => { called = true }), TypeError)
    session.destroy!(() => { called = true })
    return { called, save: typeof session.save, id: typeof session.id }
  })
  t.same((await new Jar(app).get('/old')).json, { called: false, save: 'undefined', id: 'undefined' })
})

t.test('every block compiles', t => {
  const given = `
import type { FastifyInstance } from 'fastify'
import type { ExpressStore } from 'fastify-sealed-session'
declare const app: FastifyInstance
declare const client: object
declare const oldStore: ExpressStore
`
  const blocks = blocksOf(page)
  t.equal(blocks.length, 11)
  blocks.forEach((code, at) => {
    const file = fileOf(code)
    writeFileSync(join(folder, file ?? `block-${at}.ts`), file === undefined ? `${given}${code}\nexport {}` : code)
  })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: { rootDir: '../..', noEmit: true, noUnusedLocals: false, paths: { 'fastify-sealed-session': ['../../types/index.d.ts'] } },
    include: ['*.ts']
  }))
  let output = ''
  try {
    execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
  } catch (error) {
    output = (error as { stdout: string }).stdout
  }
  t.equal(output, '')
  t.end()
})

/** The names that a package's types declare in some of their interfaces, types and classes, or export. */
function declared (file: string, owners: string[], exported = false): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, 'node_modules', file), 'utf8'), ts.ScriptTarget.Latest, true)
  const names: string[] = []
  const members = (node: ts.Node): void => {
    if (ts.isTypeElement(node) || ts.isClassElement(node)) {
      if (node.name !== undefined) names.push(node.name.getText())
    } else ts.forEachChild(node, members)
  }
  const visit = (node: ts.Node): void => {
    if (exported && ts.isExportSpecifier(node)) names.push(node.name.text)
    if ((ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node)) && owners.includes(node.name?.text ?? '')) {
      ts.forEachChild(node, members)
    } else ts.forEachChild(node, visit)
  }
  visit(source)
  return [...new Set(names)]
}

t.test('every option and every method of the old packages is in a table of its part', async t => {
  const cookie = declared('@fastify/cookie/types/index.d.ts', ['SerializeOptions'])
  const all: Record<string, string[]> = {
    'From @fastify/secure-session': [...cookie, 'signed', ...declared('@fastify/secure-session/types/index.d.ts', ['SecureSessionPluginOptions', 'Session', 'FastifyInstance'])],
    'From @fastify/session': [...cookie, ...declared('@fastify/session/types/index.d.ts', ['FastifySessionOptions', 'FastifySessionObject', 'FastifyInstance', 'SessionStore', 'CookieOptions']), 'sessionStore', 'MemoryStore'],
    'From express-session': declared('@types/express-session/index.d.ts', ['SessionOptions', 'Session', 'CookieOptions', 'Store']),
    'From iron-session': [...cookie, ...['iron-session', 'iron-session-9'].flatMap(name => declared(`${name}/dist/index.d.ts`, ['SessionOptions', 'IronSession'], true))]
  }
  for (const [part, names] of Object.entries(all)) {
    const cells = parts.get(part)!.split('\n').filter(line => line.startsWith('| `')).map(line => line.split(' | ')[0]!).join('\n')
    t.ok(names.length > 15, part)
    t.same(names.filter(name => !new RegExp(`\\b${name}\\b`).test(cells)), [], part)
  }
})
