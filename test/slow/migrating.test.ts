import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fastifyCookie from '@fastify/cookie'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import ts from 'typescript'
import sessionPlugin, { getSession } from '../../lib/index.js'
import { reservedKeys } from '../../lib/json.js'
import { browser, blocksOf, blockWith, fileOf, folder, names, pageOf, registrationOf, root } from '../fixtures/migrating.js'

// What all pages of docs/migrating/ have in common. What each says is tested in test/migrating-<package>.test.ts.

const packages = names.filter(name => name !== 'README')
const secret = process.env.SESSION_SECRET!

// Each program is compiled on its own, but the declarations that they share are read once.
const sources = new Map<string, ts.SourceFile | undefined>()

/** Writes files into a folder of their own and compiles them as a strict project. Returns the compiler's complaints. */
function compile (project: string, files: Record<string, string>): string {
  const cwd = join(folder, project)
  mkdirSync(cwd)
  for (const [name, code] of Object.entries(files)) writeFileSync(join(cwd, name), code)
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } }
  const compilerOptions = {
    ...config.compilerOptions, noUnusedLocals: false, verbatimModuleSyntax: true, paths: { 'fastify-sealed-session': [join(root, 'types', 'index.d.ts')] }
  }
  const { options } = ts.parseJsonConfigFileContent({ compilerOptions }, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const read = host.getSourceFile.bind(host)
  host.getSourceFile = (file, ...rest) => {
    if (!sources.has(file)) sources.set(file, read(file, ...rest))
    return sources.get(file)
  }
  const program = ts.createProgram(Object.keys(files).map(name => join(cwd, name)), options, host)
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), host)
}

const ownFiles = Object.fromEntries(blocksOf(pageOf('README')).map(code => [fileOf(code)!, code]))

t.test('every TypeScript block compiles', t => {
  t.same(Object.keys(ownFiles), ['migrate.ts', 'old-store.ts'])
  const given = `
import type { FastifyInstance } from 'fastify'
import type { createClient } from 'redis'
declare const app: FastifyInstance
declare const client: ReturnType<typeof createClient>
`
  const blocks = packages.flatMap(name => blocksOf(pageOf(name)).map((code, at) => [`${name}-${at}.ts`, `${given}${code}\nexport {}`] as const))
  t.equal(blocks.length, 7)
  t.equal(compile('blocks', { ...ownFiles, ...Object.fromEntries(blocks) }), '')
  t.end()
})

t.test('migrate.ts compiles as pasted, and takes apps of every kind', t => {
  t.equal(compile('pasted', { 'migrate.ts': ownFiles['migrate.ts']! }), '')
  const calls = `
import Fastify from 'fastify'
import type { FastifyTypeProvider } from 'fastify'
import { migrate } from './migrate.js'
interface Provider extends FastifyTypeProvider { readonly validator: this['schema'] }
const options = {
  cookieName: 'old',
  open: async () => undefined,
  clear: () => {}
}
migrate(Fastify(), { ...options, sessionName: 'adminSession', rename: { data: 'profile' } })
migrate(Fastify({ logger: true }).withTypeProvider<Provider>(), options)
migrate(Fastify({ http2: true, https: {} }), options)
// @ts-expect-error: without a cookie name
migrate(Fastify(), { open: options.open, clear: options.clear })
`
  t.equal(compile('calls', { 'migrate.ts': ownFiles['migrate.ts']!, 'calls.ts': calls }), '')
  t.end()
})

type Migrate = (app: FastifyInstance, options: object) => void
const loadMigrate = async (): Promise<Migrate> => (await import(pathToFileURL(join(folder, 'migrate.js')).href) as { migrate: Migrate }).migrate

t.test('migrate() with a sessionName', async t => {
  const migrate = await loadMigrate()
  const app = Fastify()
  await app.register(sessionPlugin, { secret })
  await app.register(sessionPlugin, { secret, sessionName: 'adminSession' })
  migrate(app, {
    cookieName: 'old',
    sessionName: 'adminSession',
    open: async (value: string) => ({ data: { note: value } }),
    clear: (_request: unknown, reply: { clearCookie: (name: string) => unknown }) => reply.clearCookie('old')
  })
  app.get('/', async request => ({ user: request.session.note ?? null, admin: getSession(request, 'adminSession').note ?? null }))
  const jar = browser(app, ['old', 'Ada'])
  t.same((await jar.get('/')).json, { user: null, admin: 'Ada' })
  t.same([...jar.cookies.keys()], ['adminSession'])
  t.same((await jar.get('/')).json, { user: null, admin: 'Ada' })
})

t.test('migrate() before the plugin is registered says so', async t => {
  const migrate = await loadMigrate()
  t.throws(() => { migrate(Fastify(), { cookieName: 'old' }) }, { message: 'Register the plugin for "session" before you call migrate()' })
})

t.test('with the old cookie\'s name, the new plugin clears the old cookie', async t => {
  const app = Fastify()
  await app.register(fastifyCookie)
  await app.register(sessionPlugin, { secret, cookieName: 'connect.sid' })
  app.get('/', async request => ({ reason: request.session.info.reason }))
  const jar = browser(app, ['connect.sid', 's%3Aid.signature'])
  t.same((await jar.get('/')).json, { reason: 'malformed' })
  t.equal(jar.header(), '')
})

t.test('every page has the same sections, and the same registration in all of its blocks', async t => {
  for (const name of packages) {
    const page = pageOf(name)
    const sections = [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title!)
    t.same(sections.filter(title => title !== 'Sharing the cookie'),
      ['What you gain', 'The edit', 'Keep everybody logged in', 'What changes', 'What to watch out for', 'Check that it worked'], name)
    t.ok(page.includes('| Old | New |\n|---|---|\n'), name)
    const [diff] = blocksOf(page, 'diff') as [string]
    const added = diff.split('\n').filter(line => line.startsWith('+')).map(line => line.slice(1)).join('\n')
    t.equal(registrationOf(blockWith(name, 'migrate(app')), registrationOf(added), name)
    t.ok(pageOf('README').includes(`](./${name}.md)`), name)
  }
})

t.test('links between the pages lead somewhere', async t => {
  const anchorsOf = (page: string): string[] => [...page.matchAll(/^#+ (.*)$/gm)]
    .map(([, title]) => title!.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
  for (const name of names) {
    const links = [...pageOf(name).matchAll(/\]\((?:\.\/([\w-]+)\.md)?(?:#([\w-]+))?\)/g)]
    t.ok(links.length > 0, name)
    for (const [link, target = name, anchor] of links) {
      t.ok(existsSync(join(root, 'docs', 'migrating', `${target}.md`)) && (anchor === undefined || anchorsOf(pageOf(target)).includes(anchor)), `${name}: ${link}`)
    }
  }
})

t.test('the reserved keys are named', async t => {
  const paragraph = /^\*\*Reserved keys\.\*\*.*?\n\n/ms.exec(pageOf('README'))![0]
  for (const key of reservedKeys) t.ok(paragraph.includes(`\`${key}\``), key)
})

/** The names that a package's types declare in some of their interfaces, types and classes, or export. */
function declared (file: string, owners: string[], exported = false): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, 'node_modules', file), 'utf8'), ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const members = (node: ts.Node): void => {
    if (ts.isTypeElement(node) || ts.isClassElement(node)) {
      if (node.name !== undefined) found.push(node.name.getText())
    } else ts.forEachChild(node, members)
  }
  const visit = (node: ts.Node): void => {
    if (exported && ts.isExportSpecifier(node)) found.push(node.name.text)
    if ((ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node)) && owners.includes(node.name?.text ?? '')) {
      ts.forEachChild(node, members)
    } else ts.forEachChild(node, visit)
  }
  visit(source)
  return [...new Set(found)]
}

/** The attributes that the `cookies` package knows, and what cookie-session's code takes and offers: neither has types here. */
function ofCookieSession (): string[] {
  const [cookies, code] = ['cookies', 'cookie-session'].map(name => readFileSync(join(root, 'node_modules', name, 'index.js'), 'utf8')) as [string, string]
  return [
    ...[...cookies.matchAll(/^Cookie\.prototype\.(\w+) = (?!function)/gm)].map(([, name]) => name!),
    ...[...code.matchAll(/\bopts\.(\w+)/g)].map(([, name]) => name!),
    ...[...code.matchAll(/Session\.prototype, '(\w+)'/g)].map(([, name]) => name!),
    'maxAge', 'secureProxy', 'sessionOptions'
  ]
}

t.test('every option and every method of the old packages is in the table of its page', async t => {
  const cookie = declared('@fastify/cookie/types/index.d.ts', ['SerializeOptions'])
  const all: Record<string, string[]> = {
    'secure-session': [...cookie, 'signed', ...declared('@fastify/secure-session/types/index.d.ts', ['SecureSessionPluginOptions', 'Session', 'FastifyInstance'])],
    'fastify-session': [...cookie, ...declared('@fastify/session/types/index.d.ts', ['FastifySessionOptions', 'FastifySessionObject', 'FastifyInstance', 'SessionStore', 'CookieOptions']), 'sessionStore', 'MemoryStore'],
    'express-session': declared('@types/express-session/index.d.ts', ['SessionOptions', 'Session', 'CookieOptions', 'Store']),
    'cookie-session': ofCookieSession(),
    'iron-session': [...cookie, ...['iron-session', 'iron-session-9'].flatMap(name => declared(`${name}/dist/index.d.ts`, ['SessionOptions', 'IronSession'], true))]
  }
  t.same(Object.keys(all).sort(), packages.toSorted())
  for (const [name, wanted] of Object.entries(all)) {
    const [, table] = /^\| Old \| New \|\n\|---\|---\|\n(.*?)\n\n/ms.exec(pageOf(name)) as unknown as [string, string]
    const cells = table.split('\n').map(line => line.split(' | ')[0]!).join('\n')
    t.ok(wanted.length > 15, name)
    t.same(wanted.filter(word => !new RegExp(`\\b${word}\\b`).test(cells)), [], name)
  }
})
