import { execFileSync, spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { reservedKeys } from '../lib/json.js'
import { PLUGIN_NAMES } from '../lib/options/options.js'
import { blocksOf, readPage, root, rowsOf } from './fixtures/pages.js'

const readme = readPage('README.md')
const sections = new Map(readme.text.split(/^## /m).map(text => [text.slice(0, text.indexOf('\n')), text]))
const section = (title: string): { path: string, text: string } => ({ path: readme.path, text: sections.get(title)! })

t.test('the README can be read in ten minutes', async t => {
  t.ok(readme.text.trimEnd().split('\n').length <= 250)
  t.match(readme.text, /^npm install && npm start\b/m)
  t.match(readme.text, /^npm install && npm test\b/m)
})

t.test('its tables are short, and name what exists', async t => {
  const names = (title: string): string[] => rowsOf(section(title)).flatMap(row => [...row.matchAll(/`(\w+)/g)].map(([, name]) => name!))
  t.equal(names('Options').length, 10)
  t.same(names('Options').filter(name => !PLUGIN_NAMES.includes(name)), [])
  t.same(names('The session').filter(name => !(reservedKeys as readonly string[]).includes(name)), [])
  t.equal(rowsOf(section('Cookie or store')).length, 1 + 4, 'a head and four rows')
})

/** An empty folder, in which the package and Fastify have been installed. */
function emptyFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'quick-start-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  symlinkSync(root, join(modules, 'fastify-sealed-session'))
  symlinkSync(join(root, 'node_modules/fastify'), join(modules, 'fastify'))
  // npm makes a command executable when it installs it, and here nothing was installed.
  writeFileSync(join(modules, '.bin/fastify-sealed-session'), `#!/bin/sh\nexec node '${join(root, 'dist/cli/bin.js')}' "$@"\n`, { mode: 0o755 })
  return folder
}

const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '' }

/** Starts a server, and returns the address that it logs. */
async function start (folder: string, args: string[]): Promise<{ url: string, child: ChildProcess }> {
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface(child.stdout)) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
    if (url !== undefined) return { url: url.replace('127.0.0.1', 'localhost'), child }
  }
  throw new Error('the server did not start')
}

t.test('the quick start works as printed, in an empty folder', async t => {
  const { text } = section('Quick start')
  const [install, program, command, requests] = blocksOf({ path: readme.path, text }).map(({ code }) => code.trimEnd()) as [string, string, string, string]
  const folder = emptyFolder()
  const [packages, makeSecret] = install.split('\n') as [string, string]
  t.equal(packages, 'npm install fastify fastify-sealed-session')
  // Of another Node, npx may be missing: the command is where it would look for it.
  execFileSync('sh', ['-c', makeSecret.replace('npx ', './node_modules/.bin/')], {
    cwd: folder, env: { ...env, PATH: `${join(process.execPath, '..')}:${env.PATH!}` }
  })
  writeFileSync(join(folder, 'server.mjs'), program.replace('port: 3000', 'port: 0'))
  const [node, ...args] = command.split(' ') as [string, ...string[]]
  t.equal(node, 'node')
  const { url, child } = await start(folder, args)
  t.teardown(async () => { child.kill(); await once(child, 'exit') })

  const curl = spawnSync('curl', ['--version']).status === 0
  if (!curl && process.env.CI === undefined) {
    t.comment('left out: this machine has no curl')
    return
  }
  const ask = (line: string): string => execFileSync('sh', ['-c', `${line.replace('http://localhost:3000', url)} --silent`], { cwd: folder, encoding: 'utf8' })
  const lines = requests.split('\n') as [login: string, page: string, logout: string]
  t.equal(lines.length, 3)
  const answers = lines.map(ask)
  const printed = /^They print (.*)\.$/m.exec(text)![1]!.matchAll(/`(.*?)`/g)
  t.same(answers, [...printed].map(([, answer]) => answer))
  t.equal(ask(lines[1]), '{"user":null,"views":1}', 'the logout holds')
  t.match(ask(lines[0].replace('lovelace', 'guessed')), 'wrong name or password')
  t.match(ask(lines[0].replace(/-d .*/, '-d {}')), 'wrong name or password')
})
