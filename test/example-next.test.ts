import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Test } from 'tap'
import { buildApp } from '../examples/next/app.mjs'
import { createNextServer } from '../examples/next/next.mjs'
import { Jar } from './fixtures/app.js'

const root = resolve(import.meta.dirname, '..')
const secret = 'a secret for the example, long enough'

/** A browser that visits both halves; cookies know no ports. */
class Visitor extends Jar {
  async visit (url: string, form?: Record<string, string>): Promise<{ status: number, text: string, setCookies: string[] }> {
    const body = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
    const response = await fetch(url, { headers: { cookie: this.header() }, redirect: 'manual', ...body })
    const setCookies = this.store({ headers: { 'set-cookie': response.headers.getSetCookie() } })
    return { status: response.status, text: await response.text(), setCookies }
  }

  async logIn (half: string): Promise<void> {
    const { status } = await this.visit(`${half}/login`, { name: 'ada', password: 'fastify' })
    if (status !== 303) throw new Error(`the login answered ${status}`)
  }

  /** Another browser with the same cookies. */
  copy (): Visitor {
    const copy = new Visitor(this.app)
    for (const [name, value] of this.cookies) copy.cookies.set(name, value)
    return copy
  }
}

async function open (t: Test, given: string | string[] = secret): Promise<{ fastify: string, next: string, visitor: Visitor }> {
  const app = await buildApp({ secret: given, otherPort: 1 })
  const server = createNextServer({ secret: given, otherPort: 2, log: app.log })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(async () => {
    server.close()
    server.closeAllConnections()
    await app.close()
  })
  const fastify = await app.listen({ port: 0, host: '127.0.0.1' })
  return { fastify, next: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, visitor: new Visitor(app) }
}

for (const [here, there] of [['fastify', 'next'], ['next', 'fastify']] as const) {
  t.test(`a login at ${here} is seen at ${there}, and a logout at either ends it at both`, async t => {
    const { visitor, ...halves } = await open(t)
    for (const end of [here, there]) {
      await visitor.logIn(halves[here])
      t.match((await visitor.visit(halves[here])).text, 'Hello, Ada')
      t.match((await visitor.visit(halves[there])).text, 'Hello, Ada')
      t.equal(visitor.cookies.size, 1)
      t.equal((await visitor.visit(`${halves[end]}/logout`, {})).status, 303)
      t.equal(visitor.header(), '')
      for (const half of [here, there]) t.match((await visitor.visit(halves[half])).text, 'Log in')
    }
  })

  t.test(`what ${here} changes, ${there} reads and changes again`, async t => {
    const { visitor, ...halves } = await open(t)
    const views = async (half: string): Promise<string | undefined> => /<strong>(\d+)/.exec((await visitor.visit(half)).text)?.[1]
    for (const [half, count] of [[here, '1'], [there, '2'], [there, '3'], [here, '4'], [there, '5']] as const) {
      t.equal(await views(halves[half]), count)
    }
    await visitor.logIn(halves[here])
    t.equal(await views(halves[there]), '1', 'a login starts anew')
  })
}

t.test('a login at either half begins a new session, with an id of its own', async t => {
  const { fastify, next, visitor } = await open(t)
  const id = async (): Promise<string | false> => {
    await visitor.visit(fastify)
    const opened = await visitor.app.session.unseal(visitor.cookies.get('session')!)
    return opened.ok && opened.info.id
  }
  const seen = new Set([await id()])
  await visitor.visit(next)
  seen.add(await id())
  t.equal(seen.size, 1, 'iron-session keeps the id when it saves')
  for (const half of [next, fastify]) {
    await visitor.logIn(half)
    seen.add(await id())
  }
  t.equal(seen.size, 3)
  t.notOk(seen.has(false))
})

t.test('a wrong password logs in nowhere', async t => {
  const { fastify, next, visitor } = await open(t)
  for (const half of [fastify, next]) {
    const { status, text } = await visitor.visit(`${half}/login`, { name: 'ada', password: 'x' })
    t.equal(status, 401)
    t.match(text, 'Wrong name or password.')
    t.equal(visitor.header(), '')
  }
})

t.test('an unknown path is a page and no error, at both', async t => {
  const { fastify, next, visitor } = await open(t)
  for (const half of [fastify, next]) {
    t.match(await visitor.visit(`${half}/elsewhere`), { status: 404, text: 'Page not found' })
    t.equal((await visitor.visit(`${half}/elsewhere`, {})).status, 404)
  }
})

t.test('a forged cookie is a stranger at both', async t => {
  const { fastify, next, visitor } = await open(t)
  for (const half of [fastify, next]) {
    await visitor.logIn(half)
    const [start, end] = visitor.cookies.get('session')!.split('~') as [string, string]
    visitor.cookies.set('session', `${start.slice(0, -3)}AAA~${end}`)
    for (const other of [fastify, next]) t.match((await visitor.copy().visit(other)).text, 'Log in')
    visitor.cookies.clear()
  }
})

t.test('while secrets change, both halves read the older cookies and seal with the newest', async t => {
  const before = await open(t)
  const newer = 'a newer secret for the example, long enough'
  const during = await open(t, [newer, secret])
  for (const half of ['fastify', 'next'] as const) {
    for (const reader of ['fastify', 'next'] as const) {
      await before.visitor.logIn(before[half])
      const visitor = before.visitor.copy()
      t.match((await visitor.visit(during[reader])).text, 'Hello, Ada', `${half} to ${reader}`)
      t.match(visitor.cookies.get('session'), /^Fe26\.2\*2\*.*~2$/)
      for (const other of [during.fastify, during.next]) t.match((await visitor.visit(other)).text, 'Hello, Ada')
    }
  }
})

t.test('one command starts both halves, and ends both', async t => {
  const child = spawn(process.execPath, [join(root, 'build/examples/next/server.mjs')], {
    cwd: root, env: { PATH: process.env.PATH!, PORT: '0', NEXT_PORT: '0', SESSION_SECRET: secret }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  const exited = once(child, 'exit')
  const urls: string[] = []
  for await (const line of createInterface(child.stdout)) {
    const url = /on (http:\S+)$/.exec(line)?.[1]
    if (url !== undefined && urls.push(url) === 2) break
  }
  child.stdout.resume() // the log goes on
  const [next, fastify] = urls as [string, string]
  const visitor = new Visitor((await open(t)).visitor.app)
  await visitor.logIn(next)
  t.match((await visitor.visit(fastify)).text, 'Hello, Ada')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
})
