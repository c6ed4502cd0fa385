import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '../..')

/** A folder outside the project with the unpacked tarball and links to its dependencies. */
function consumer (): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-sealed-session-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], root)
  const tarball = readdirSync(folder).find(name => name.endsWith('.tgz'))!
  run('tar', ['-xzf', tarball], folder)
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  renameSync(join(folder, 'package'), join(modules, 'fastify-sealed-session'))
  for (const name of ['fastify', '@fastify', 'fastify-plugin', 'iron-webcrypto', '@types', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  return folder
}

function run (command: string, args: string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
  } catch (error) {
    return `${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`
  }
}

const folder = consumer()
const secret = 'a secret of an app that uses the package'
const body = `
  app.get('/', async request => { request.session.views = (request.session.views ?? 0) + 1; return { views: request.session.views } })
  const cookie = (await app.inject('/')).headers['set-cookie'].split(';')[0]
  console.log((await app.inject({ url: '/', headers: { cookie } })).body)
  const { seal, unseal } = createSealer({ secret: '${secret}', iron: { integrity: { iterations: 2 } } })
  console.log((await unseal(await seal({ a: 1 }))).data.a, errors.FST_SESSION_TOO_LARGE.name !== undefined, typeof getSession)
`
const output = '{"views":2}\n1 true function\n'

t.test('the tarball contains what is needed, and no sources or tests', async t => {
  const [packed] = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], root)) as [{ unpackedSize: number, files: Array<{ path: string }> }]
  const paths = packed.files.map(({ path }) => path)
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'dist/index.js', 'dist/cli/bin.js', 'types/index.d.ts']) {
    t.ok(paths.includes(path), path)
  }
  t.same(paths.filter(path => !/^(dist\/.*\.js|types\/.*\.d\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md)$/.test(path)), [])
  t.ok(packed.unpackedSize < 350_000, `${packed.unpackedSize} bytes`)
})

t.test('no script runs at installation, and the docs give the reason for each dependency', async t => {
  const page = readFileSync(join(root, 'docs', 'compatibility.md'), 'utf8')
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of ['', ...Object.keys(dependencies)]) {
    const folder = name === '' ? root : join(root, 'node_modules', name)
    const { scripts = {}, gypfile } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { scripts?: Record<string, string>, gypfile?: boolean }
    t.same(Object.keys(scripts).filter(script => ['preinstall', 'install', 'postinstall'].includes(script)), [], name)
    t.notOk(gypfile, name)
    if (name !== '') t.match(page, `\n| \`${name}\` | `)
  }
})

t.test('publint and attw report no problems with the tarball', async t => {
  const tarball = readdirSync(folder).find(name => name.endsWith('.tgz'))!
  const bin = join(root, 'node_modules', '.bin')
  t.match(run(join(bin, 'publint'), [tarball, '--strict'], folder), 'All good!')
  t.match(run(join(bin, 'attw'), [tarball, '--profile', 'strict', '--no-definitely-typed'], folder), 'No problems found')
})

t.test('an ESM app can use the package', async t => {
  writeFileSync(join(folder, 'app.mjs'), `
    import Fastify from 'fastify'
    import sessionPlugin, { createSealer, errors, getSession } from 'fastify-sealed-session'
    const app = Fastify()
    await app.register(sessionPlugin, { secret: '${secret}' })
    ${body}
  `)
  t.equal(run(process.execPath, ['app.mjs'], folder), output)
})

t.test('a CommonJS app can use the package, however it is required', async t => {
  for (const [at, plugin] of ["require('fastify-sealed-session').sessionPlugin", "require('fastify-sealed-session').default", "require('fastify-sealed-session')"].entries()) {
    writeFileSync(join(folder, `app${at}.cjs`), `
      const Fastify = require('fastify')
      const { createSealer, errors, getSession } = require('fastify-sealed-session')
      async function main () {
        const app = Fastify()
        await app.register(${plugin}, { secret: '${secret}' })
        ${body}
      }
      main()
    `)
    t.equal(run(process.execPath, ['--no-warnings', `app${at}.cjs`], folder), output)
  }
})

/** Declarations that let a compiler check most of what tstyche does, as TypeScript 7 cannot run tstyche. */
const matchers = `
  type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? [] : [different: never]
  type Fits<A, B> = [A] extends [B] ? [] : [different: never]
  interface Matchers<A> {
    toBe<B>(...problem: Same<A, B>): void
    toBeAssignableTo<B>(...problem: Fits<A, B>): void
    not: { toBeAssignableTo<B>(...problem: [A] extends [B] ? [same: never] : []): void }
  }
  export function expect<A>(): { type: Matchers<A> }
  export function expect<A>(source: A): { type: Matchers<A> }
  export function describe(name: string, body: () => void): void
  export function test(name: string, body: () => void | Promise<void>): void
`

/** Writes the type tests as apps that use the installed package, and returns their names. */
function writeApps (): string[] {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'tstyche'))
  writeFileSync(join(modules, 'tstyche', 'package.json'), '{"types":"./index.d.ts"}')
  writeFileSync(join(modules, 'tstyche', 'index.d.ts'), matchers)
  const names = readdirSync(join(root, 'types')).filter(name => name.endsWith('.tst.ts')).map(name => name.slice(0, -'.tst.ts'.length))
  for (const name of names) {
    const test = readFileSync(join(root, 'types', `${name}.tst.ts`), 'utf8')
    for (const extension of ['mts', 'cts']) {
      writeFileSync(join(folder, `${name}.${extension}`), test.replaceAll(/'(\.\.\/lib|\.)\/index\.js'/g, "'fastify-sealed-session'"))
    }
    for (const [, dependency] of test.matchAll(/from '(\w[\w-]*)[/']/g)) {
      const [from, to] = [join(root, 'node_modules', dependency!), join(modules, dependency!)]
      if (existsSync(from) && !existsSync(to)) symlinkSync(from, to)
    }
  }
  return names
}

/** A version of the compiler from the npm registry; the folder has no TypeScript that npx would use instead. */
function fetchCompiler (version: string): string | undefined {
  const path = run('npx', ['-y', '--prefer-offline', '-p', `typescript@${version}`, '-c', 'command -v tsc'], folder).trim()
  return existsSync(path) ? path : undefined
}

t.test('TypeScript apps have the right types', { timeout: 0 }, async t => {
  const apps = writeApps()
  t.match(apps, ['app', 'options', 'session'])
  const flags = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2023', '--lib', 'es2023', '--types', 'node']
  for (const version of ['5.9', '6.0', '7.0']) {
    const tsc = fetchCompiler(version)
    // CI must not skip anything.
    if (tsc === undefined && process.env.CI) t.fail(`TypeScript ${version} must be there`)
    // tap makes every Node child process load its hooks, and TypeScript 7 does not start with them.
    const compile = (...options: string[]): string => run('env', ['-u', 'NODE_OPTIONS', tsc!, ...flags, ...options], folder)
    t.test(`by TypeScript ${version}`, { skip: tsc === undefined && 'npx cannot fetch it' }, async t => {
      t.match(compile('--version'), ` ${version}.`)
      const strict = ['session.mts', 'app.mts', 'session.cts', 'app.cts', '--skipLibCheck', 'false', '--module', 'nodenext']
      t.same(ours(compile(...strict)), [], 'as ESM and as CommonJS, including our declarations')
      const bundled = [...apps.map(name => `${name}.mts`), '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler']
      t.equal(compile(...bundled), '', 'for a bundler, together with stores and schemas of other packages')
    })
  }
})

/** The errors in the apps, in our own declarations and without a file; those in the declarations of other packages are not ours. */
function ours (found: string): string[] {
  return found.split('\n').filter(line => /^(\w+\.[mc]ts|node_modules\/fastify-sealed-session\/|error)/.test(line))
}

t.test('the command line works from the tarball', async t => {
  const bin = join(folder, 'node_modules', 'fastify-sealed-session', 'dist', 'cli', 'bin.js')
  t.match(run(process.execPath, [bin, 'keygen'], folder), /^[\da-f]{64}\n$/)
  t.match(run(process.execPath, [bin, '--help'], folder), /Usage/)
})
