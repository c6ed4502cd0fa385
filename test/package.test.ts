import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '..')

/** A folder outside the project with the packed tarball unpacked, beside links to what it depends on. */
function consumer (): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-iron-session-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], root)
  const tarball = readdirSync(folder).find(name => name.endsWith('.tgz'))!
  run('tar', ['-xzf', tarball], folder)
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  renameSync(join(folder, 'package'), join(modules, 'fastify-iron-session'))
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

t.test('the tarball holds what is needed, and no sources or tests', async t => {
  const files = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], root)) as Array<{ files: Array<{ path: string }> }>
  const paths = files[0]!.files.map(({ path }) => path)
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'dist/cjs/package.json', 'dist/esm/lib/bin.js', 'dist/esm/types/index.d.ts']) {
    t.ok(paths.includes(path), path)
  }
  t.same(paths.filter(path => !/^(dist\/|package\.json|README|LICENSE|CHANGELOG|SECURITY)/.test(path)), [])
})

t.test('nothing runs when it is installed, and each dependency has its reason in the README', async t => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of ['', ...Object.keys(dependencies)]) {
    const folder = name === '' ? root : join(root, 'node_modules', name)
    const { scripts = {}, gypfile } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { scripts?: Record<string, string>, gypfile?: boolean }
    t.same(Object.keys(scripts).filter(script => ['preinstall', 'install', 'postinstall'].includes(script)), [], name)
    t.notOk(gypfile, name)
    if (name !== '') t.match(readme, `\n| \`${name}\` | `)
  }
})

t.test('an ESM app uses it', async t => {
  writeFileSync(join(folder, 'app.mjs'), `
    import Fastify from 'fastify'
    import sessionPlugin, { createSealer, errors, getSession } from 'fastify-iron-session'
    const app = Fastify()
    await app.register(sessionPlugin, { secret: '${secret}' })
    ${body}
  `)
  t.equal(run(process.execPath, ['app.mjs'], folder), output)
})

t.test('a CommonJS app uses it, whichever way it is required', async t => {
  for (const [at, plugin] of ["require('fastify-iron-session').sessionPlugin", "require('fastify-iron-session').default", "require('fastify-iron-session')"].entries()) {
    writeFileSync(join(folder, `app${at}.cjs`), `
      const Fastify = require('fastify')
      const { createSealer, errors, getSession } = require('fastify-iron-session')
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

t.test('TypeScript apps are typed, as ESM and as CommonJS, with skipLibCheck off for our own types', async t => {
  const app = `
    import Fastify from 'fastify'
    import sessionPlugin, { getSession } from 'fastify-iron-session'
    declare module 'fastify-iron-session' { interface SessionData { views?: number } }
    const app = Fastify()
    void app.register(sessionPlugin, { secret: process.env.SESSION_SECRET, cookie: { sameSite: 'lax' } })
    app.get('/', { config: { session: false } }, async (request) => {
      const views: number | undefined = request.session.get('views')
      request.session.views = 1
      request.session.set('views', 2)
      getSession(request).regenerate(['views'])
      // @ts-expect-error a key that nobody declared
      request.session.nothing = 1
      // @ts-expect-error a value of another type
      request.session.views = 'one'
      // @ts-expect-error a member of the session
      request.session.get = 1
      // @ts-expect-error the session itself
      request.session = {}
      return { views, id: request.session.info.id }
    })
    // @ts-expect-error a misspelt option
    void app.register(sessionPlugin, { secret: 'x', idleTimout: 1 })
    // @ts-expect-error a lifetime that has its own option
    void app.register(sessionPlugin, { secret: 'x', cookie: { maxAge: 1 } })
  `
  for (const extension of ['mts', 'cts']) writeFileSync(join(folder, `app.${extension}`), app)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const flags = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2023', '--types', 'node']
  for (const skip of ['true', 'false']) {
    const found = run(process.execPath, [tsc, ...flags, '--skipLibCheck', skip, '--module', 'nodenext', 'app.mts', 'app.cts'], folder)
    t.notMatch(found, /app\.[mc]ts|fastify-iron-session/)
    if (skip === 'true') t.equal(found, '')
  }
  t.equal(run(process.execPath, [tsc, ...flags, '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler', 'app.mts'], folder), '')
})

t.test('the command line works from the tarball', async t => {
  const bin = join(folder, 'node_modules', 'fastify-iron-session', 'dist', 'esm', 'lib', 'bin.js')
  t.match(run(process.execPath, [bin, 'keygen'], folder), /^[\da-f]{64}\n$/)
  t.match(run(process.execPath, [bin, '--help'], folder), /Usage/)
})
