import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { reservedKeys } from '../lib/json.js'
import { errors } from '../lib/index.js'
import { PLUGIN_NAMES } from '../lib/options/options.js'

const root = resolve(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const security = readFileSync(join(root, 'SECURITY.md'), 'utf8')
const concepts = readFileSync(join(root, 'docs', 'concepts.md'), 'utf8')
const stores = readFileSync(join(root, 'docs', 'stores-redis-postgres.md'), 'utf8')
const snippets = [...`${readme}\n${security}\n${concepts}\n${stores}`.matchAll(/^ *```ts\n(.*?)^ *```$/gms)].map(([, code]) => code!)

/** What a snippet that starts in the middle of an app takes as given. */
const given = `
import sessionPlugin from 'fastify-sealed-session'
import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
declare const app: FastifyInstance
declare function nextGeneration (userId: string): Promise<void>
declare function generationOf (id: string): Promise<number>
declare function checkPassword (body: unknown): Promise<{ id: string, name: string } | undefined>
`

t.test('every snippet compiles against the built package', async t => {
  t.ok(snippets.length > 8)
  // Inside the project, so that the package finds itself by its name, as a user's program finds it.
  const folder = mkdtempSync(join(root, 'snippets-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  snippets.forEach((code, at) => {
    writeFileSync(join(folder, `${at}.mts`), code.includes("import Fastify from 'fastify'") ? code : given + code)
  })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: '../tsconfig.json',
    compilerOptions: { rootDir: '..', noEmit: true, noUnusedLocals: false },
    include: ['*.mts']
  }))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const output = run(process.execPath, [tsc, '-p', folder])
  t.equal(output, '')
})

t.test('the API reference is made of the docstrings, of which none is missing', t => {
  const typedoc = join(root, 'node_modules', 'typedoc', 'bin', 'typedoc')
  t.equal(run(process.execPath, [typedoc, '--emit', 'none', '--logLevel', 'Warn']), '')
  t.end()
})

t.test('the first snippet runs as printed, and counts', async t => {
  const [first] = snippets as [string]
  const folder = mkdtempSync(join(root, 'snippets-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const { outputText } = ts.transpileModule(first.replace('port: 3000', 'port: 0').replace('logger: true', 'logger: false'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  })
  writeFileSync(join(folder, 'first.mjs'), `${outputText}
    const url = 'http://127.0.0.1:' + app.server.address().port
    const first = await fetch(url)
    const cookie = first.headers.get('set-cookie').split(';')[0]
    const second = await fetch(url, { headers: { cookie } })
    console.log(await first.text(), await second.text())
    await app.close()
  `)
  const output = run(process.execPath, [join(folder, 'first.mjs')], { SESSION_SECRET: 'a secret for the readme, long enough' })
  t.equal(output.trim(), '{"views":1} {"views":2}')
})

t.test('every option, error, reason and member is in a table', async t => {
  const types = readFileSync(join(root, 'types', 'index.d.ts'), 'utf8')
  const reasons = [.../^ +\* - `([\w-]+)`:/gm[Symbol.matchAll](types)].map(([, reason]) => reason!)
  t.equal(reasons.length, 11)
  const rows = readme.split('\n').filter(line => line.startsWith('| `')).map(line => line.split(' | ')[0]!)
  for (const name of [...PLUGIN_NAMES, ...Object.keys(errors), ...reasons, ...reservedKeys]) {
    t.ok(rows.some(row => new RegExp(`\`${name}\\b`).test(row)), name)
  }
})

t.test('the statuses in the table of errors are theirs', async t => {
  for (const [code, SessionError] of Object.entries(errors)) {
    const { statusCode } = new (SessionError as unknown as new () => Error & { statusCode: number })()
    t.match(readme, `| \`${code}\` | ${statusCode}`)
  }
})

function run (command: string, args: string[], env: Record<string, string> = {}): string {
  try {
    return execFileSync(command, args, { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', ...env } })
  } catch (error) {
    return (error as { stdout: string, stderr: string }).stdout + (error as { stderr: string }).stderr
  }
}

t.test('each promise of SECURITY.md names tests that are there', async t => {
  const rows = security.split('\n').filter(line => line.startsWith('| **'))
  t.ok(rows.length > 12)
  for (const row of rows) {
    const tests = [...row.split(' | ').at(-1)!.matchAll(/`(test\/[\w/-]+\.test\.ts)`/g)].map(([, path]) => path!)
    t.ok(tests.length > 0 && tests.every(path => existsSync(join(root, path))), row)
  }
})
