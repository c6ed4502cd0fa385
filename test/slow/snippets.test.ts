import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { blocksOf, readPages, root } from '../fixtures/pages.js'

// What the compiler and typedoc have to say about the pages.

/** What a snippet that starts in the middle of an app takes as given. Its own names hide these. */
const given = `
import type sessionPluginType from 'fastify-sealed-session'
import type { SessionStore } from 'fastify-sealed-session'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider } from 'fastify'
import type { OAuth2Namespace } from '@fastify/oauth2'
interface Loose extends FastifyTypeProvider { readonly validator: any, readonly serializer: any }
interface User { id: string, name: string }
declare global {
  const sessionPlugin: typeof sessionPluginType
  const app: FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, Loose> & { provider: OAuth2Namespace }
  const request: FastifyRequest & { body: any }
  const user: User
  const store: SessionStore
  const token: string
  const redis: {
    get (key: string): Promise<string | null>
    set (key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
    del (key: string): Promise<number>
    pexpire (key: string, milliseconds: number): Promise<number>
  }
  function checkPassword (body: unknown): Promise<User | undefined>
  function nextGeneration (userId: string): Promise<void>
  function generationOf (userId: string): Promise<number>
  function userOf (accessToken: string): Promise<User>
  function refresh (refreshToken: string): Promise<{ access: string, refresh: string, expiresAt: number }>
  function graphql (request: IncomingMessage, response: ServerResponse): Promise<void>
}
`

/** The migrating guides have a test of their own, and the README's program is run by another one. */
const snippets = readPages().filter(({ path }) => !path.startsWith('docs/migrating')).flatMap(blocksOf)
  .filter(({ language, code }) => ['js', 'ts'].includes(language) && !code.includes('app.listen('))

t.test('every snippet compiles, as an app that has the package installed', async t => {
  t.ok(snippets.length > 40, `${snippets.length} snippets`)
  // Inside the project, so that the package finds itself by its name, as a user's program finds it.
  const folder = mkdtempSync(join(root, 'snippets-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  writeFileSync(join(folder, 'given.d.mts'), given)
  snippets.forEach(({ page, code }, at) => { writeFileSync(join(folder, `${page.replaceAll(/[/.]/g, '-')}-${at}.mts`), code) })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: '../tsconfig.json',
    compilerOptions: { rootDir: '..', noEmit: true, noUnusedLocals: false, noUnusedParameters: false },
    include: ['*.mts']
  }))
  t.equal(run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]), '')
})

t.test('a snippet that is called JavaScript is no TypeScript', async t => {
  const scripts = snippets.filter(({ language }) => language === 'js')
  t.ok(scripts.length > 3)
  const folder = t.testdir(Object.fromEntries(scripts.map(({ code }, at) => [`${at}.mjs`, code])))
  for (const at of scripts.keys()) t.equal(run(process.execPath, ['--check', join(folder, `${at}.mjs`)]), '', scripts[at]!.code)
})

t.test('the API reference and the pages make one site, without a warning', async t => {
  const out = t.testdir()
  t.equal(run(process.execPath, [join(root, 'node_modules/typedoc/bin/typedoc'), '--out', out, '--logLevel', 'Warn']), '')
  const pages = readdirSync(join(out, 'documents'))
  t.ok(pages.includes('Compatibility.html'), 'a page has its title for a name')
  t.equal(pages.length, readPages().filter(({ path }) => path !== 'README.md').length, 'every page is there; the README is the first')
  t.match(readFileSync(join(out, 'index.html'), 'utf8'), 'href="documents/Options.html"', 'a link from page to page stays on the site')
})

function run (command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
  } catch (error) {
    return (error as { stdout: string, stderr: string }).stdout + (error as { stderr: string }).stderr
  }
}
