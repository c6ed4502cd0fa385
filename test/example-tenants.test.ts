import t from 'tap'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { buildApp } from '../examples/tenants/app.mjs'
import { createSealer } from '../lib/index.js'
import { Jar, logTo } from './fixtures/app.js'

const secret = 'a secret for the example, long enough'
const ACME = 'acme.localhost:3000'
const GLOBEX = 'globex.localhost:3000'

/** A browser's cookies of one host. */
class HostJar extends Jar {
  constructor (app: FastifyInstance, readonly host: string) { super(app) }

  async home (): Promise<string> {
    return (await this.get('/', { host: this.host })).body
  }

  async post (url: string, form: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<number> {
    const response = await this.app.inject({
      method: 'POST',
      url,
      headers: { host: this.host, cookie: this.header(), 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString()
    })
    this.store(response)
    return response.statusCode
  }

  async logIn (name: string): Promise<number> {
    return await this.post('/login', { name, password: 'fastify' })
  }
}

async function visit (given: string | string[] = secret, server: FastifyServerOptions = {}): Promise<{ acme: HostJar, globex: HostJar }> {
  const app = await buildApp({ secret: given, server })
  return { acme: new HostJar(app, ACME), globex: new HostJar(app, GLOBEX) }
}

t.test('who logs in at one tenant is a stranger at the other', async t => {
  const { acme, globex } = await visit()
  t.equal(await acme.logIn('grace'), 303)
  t.match(await acme.home(), 'Hello, Grace')
  t.notMatch(await globex.home(), 'Hello')
  t.equal(await globex.logIn('grace'), 303)
  t.equal(await acme.post('/logout'), 303)
  t.notMatch(await acme.home(), 'Hello')
  t.match(await globex.home(), 'Hello, Grace', 'the other session goes on')
})

t.test('a cookie of one tenant never opens at the other', async t => {
  const lines: Array<Record<string, unknown>> = []
  const { acme, globex } = await visit(secret, logTo(lines))
  for (const [from, to, name] of [[acme, globex, 'ada'], [globex, acme, 'linus']] as const) {
    await from.logIn(name)
    lines.length = 0
    const { body } = await new Jar(to.app).get('/', { host: to.host, cookie: from.header() })
    t.notMatch(body, 'Hello')
    t.equal(lines.filter(({ reason }) => reason === 'unknown-key').length, 1, 'its secret is not known there')
    t.match(await from.home(), 'Hello')
  }
})

t.test('a browser is told to send the cookie to its own host alone', async t => {
  const { acme } = await visit()
  const { setCookies } = await acme.get('/', { host: ACME })
  t.match(setCookies, [/^session=Fe26\.2/])
  t.notMatch(setCookies[0], /domain/i)
})

t.test('the secret of the app opens no tenant, and no tenant has another\'s', async t => {
  const { acme } = await visit()
  acme.cookies.set('session', await createSealer({ secret }).seal({ user: { id: 'ada', name: 'Ada' } }))
  t.notMatch(await acme.home(), 'Hello')
})

t.test('only members log in', async t => {
  const { acme, globex } = await visit()
  t.equal(await acme.logIn('linus'), 401)
  t.equal(await globex.logIn('ada'), 401)
  t.equal(await acme.post('/login', { name: 'ada', password: 'x' }), 401)
  t.equal(await acme.post('/login'), 401)
})

t.test('one tenant\'s page cannot post to another', async t => {
  const { acme } = await visit()
  await acme.logIn('ada')
  for (const origin of [`http://${GLOBEX}`, 'null', `http://evil.${ACME}`]) {
    t.equal(await acme.post('/logout', {}, { origin }), 403, origin)
  }
  t.match(await acme.home(), 'Hello, Ada')
  t.equal(await acme.post('/logout', {}, { origin: `http://${ACME}` }), 303)
})

t.test('other hosts have the list of tenants, and nothing of theirs', async t => {
  const { acme } = await visit()
  for (const [host, link] of [['127.0.0.1:3000', '//acme.localhost:3000/'], ['example.com', '//acme.localhost/'], ['acmexlocalhost', '//acme.localhost/']]) {
    const other = new HostJar(acme.app, host!)
    t.match(await other.home(), `href="${link!}"`)
    t.equal(await other.logIn('ada'), 404)
    t.equal(other.header(), '')
  }
})

t.test('while secrets change, every tenant keeps its sessions', async t => {
  const { acme } = await visit()
  await acme.logIn('ada')
  const later = await visit(['a newer secret for the example, long enough', secret])
  later.acme.cookies.set('session', acme.cookies.get('session')!)
  t.match(await later.acme.home(), 'Hello, Ada')
  const sealedAnew = later.acme.cookies.get('session')!
  t.not(sealedAnew, acme.cookies.get('session'))
  later.globex.cookies.set('session', sealedAnew)
  t.notMatch(await later.globex.home(), 'Hello')
})

t.test('a missing or weak secret is refused, though it is only derived from', async t => {
  await t.rejects(buildApp({ secret: undefined }), { code: 'FST_SESSION_SECRET_MISSING' })
  await t.rejects(buildApp({ secret: 'short' }), { code: 'FST_SESSION_SECRET_WEAK' })
})
