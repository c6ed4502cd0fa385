import { Agent, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { makeApp, olderSecret, secret } from '../fixtures/app.js'
import { times } from '../fixtures/fuzz.js'

/** A user with a separate browser: a name and its cookie. */
interface Person { name: string, cookie: string, views: number }

const routes = {
  '/login': (request: FastifyRequest) => {
    const { name } = request.query as { name: string }
    request.session.regenerate()
    request.session.user = { id: name, name }
    request.session.views = 0
  },
  '/me': ({ session }: FastifyRequest) => ({ name: session.user?.name ?? null, views: session.views ?? null }),
  '/count': async ({ session }: FastifyRequest) => {
    // Let other requests run in between.
    await new Promise(setImmediate)
    session.views = (session.views ?? 0) + 1
    return { name: session.user?.name ?? null, views: session.views }
  }
}

async function serve (app: FastifyInstance): Promise<(person: Person, path: string) => Promise<{ name: string | null, views: number }>> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 40 })
  t.teardown(async () => {
    agent.destroy()
    await app.close()
  })
  return async (person, path) => await new Promise((resolve, reject) => {
    get({ port, path, agent, headers: person.cookie === '' ? {} : { cookie: person.cookie } }, response => {
      const [setCookie] = response.headers['set-cookie'] ?? []
      if (setCookie !== undefined) person.cookie = setCookie.split(';')[0]!
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => { body += chunk })
      response.on('end', () => { resolve(JSON.parse(body) as { name: string, views: number }) })
    }).on('error', reject)
  })
}

for (const [title, options] of Object.entries({ 'a cache for all': { cacheSize: 10_000 }, 'a cache for a few': { cacheSize: 64 }, 'no cache': { cacheSize: 0 } })) {
  t.test(`thousands of concurrent users see only their own session, with ${title}`, { timeout: 0 }, async t => {
    const ask = await serve(await makeApp(options, routes))
    const people = Array.from({ length: times(2000) }, (_, nth): Person => ({ name: `person-${nth}`, cookie: '', views: 0 }))
    const wrong: string[] = []
    const expect = ({ name, views }: Person, answer: { name: string | null, views: number }): void => {
      if (answer.name !== name || answer.views !== views) wrong.push(`${name} ${views} got ${answer.name} ${answer.views}`)
    }
    await Promise.all(people.map(async person => {
      await ask(person, `/login?name=${person.name}`)
      for (const path of ['/me', '/count', '/me', '/me', '/count']) {
        if (path === '/count') person.views++
        expect(person, await ask(person, path))
      }
    }))
    t.same(wrong, [])
    t.equal(new Set(people.map(({ cookie }) => cookie)).size, people.length)
  })
}

t.test('two apps with different secrets, names and timeouts in one process do not affect each other under load', async t => {
  const ask = [
    await serve(await makeApp({ secret, cacheSize: 100 }, routes)),
    await serve(await makeApp({ secret: olderSecret, cookieName: 'sid', idleTimeout: 60, cacheSize: 100 }, routes))
  ] as const
  const wrong: unknown[] = []
  await Promise.all(Array.from({ length: 400 }, async (_, nth) => {
    const at = nth % 2 as 0 | 1
    const person: Person = { name: `person-${nth}`, cookie: '', views: 0 }
    await ask[at](person, `/login?name=${person.name}`)
    if (!person.cookie.startsWith(at === 0 ? 'session=' : 'sid=')) wrong.push(person)
    const own = await ask[at](person, '/count')
    // The same value with the other app's cookie name: the other app has a different secret.
    const renamed = { ...person, cookie: person.cookie.replace(/^[^=]+/, at === 0 ? 'sid' : 'session') }
    const other = await ask[at === 0 ? 1 : 0](renamed, '/me')
    if (own.name !== person.name || own.views !== 1 || other.name !== null) wrong.push({ own, other })
  }))
  t.same(wrong, [])
})
