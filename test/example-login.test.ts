import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { buildApp } from '../examples/login/app.mjs'
import { Jar } from './fixtures/app.js'

const root = resolve(import.meta.dirname, '..')
const secret = 'a secret for the example, long enough'

async function post (jar: Jar, url: string, form: Record<string, string> = {}): Promise<{ status: number, location: unknown, body: string }> {
  const response = await jar.app.inject({
    method: 'POST',
    url,
    headers: { cookie: jar.header(), 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString()
  })
  jar.store(response)
  return { status: response.statusCode, location: response.headers.location, body: response.body }
}

const login = { name: 'ada', password: 'fastify' }
const jarOf = async (): Promise<Jar> => new Jar(await buildApp({ secret }))

t.test('the counter counts', async t => {
  const jar = await jarOf()
  t.match((await jar.get('/')).body, 'once')
  t.match((await jar.get('/')).body, '2 times')
})

t.test('a login makes a new session that keeps the counter', async t => {
  const jar = await jarOf()
  await jar.get('/')
  const before = await jar.app.session.unseal(jar.cookies.get('session')!)
  t.match(await post(jar, '/login', login), { status: 303, location: '/' })
  const after = await jar.app.session.unseal(jar.cookies.get('session')!)
  t.match(after, { ok: true, data: { user: { id: 'ada', name: 'Ada' }, views: 1 } })
  t.not(before.ok && before.info.id, after.ok && after.info.id)
  t.match((await jar.get('/')).body, 'Hello, Ada')
  t.match((await jar.get('/private')).body, 'That is you, Ada')
})

t.test('a wrong password or name does not log in, and what was typed is escaped', async t => {
  const jar = await jarOf()
  for (const form of [{ ...login, password: 'x' }, { ...login, name: '<script>"' }, {}]) {
    const { status, body } = await post(jar, '/login', form as Record<string, string>)
    t.equal(status, 401)
    t.match(body, 'Wrong name or password.')
    t.notMatch(body, '<script>')
  }
  t.match((await jar.get('/')).body, 'You are not logged in')
})

t.test('the private page sends strangers to the login, and says why once', async t => {
  const jar = await jarOf()
  t.match(await jar.get('/private'), { status: 303, headers: { location: '/login' } })
  t.match((await jar.get('/login')).body, 'Log in to see that page.')
  t.notMatch((await jar.get('/login')).body, 'Log in to see that page.')
})

t.test('a logout ends the session and says goodbye in a new one', async t => {
  const jar = await jarOf()
  await post(jar, '/login', login)
  t.match(await post(jar, '/logout'), { status: 303, location: '/' })
  const { body } = await jar.get('/')
  t.match(body, 'You are logged out.')
  t.match(body, 'once')
})

t.test('the session page shows data and times, and no secret', async t => {
  const jar = await jarOf()
  await post(jar, '/login', login)
  const { body } = await jar.get('/session')
  t.match(body, '&quot;id&quot;: &quot;ada&quot;')
  t.match(body, 'expiresAt')
  t.notMatch(body, secret)
})

/** Starts the example as `npm start` does, on a free port, and gives the lines that it prints. */
async function start (env: Record<string, string>): Promise<{ lines: string[], url: string | undefined, stop: () => Promise<number | null> }> {
  const child = spawn(process.execPath, [join(root, 'build/examples/login/server.mjs')], {
    cwd: root, env: { PATH: process.env.PATH!, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const lines: string[] = []
  createInterface(child.stderr).on('line', line => { lines.push(line) })
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    const url = /on (http:\S+)$/.exec(line)?.[1]
    if (url !== undefined) {
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

t.test('in production it wants a secret, and a busy port is named', async t => {
  const refused = await start({ NODE_ENV: 'production' })
  t.match(refused.lines, [/^FST_SESSION_SECRET_MISSING: .*keygen/])
  t.equal(await refused.stop(), 1)
  const first = await start({ SESSION_SECRET: secret })
  const second = await start({ SESSION_SECRET: secret, PORT: new URL(first.url!).port })
  t.match(second.lines, [/^Port \d+ is in use/])
  await first.stop()
})
