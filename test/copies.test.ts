import { channel } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type Package from '../lib/index.js'
import { secret } from './fixtures/app.js'

// Test runners load a package again for each file, and two versions of it may be installed.

const require = createRequire(import.meta.url)

/** Another copy of the built package, as if the process had loaded the package again. */
function load (): typeof Package {
  const entry = require.resolve('../dist/index.js')
  for (const path of Object.keys(require.cache)) {
    if (path.startsWith(entry.slice(0, -'index.js'.length))) delete require.cache[path]
  }
  return require(entry) as typeof Package
}

const copies = [load(), load(), load()] as const

async function ask (app: FastifyInstance, url = '/'): Promise<{ code?: string, message?: string }> {
  return (await app.inject(url)).json()
}

t.test('each load makes a separate copy', async t => {
  t.not(copies[0], copies[1])
  t.not(copies[0].errors, copies[1].errors)
})

t.test('an app is guarded once even if several copies are loaded', async t => {
  const calls: string[] = []
  const app = { decorateRequest: () => { calls.push('decorateRequest') }, addHook: (name: string) => { calls.push(name) } }
  channel('fastify.initialization').publish({ fastify: app })
  t.same(calls, ['decorateRequest', 'onReady'])
})

t.test('an error of one copy is an instance of the error classes of the others', async t => {
  const app = Fastify()
  app.get('/', async request => {
    try {
      return request.session
    } catch (error) {
      return copies.map(({ errors }) => error instanceof errors.FST_SESSION_NOT_REGISTERED)
    }
  })
  t.same(await ask(app), [true, true, true])
})

t.test('a copy knows what another copy has registered', async t => {
  const app = Fastify()
  app.register(async scope => {
    await scope.register(copies[0], { secret })
    scope.get('/in', async request => copies[1].getSession(request).info.reason)
  })
  app.get('/plain', async request => request.session)
  app.get('/checked', async request => copies[1].getSession(request))
  t.equal((await app.inject('/in')).body, 'absent')
  for (const url of ['/plain', '/checked']) t.match(await ask(app, url), { message: /registered in another scope/ })
})

t.test('an app can have only one session of each name across all copies', async t => {
  const app = Fastify()
  app.register(copies[0], { secret })
  app.register(copies[1], { secret })
  await t.rejects(async () => { await app.ready() }, { code: 'FST_SESSION_INVALID_OPTION' })
})

t.test('an app of a realm that has not imported the package is left alone', async () => {
  // Jest and vitest's vmThreads give each test file its own realm. Every call on this app throws.
  channel('fastify.initialization').publish({ fastify: runInNewContext('({})') as object })
})
