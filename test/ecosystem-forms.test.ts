import csrfProtection from '@fastify/csrf-protection'
import multipart from '@fastify/multipart'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { SessionOptions } from '../lib/index.js'
import { Jar, makeApp } from './fixtures/app.js'
import { flash, post } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

type Mode = '@fastify/session' | '@fastify/secure-session'

/** An app with a form that has a token, the route that it is posted to, a login and a logout. */
async function makeForms (sessionPlugin: Mode, options: Partial<SessionOptions> = {}): Promise<FastifyInstance> {
  const app = await makeApp(options, {
    '/form': (_request, reply) => ({ token: reply.generateCsrf() }),
    '/login': request => { request.session.regenerate(); request.session.user = { id: 'u1', name: 'Ada' } },
    '/login-keeping': request => { request.session.regenerate(['_csrf']) },
    '/logout': request => { request.session.destroy() },
    '/data': request => request.session.data()
  })
  await app.register(csrfProtection, { sessionPlugin })
  app.post('/order', { preHandler: app.csrfProtection }, async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { orders: request.session.views }
  })
  return app
}

for (const mode of ['@fastify/session', '@fastify/secure-session'] as const) {
  for (const place of ['the cookie', 'a store']) {
    t.test(`@fastify/csrf-protection works for ${mode}, with the session in ${place}`, async t => {
      const app = await makeForms(mode, place === 'a store' ? { store: new TestStore() } : {})
      const jar = new Jar(app)
      const first = await jar.get('/form')
      t.equal(first.setCookies.length, 1)
      t.same([...jar.cookies.keys()], ['session'], 'the secret is in the session, not in a separate cookie')
      const token = first.json.token as string
      const { _csrf: secret } = (await jar.get('/data')).json
      t.type(secret, 'string')

      const second = await jar.get('/form')
      t.equal(second.setCookies.length, 0, 'a second form needs no new secret')
      t.not(second.json.token, token)
      for (const [index, headers] of [{ 'csrf-token': token }, { 'x-csrf-token': second.json.token as string }].entries()) {
        t.match(await post(jar, '/order', {}, headers as Record<string, string>), { status: 200, json: { orders: index + 1 } })
      }
      t.match(await post(jar, '/order', { _csrf: token }), { status: 200, json: { orders: 3 } })
      t.equal((await jar.get('/data')).json._csrf, secret)

      const refused = { status: 403, json: { code: 'FST_CSRF_INVALID_TOKEN' }, setCookies: { length: 0 } }
      t.match(await post(jar, '/order'), refused)
      t.match(await post(jar, '/order', { _csrf: `${token}x` }), refused)
      const stranger = new Jar(app)
      t.match(await post(stranger, '/order', { _csrf: token }), { status: 403, json: { code: 'FST_CSRF_MISSING_SECRET' }, setCookies: { length: 0 } })
      await stranger.get('/form')
      t.match(await post(stranger, '/order', { _csrf: token }), refused, 'a token is only valid for its own session')
      t.equal((await jar.get('/data')).json.views, 3)
    })
  }

  t.test(`a token for ${mode} from before the login or the logout is rejected, unless the login keeps the secret`, async t => {
    const jar = new Jar(await makeForms(mode))
    const { token } = (await jar.get('/form')).json
    await jar.get('/login-keeping')
    t.equal((await post(jar, '/order', { _csrf: token })).status, 200)
    await jar.get('/login')
    t.match(await post(jar, '/order', { _csrf: token }), { status: 403, json: { code: 'FST_CSRF_MISSING_SECRET' } })
    const fresh = (await jar.get('/form')).json.token
    t.equal((await post(jar, '/order', { _csrf: token })).status, 403)
    t.equal((await post(jar, '/order', { _csrf: fresh })).status, 200)
    await jar.get('/logout')
    t.equal((await post(jar, '/order', { _csrf: fresh })).status, 403)
  })

  t.test(`tokens for ${mode} can be bound to a user and used with cookie options`, async t => {
    const app = await makeApp({}, {
      '/login': request => {
        const { name } = request.query as { name: string }
        request.session.regenerate(['_csrf'])
        request.session.user = { id: name, name }
      },
      '/form': (request, reply) => ({ token: reply.generateCsrf({ userInfo: request.session.user!.id, sameSite: 'strict', signed: false }) })
    })
    await app.register(csrfProtection, { sessionPlugin: mode, sessionKey: '_csrf', getUserInfo: request => request.session.user!.id })
    app.post('/order', { onRequest: app.csrfProtection }, async () => ({ ok: true }))
    const jar = new Jar(app)
    await jar.get('/login?name=ada')
    const { json: { token }, setCookies } = await jar.get('/form')
    t.match(setCookies, [mode === '@fastify/secure-session' ? /SameSite=Strict/ : /SameSite=Lax/])
    t.equal((await post(jar, '/order', {}, { 'csrf-token': token as string })).status, 200)
    await jar.get('/login?name=eve')
    t.match(await post(jar, '/order', {}, { 'csrf-token': token as string }), { status: 403, json: { code: 'FST_CSRF_INVALID_TOKEN' } })
  })
}

t.test('@fastify/flash: messages are shown once, on the next page, by type', async t => {
  const app = await makeApp({}, {
    '/save': async (request, reply) => {
      t.equal(request.flash('info', 'Saved %s.', 'it'), 1)
      t.equal(request.flash('info', ['Twice.', 'Thrice.']), 3)
      request.flash('error', 'But not that.')
      return await reply.redirect('/page')
    },
    '/errors': (_request, reply) => ({ errors: reply.flash('error') }),
    '/page': (_request, reply) => reply.flash()
  })
  await app.register(flash)
  const jar = new Jar(app)
  t.match(await jar.get('/save'), { status: 302, setCookies: { length: 1 } })
  t.same((await jar.get('/errors')).json, { errors: ['But not that.'] })
  t.same((await jar.get('/page')).json, { info: ['Saved it.', 'Twice.', 'Thrice.'] })
  const empty = await jar.get('/page')
  t.same([empty.json, empty.setCookies], [{}, []])
})

t.test('@fastify/flash: reading messages without a session creates one session, once', async t => {
  const app = await makeApp({}, {
    '/page': (_request, reply) => ({ info: reply.flash('info') }),
    '/polite': (request, reply) => ({ info: request.session.flash === undefined ? [] : reply.flash('info') })
  })
  await app.register(flash)
  const jar = new Jar(app)
  t.match(await jar.get('/polite'), { json: { info: [] }, setCookies: { length: 0 } })
  t.match(await jar.get('/page'), { json: { info: [] }, setCookies: { length: 1 } })
  t.match(await jar.get('/page'), { json: { info: [] }, setCookies: { length: 0 } })
})

t.test('@fastify/flash: a message that is set after destroy() is shown on the next page', async t => {
  const app = await makeApp({ store: new TestStore() }, {
    '/login': request => { request.session.regenerate(); request.session.user = { id: 'u1', name: 'Ada' } },
    '/logout': request => { request.session.destroy(); request.flash('info', 'Goodbye.') },
    '/page': (request, reply) => ({ user: request.session.user ?? null, info: reply.flash('info') })
  })
  await app.register(flash)
  const jar = new Jar(app)
  await jar.get('/login')
  await jar.get('/logout')
  t.same((await jar.get('/page')).json, { user: null, info: ['Goodbye.'] })
})

t.test('@fastify/flash names the missing plugin if it is registered before this one', async t => {
  const app = Fastify()
  app.register(flash)
  await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_PLUGIN_NOT_PRESENT_IN_INSTANCE', message: '\'session\'' })
})

/** A form with a file, as sent by a browser. */
function formWith (text: string): FormData {
  const form = new FormData()
  form.set('title', 'Notes')
  form.set('file', new Blob([text], { type: 'text/plain' }), 'notes.txt')
  return form
}

t.test('@fastify/multipart: an upload can be kept in the session, whichever way it is read', async t => {
  const app = await makeApp({}, { '/read': request => ({ note: request.session.note ?? null, views: request.session.views ?? null }) })
  await app.register(multipart, { limits: { fileSize: 1000 } })
  app.post('/file', async request => {
    const before = request.session.views ?? 0
    const file = await request.file()
    request.session.note = `${file!.filename}: ${(await file!.toBuffer()).length}`
    request.session.views = before + 1
    return { ok: true }
  })
  app.post('/parts', async request => {
    for await (const part of request.parts()) {
      if (part.type === 'field') request.session.note = part.value as string
      else request.session.views = (await part.toBuffer()).length
    }
    return { ok: true }
  })
  app.post('/counted', async request => {
    request.session.views = (request.session.views ?? 0) + 1
    return { size: (await (await request.file())!.toBuffer()).length }
  })
  const jar = new Jar(app)
  t.match(await post(jar, '/file', formWith('hello')), { status: 200, setCookies: { length: 1 } })
  t.same((await jar.get('/read')).json, { note: 'notes.txt: 5', views: 1 })
  t.match(await post(jar, '/parts', formWith('x'.repeat(70))), { status: 200, setCookies: { length: 1 } })
  t.same((await jar.get('/read')).json, { note: 'Notes', views: 70 })
  const refused = await post(jar, '/counted', formWith('x'.repeat(2000)))
  t.match(refused, { status: 413, json: { code: 'FST_REQ_FILE_TOO_LARGE' }, setCookies: { length: 1 } })
  t.same((await jar.get('/read')).json, { note: 'Notes', views: 71 }, 'data set before the upload was rejected is saved')
})

t.test('@fastify/multipart: @fastify/csrf-protection accepts a token from a form field', async t => {
  const app = await makeApp({}, { '/form': (_request, reply) => ({ token: reply.generateCsrf() }) })
  await app.register(multipart, { attachFieldsToBody: 'keyValues' })
  await app.register(csrfProtection, { sessionPlugin: '@fastify/secure-session' })
  app.post('/upload', { preHandler: app.csrfProtection }, async request => { request.session.note = String((request.body as { file: Buffer }).file); return {} })
  const jar = new Jar(app)
  const form = formWith('hello')
  t.equal((await post(jar, '/upload', form)).status, 403)
  form.set('_csrf', (await jar.get('/form')).json.token as string)
  t.match(await post(jar, '/upload', form), { status: 200, setCookies: { length: 1 } })
  t.match(await app.session.unseal(jar.cookies.get('session')!), { data: { note: 'hello' } })
})
