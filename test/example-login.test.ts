import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { buildApp } from '../examples/login/app.mjs'
import { logTo } from './fixtures/app.js'
import { FormJar, tokenOf } from './fixtures/forms.js'

const root = resolve(import.meta.dirname, '..')
const secret = 'a secret for the example, long enough'

const login = { name: 'ada', password: 'fastify' }
const jarOf = async (): Promise<FormJar> => new FormJar(await buildApp({ secret }))

t.test('the counter counts', async t => {
  const jar = await jarOf()
  t.match((await jar.get('/')).body, 'once')
  t.match((await jar.get('/')).body, '2 times')
})

t.test('a login makes a new session that keeps the counter', async t => {
  const jar = await jarOf()
  await jar.get('/')
  const before = await jar.app.session.unseal(jar.cookies.get('session')!)
  t.match(await jar.submit('/login', login), { status: 303, location: '/' })
  const after = await jar.app.session.unseal(jar.cookies.get('session')!)
  t.match(after, { ok: true, data: { user: { id: 'ada', name: 'Ada' }, views: 1 } })
  t.not(before.ok && before.info.id, after.ok && after.info.id)
  t.match((await jar.get('/')).body, 'Hello, Ada')
  t.match((await jar.get('/private')).body, 'That is you, Ada')
})

t.test('a wrong password or name does not log in, and what was typed is escaped', async t => {
  const jar = await jarOf()
  for (const form of [{ ...login, password: 'x' }, { ...login, name: '<script>"' }, {}]) {
    const { status, body } = await jar.submit('/login', form as Record<string, string>)
    t.equal(status, 401)
    t.match(body, 'Wrong name or password.')
    t.notMatch(body, '<script>')
  }
  t.match((await jar.get('/')).body, 'You are not logged in')
})

t.test('the private page sends strangers to the login, which says why once and returns to the page', async t => {
  const jar = await jarOf()
  t.match(await jar.get('/private?from=a%20link'), { status: 303, headers: { location: '/login' } })
  t.match((await jar.get('/login')).body, 'Log in to see that page.')
  t.notMatch((await jar.get('/login')).body, 'Log in to see that page.')
  t.match(await jar.submit('/login', { ...login, password: 'x' }), { status: 401 })
  t.match(await jar.submit('/login', login), { status: 303, location: '/private?from=a%20link' })
  t.match(await jar.submit('/login', login), { status: 303, location: '/' }, 'once')
})

t.test('no address from outside decides where the login leads', async t => {
  const jar = await jarOf()
  for (const page of ['/private?returnTo=//evil.example', '//evil.example/private', '/\\evil.example/private', 'http://evil.example/private']) {
    await jar.get(page)
    const { location } = await jar.submit('/login', { ...login, returnTo: 'https://evil.example/', next: '//evil.example' })
    t.equal(new URL(String(location), 'http://us.example').host, 'us.example', page)
    await jar.submit('/logout')
  }
  await jar.get('/private')
  await jar.get('/')
  t.match(await jar.submit('/login', login), { location: '/' }, 'whoever went home first stays there')
})

t.test('a form without the token of its session is answered with a page, and changes nothing', async t => {
  const jar = await jarOf()
  const stranger = new FormJar(jar.app)
  const foreign = tokenOf((await stranger.get('/login')).body)
  for (const token of ['', 'x', foreign]) {
    const { status, body } = await jar.submit('/login', login, token)
    t.equal(status, 403)
    t.match(body, 'This form is out of date')
    await jar.get('/login')
  }
  const old = tokenOf((await jar.get('/login')).body)
  t.match(await jar.submit('/login', login, old), { status: 303 })
  t.match(await jar.submit('/logout', {}, old), { status: 403 }, 'a token does not outlive the login')
  t.match((await jar.get('/')).body, 'Hello, Ada')
})

t.test('an unknown path and a store that is away are answered with pages', async t => {
  const jar = await jarOf()
  t.match(await jar.get('/nowhere'), { status: 404, headers: { 'content-type': /html/ }, body: 'Page not found' })
  const store = { get: async () => undefined, set: async () => { throw new Error('the address of the store') }, delete: async () => undefined }
  const lines: Array<Record<string, unknown>> = []
  const away = new FormJar(await buildApp({ secret, store, server: logTo(lines) }))
  const { status, headers, body } = await away.get('/login?a=%22%3E')
  t.match({ status, headers }, { status: 503, headers: { 'content-type': /html/, 'cache-control': 'no-store' } })
  t.match(body, 'Please try again in a minute')
  t.match(body, 'FST_SESSION_STORE')
  t.match(body, 'href="/login?a=%22%3E"')
  t.notMatch(body, 'the address of the store')
  t.match(lines.find(({ msg }) => msg === 'request failed'), { level: 50, err: { code: 'FST_SESSION_STORE' } })
})

t.test('a logout ends the session and says goodbye in a new one', async t => {
  const jar = await jarOf()
  await jar.submit('/login', login)
  t.match(await jar.submit('/logout'), { status: 303, location: '/' })
  const { body } = await jar.get('/')
  t.match(body, 'You are logged out.')
  t.match(body, 'once')
})

t.test('the session page shows data and times, and no secret', async t => {
  const jar = await jarOf()
  await jar.submit('/login', login)
  const { body } = await jar.get('/session')
  t.match(body, '&quot;id&quot;: &quot;ada&quot;')
  t.match(body, 'expiresAt')
  t.notMatch(body, secret)
})

/** Starts the example as `npm start` does, on a free port, and returns the lines that it prints. */
async function start (env: Record<string, string>, ...args: string[]): Promise<{ lines: string[], url: string | undefined, stop: () => Promise<number | null> }> {
  const child = spawn(process.execPath, [join(root, 'build/examples/start.mjs'), ...args], {
    cwd: root, env: { PATH: process.env.PATH!, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const lines: string[] = []
  createInterface(child.stderr).on('line', line => { lines.push(line) })
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    const url = /on (http:\S+)$/.exec(line)?.[1]
    if (url !== undefined) {
      child.stdout.resume() // the log goes on
      return { lines, url, stop: async () => { child.kill('SIGTERM'); return (await exited)[0] } }
    }
  }
  const [code] = await exited
  return { lines, url: undefined, stop: async () => code }
}

t.test('it starts without a secret and says so, serves, and stops cleanly', async t => {
  const { lines, url, stop } = await start({})
  t.match(lines[0], 'SESSION_SECRET is not set')
  t.match(await (await fetch(url!)).text(), 'Hello')
  t.equal(await stop(), 0)
})

t.test('every example is started by its name, and an unknown name is answered with the list', async t => {
  const names = readdirSync(join(root, 'examples'), { withFileTypes: true }).filter(entry => entry.isDirectory()).map(({ name }) => name)
  t.ok(names.length >= 6)
  const { lines, stop } = await start({}, 'rediss')
  t.equal(lines[0], 'There is no example named "rediss". Start one of these:')
  for (const name of names) t.ok(lines.includes(`  npm start -- ${name}`), name)
  t.equal(await stop(), 1)
  const spa = await start({}, 'spa')
  t.match(await (await fetch(spa.url!)).text(), 'To-do list')
  t.equal(await spa.stop(), 0)
})

t.test('in production it wants a secret, and a busy port is named', async t => {
  const refused = await start({ NODE_ENV: 'production' })
  t.match(refused.lines, [/^FST_SESSION_SECRET_MISSING: .*keygen/])
  t.equal(await refused.stop(), 1)
  const first = await start({ SESSION_SECRET: secret })
  const second = await start({ SESSION_SECRET: secret, PORT: new URL(first.url!).port })
  t.match(second.lines, [/^Port \d+ is in use/])
  await first.stop()
})
