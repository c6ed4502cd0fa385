import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext } from 'playwright-core'
import t from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../examples/login/app.mjs'
import sessionPlugin from '../../lib/index.js'
import type { SessionOptions } from '../../lib/index.js'
import { secret } from '../fixtures/app.js'
import { makeCertificate } from '../fixtures/https.js'

// How a real browser handles our cookies, over real HTTPS. The two hosts are two sites, both on this machine.
const US = 'us.test'
const THEM = 'them.test'
const CHROMIUM = '/usr/bin/chromium'

const missing = [!existsSync(CHROMIUM) && CHROMIUM, spawnSync('openssl', ['version']).error && 'openssl'].filter(Boolean)
// CI must not skip anything.
if (missing.length > 0 && process.env.CI) t.fail(`${missing.join(' and ')} must be installed`)
const skip = missing.length > 0 && `${missing.join(' and ')} not installed`

t.test('in Chromium', { skip, timeout: 0 }, async t => {
  const https = makeCertificate([US, THEM])
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    // Enabled as for users: pages stay in memory for the Back button unless their headers forbid it.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: ['--no-sandbox', `--host-resolver-rules=MAP ${US} 127.0.0.1, MAP ${THEM} 127.0.0.1`, '--disable-background-networking']
  })
  t.teardown(async () => await browser.close())

  const visitor = async (): Promise<BrowserContext> => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    t.teardown(async () => await context.close())
    return context
  }

  async function listen (app: FastifyInstance, host = US): Promise<string> {
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(async () => await app.close())
    return `https://${host}:${(app.server.address() as AddressInfo).port}`
  }

  const html = (body: string): string => `<!doctype html><title>t</title><body>${body}`

  /** An app whose pages show the session of the visitor. */
  async function serve (options: Partial<SessionOptions>): Promise<string> {
    const app = Fastify({ https })
    await app.register(sessionPlugin, { secret, ...options })
    app.addHook('onRequest', async (_request, reply) => { reply.type('text/html') })
    app.addContentTypeParser('application/x-www-form-urlencoded', (_request, payload, done) => { payload.resume().on('end', () => { done(null) }) })
    app.route({ method: ['GET', 'POST'], url: '/who', handler: async request => html(request.session.user?.name ?? 'nobody') })
    app.get('/login', async request => { request.session.user = { id: 'u1', name: 'Ada' }; return html('in') })
    app.get('/logout', async request => { request.session.destroy(); return html('out') })
    app.get('/count', async request => html(String(request.session.views = (request.session.views ?? 0) + 1)))
    app.get<{ Params: { bytes: string } }>('/fill/:bytes', async request => {
      request.session.note = 'x'.repeat(Number(request.params.bytes))
      return html('full')
    })
    app.get('/note', async request => html(String(request.session.note?.length ?? 'none')))
    return await listen(app)
  }

  /** A page of another site. */
  async function them (body: string): Promise<string> {
    const app = Fastify({ https })
    app.get('/', async (_request, reply) => await reply.type('text/html').send(html(body)))
    return await listen(app, THEM)
  }

  const textOf = async (context: BrowserContext, url: string): Promise<string> => {
    const page = await context.newPage()
    await page.goto(url)
    const text = await page.innerText('body')
    await page.close()
    return text
  }

  await t.test('a __Host- cookie is stored, hidden from scripts, and sent back', async t => {
    const url = await serve({ cookieName: '__Host-session' })
    const context = await visitor()
    t.equal(await textOf(context, `${url}/count`), '1')
    t.equal(await textOf(context, `${url}/count`), '2')
    const [cookie, ...others] = await context.cookies()
    t.same(others, [])
    t.match(cookie, { name: '__Host-session', domain: US, path: '/', httpOnly: true, secure: true, sameSite: 'Lax' })
    const days = (cookie!.expires - Date.now() / 1000) / 86_400
    t.ok(days > 13.9 && days < 14.1, `${days} days`)
    const page = await context.newPage()
    await page.goto(`${url}/who`)
    t.equal(await page.evaluate('document.cookie'), '')
  })

  await t.test('SameSite=Lax: a form of another site has no session, but a link from it has one', async t => {
    const url = await serve({ cookie: { secure: true } })
    const other = await them(`<form method="post" action="${url}/who"><button>go</button></form><a href="${url}/who">go</a>`)
    const context = await visitor()
    await textOf(context, `${url}/login`)
    const page = await context.newPage()
    await page.goto(other)
    await Promise.all([page.waitForURL(`${url}/who`), page.click('button')])
    t.equal(await page.innerText('body'), 'nobody')
    await page.goto(other)
    await Promise.all([page.waitForURL(`${url}/who`), page.click('a')])
    t.equal(await page.innerText('body'), 'Ada')
  })

  await t.test('SameSite=Lax: a frame, an image and a fetch of another site have no session', async t => {
    const asked: Array<string | undefined> = []
    const app = Fastify({ https })
    await app.register(sessionPlugin, { secret, cookie: { secure: true } })
    app.get('/login', async request => { request.session.user = { id: 'u1', name: 'Ada' } })
    app.get<{ Params: { how: string } }>('/who/:how', async request => { asked.push(`${request.params.how} ${request.session.user?.name ?? 'nobody'}`) })
    const url = await listen(app)
    const other = await them(`<iframe src="${url}/who/frame"></iframe><img src="${url}/who/image">`)
    const context = await visitor()
    await textOf(context, `${url}/login`)
    const page = await context.newPage()
    await page.goto(other, { waitUntil: 'networkidle' })
    await page.evaluate(`fetch('${url}/who/fetch', { mode: 'no-cors', credentials: 'include' })`)
    await textOf(context, `${url}/who/itself`)
    t.same(asked.sort(), ['fetch nobody', 'frame nobody', 'image nobody', 'itself Ada'])
  })

  await t.test('SameSite=Strict: a link from another site has no session either', async t => {
    const url = await serve({ cookie: { sameSite: 'strict', secure: true } })
    const other = await them(`<a href="${url}/who">go</a>`)
    const context = await visitor()
    await textOf(context, `${url}/login`)
    const page = await context.newPage()
    await page.goto(other)
    await Promise.all([page.waitForURL(`${url}/who`), page.click('a')])
    t.equal(await page.innerText('body'), 'nobody')
    await page.goto(`${url}/who`)
    t.equal(await page.innerText('body'), 'Ada')
  })

  await t.test('Partitioned: a session in a frame belongs to the site around it', async t => {
    const url = await serve({ cookieName: '__Host-session', cookie: { sameSite: 'none', partitioned: true } })
    const other = await them(`<iframe src="${url}/count"></iframe>`)
    const context = await visitor()
    const page = await context.newPage()
    for (const views of ['1', '2']) {
      await page.goto(other)
      t.equal(await page.frameLocator('iframe').locator('body').innerText(), views)
    }
    t.equal(await textOf(context, `${url}/count`), '1', 'the top-level page has another session')
  })

  await t.test('ending a session removes its cookie, whatever its path, domain and chunks', async t => {
    for (const options of [
      { cookieName: '__Host-session' },
      { cookie: { path: '/', domain: US, secure: true } },
      { cookieName: '__Secure-s', cookie: { sameSite: 'none' as const, partitioned: true } },
      { maxCookies: 4, cookie: { secure: true } }
    ]) {
      const url = await serve(options)
      const context = await visitor()
      await textOf(context, `${url}/login`)
      if ('maxCookies' in options) await textOf(context, `${url}/fill/8000`)
      t.equal(await textOf(context, `${url}/who`), 'Ada')
      t.equal((await context.cookies()).length, 'maxCookies' in options ? 3 : 1)
      t.equal(await textOf(context, `${url}/logout`), 'out')
      t.same(await context.cookies(), [])
      t.equal(await textOf(context, `${url}/who`), 'nobody')
    }
  })

  await t.test('the largest session that is accepted is sent back, in one cookie and in several', async t => {
    for (const [maxCookies, least] of [[1, 2500], [3, 8000]] as Array<[number, number]>) {
      const url = await serve({ maxCookies, cookie: { secure: true, domain: US } })
      const context = await visitor()
      const page = await context.newPage()
      const fits = async (bytes: number): Promise<boolean> => (await page.goto(`${url}/fill/${bytes}`))!.status() === 200
      let [largest, refused] = [least, least * 2]
      while (refused - largest > 1) {
        const middle = largest + refused >> 1
        if (await fits(middle)) largest = middle
        else refused = middle
      }
      t.ok(await fits(largest))
      t.equal(await textOf(context, `${url}/note`), String(largest))
      t.equal((await context.cookies()).length, maxCookies)
    }
  })

  await t.test('after a logout the Back button shows no private page', async t => {
    const url = await listen(await buildApp({ secret, server: { https } as never }))
    const context = await visitor()
    const page = await context.newPage()
    await page.goto(`${url}/login`)
    await page.fill('[name=name]', 'ada')
    await page.fill('[name=password]', 'fastify')
    await Promise.all([page.waitForURL(`${url}/`), page.click('button[type=submit], form button')])
    await page.goto(`${url}/private`)
    t.match(await page.innerText('body'), 'That is you')
    await page.goto(`${url}/`)
    await Promise.all([page.waitForResponse(response => response.url() === `${url}/logout`), page.click('form[action="/logout"] button')])
    await page.waitForLoadState()
    t.match(await page.innerText('body'), 'You are logged out')
    for (let steps = 0; steps < 3; steps++) {
      // A page restored from memory is not loaded again, so there is no load event to wait for.
      await page.goBack({ waitUntil: 'commit' })
      await page.waitForFunction("document.readyState === 'complete'")
      t.notMatch(await page.innerText('body'), 'That is you')
    }
  })

  await t.test('on plain HTTP, a Secure or __Host- cookie is stored for localhost alone', async t => {
    for (const [options, host, views] of [
      [{ cookie: { secure: true } }, 'localhost', '2'], [{ cookieName: '__Host-session' }, 'localhost', '2'],
      [{ cookieName: '__Host-session' }, '127.0.0.1', '2'], [{ cookieName: '__Host-session' }, US, '1']
    ] as Array<[Partial<SessionOptions>, string, string]>) {
      const app = Fastify()
      await app.register(sessionPlugin, { secret, ...options })
      app.get('/count', async request => String(request.session.views = (request.session.views ?? 0) + 1))
      const url = (await listen(app, host)).replace('https:', 'http:')
      const context = await visitor()
      await textOf(context, `${url}/count`)
      t.equal(await textOf(context, `${url}/count`), views, `${host} ${JSON.stringify(options)}`)
    }
  })

  await t.test('another port is the same site: a fetch from there has the session, with credentials', async t => {
    const app = Fastify({ https })
    await app.register(sessionPlugin, { secret, cookie: { secure: true } })
    app.addHook('onRequest', async (request, reply) => {
      reply.header('access-control-allow-origin', request.headers.origin ?? '*').header('access-control-allow-credentials', 'true')
    })
    app.route({ method: ['GET', 'POST'], url: '/count', handler: async request => String(request.session.views = (request.session.views ?? 0) + 1) })
    const [url, neighbour] = [await listen(app), await serve({})]
    const page = await (await visitor()).newPage()
    await page.goto(`${neighbour}/note`)
    const count = async (init: object): Promise<string> =>
      await page.evaluate(async ([url, init]) => await (await fetch(url, init)).text(), [`${url}/count`, init] as const)
    t.equal(await count({ credentials: 'include' }), '1')
    t.equal(await count({ credentials: 'include', method: 'POST' }), '2')
    t.equal(await count({}), '1', 'without credentials it has none')
  })
})
