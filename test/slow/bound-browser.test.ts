import { spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import t from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import sessionPlugin from '../../lib/index.js'
import type { SessionOptions } from '../../lib/index.js'
import { secret } from '../fixtures/app.js'
import { when } from '../fixtures/device.js'
import { makeCertificate } from '../fixtures/https.js'

// Bound sessions in a real browser, over real HTTPS. Keys are made in software, since there is no TPM. The two hosts are two sites.
const US = 'us.test'
const THEM = 'them.test'
const CHROMIUM = '/usr/bin/chromium'
const SOFTWARE_KEYS = 'EnableBoundSessionCredentialsSoftwareKeysForManualTesting'

const missing = [!existsSync(CHROMIUM) && CHROMIUM, spawnSync('openssl', ['version']).error && 'openssl'].filter(Boolean)
// Where everything is checked, nothing may be left out.
if (missing.length > 0 && process.env.CI) t.fail(`${missing.join(' and ')} must be installed`)
const skip = missing.length > 0 && `${missing.join(' and ')} not installed`

/** `Network.deviceBoundSessionEventOccurred` of the DevTools protocol, as far as it is looked at. */
interface BoundEvent {
  succeeded: boolean
  sessionId?: string
  creationEventDetails?: { fetchResult: string }
  refreshEventDetails?: { refreshResult: string, fetchResult?: string }
  challengeEventDetails?: { challengeResult: string }
  terminationEventDetails?: { deletionReason: string }
}

/** An event in a few words. */
function say ({ succeeded, creationEventDetails, refreshEventDetails, challengeEventDetails, terminationEventDetails }: BoundEvent): string {
  const what = creationEventDetails !== undefined
    ? `created ${creationEventDetails.fetchResult}`
    : refreshEventDetails !== undefined
      ? `refreshed ${refreshEventDetails.refreshResult}`
      : challengeEventDetails !== undefined ? `challenged ${challengeEventDetails.challengeResult}` : `ended ${terminationEventDetails?.deletionReason}`
  return succeeded ? what : `failed: ${what}`
}

/** Waits until the browser has done something: the assertion that follows tells whether it has. */
async function until (holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds() && tries < 200; tries++) await wait(100)
}

interface Visitor { context: BrowserContext, page: Page, events: BoundEvent[], told: () => string[] }

t.test('in Chromium', { skip, timeout: 0 }, async t => {
  const https = makeCertificate([US, THEM])
  // A certificate that is waved through by ignoreHTTPSErrors gives no registration at all.
  const spki = createHash('sha256').update(new X509Certificate(https.cert).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')

  async function launch (...features: string[]): Promise<Browser> {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox', `--host-resolver-rules=MAP ${US} 127.0.0.1, MAP ${THEM} 127.0.0.1`, '--disable-background-networking',
        `--ignore-certificate-errors-spki-list=${spki}`, ...features
      ]
    })
    t.teardown(async () => await browser.close())
    return browser
  }
  const browser = await launch(`--enable-features=DeviceBoundSessions:RefreshQuota/false,${SOFTWARE_KEYS}`)

  /** A browser's profile, and what it says of its bound sessions. */
  async function visit (from = browser, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await from.newContext(options)
    t.teardown(async () => await context.close())
    const page = await context.newPage()
    const cdp = await context.newCDPSession(page)
    const events: BoundEvent[] = []
    cdp.on('Network.deviceBoundSessionEventOccurred' as never, (event: BoundEvent) => { events.push(event) })
    await cdp.send('Network.enableDeviceBoundSessions' as never, { enable: true } as never)
    return { context, page, events, told: () => events.map(say) }
  }

  const html = (body: string): string => `<!doctype html><link rel="icon" href="data:,"><title>t</title><body>${body}`
  const who = (request: FastifyRequest): string => `${request.session.user?.name ?? 'nobody'} ${request.session.info.bound ? 'bound' : 'free'}`
  const asked: string[] = []

  /** An app whose pages show what it knows of the visitor. */
  async function serve (options: Partial<SessionOptions> = {}, prepare?: (app: FastifyInstance) => unknown, http2 = false): Promise<string> {
    const app = Fastify({ https, ...http2 && { http2 } as object }) as unknown as FastifyInstance
    await prepare?.(app)
    await app.register(sessionPlugin, { secret, deviceBound: { when }, ...options })
    app.addHook('onResponse', async (request, reply) => { asked.push(`${request.method} ${request.url} ${reply.statusCode}`) })
    app.addHook('onRequest', async (_request, reply) => { reply.type('text/html') })
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
    const page = (url: string, answer: (request: FastifyRequest, reply: FastifyReply) => string): void => { app.get(url, async (request, reply) => html(answer(request, reply))) }
    page('/', () => '<a href="/who">go</a>')
    page('/who', who)
    page('/login', request => { request.session.regenerate(); request.session.user = { id: 'u1', name: 'Ada' }; return 'in' })
    page('/logout', request => { request.session.destroy(); return 'out' })
    page('/renew', request => { request.session.regenerate(['user']); return 'renewed' })
    page('/count', request => String(request.session.views = (request.session.views ?? 0) + 1))
    page('/form', () => '<form method="post" action="/transfer"><input name="sum" value="7"><button>send</button></form>')
    app.post('/transfer', async (request, reply) => {
      const { bound, provenAt } = request.session.info
      if (!bound) return await reply.code(403).send(html('log in'))
      if (Date.now() - provenAt!.getTime() > 30_000) return await reply.clearCookie('session-bound', { path: '/', secure: true }).redirect(request.url, 307)
      return html(`sent ${request.body as string}`)
    })
    return await listen(app)
  }

  async function listen (app: FastifyInstance, host = US): Promise<string> {
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(async () => await app.close())
    return `https://${host}:${(app.server.address() as AddressInfo).port}`
  }

  /** A page of another site. */
  async function them (body: string): Promise<string> {
    const app = Fastify({ https }) as unknown as FastifyInstance
    app.get('/', async (_request, reply) => await reply.type('text/html').send(html(body)))
    return await listen(app, THEM)
  }

  const textOf = async ({ page }: Visitor, url: string): Promise<string> => {
    await page.goto(url)
    return await page.innerText('body')
  }
  const expire = async ({ context }: Visitor): Promise<void> => { await context.clearCookies({ name: 'session-bound' }) }

  /** Logs in, and waits until the browser has registered. */
  async function logIn (visitor: Visitor, url: string): Promise<void> {
    const before = visitor.events.length
    t.equal(await textOf(visitor, `${url}/login`), 'in')
    await until(() => visitor.events.length > before)
    t.equal(visitor.told().at(-1), 'created Success')
  }

  await t.test('a login registers, and requests go on over many refreshes', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    for (let round = 1; round <= 10; round++) {
      await expire(visitor)
      t.equal(await textOf(visitor, `${url}/count`), String(round))
    }
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    t.same(visitor.told(), ['created Success', ...Array.from({ length: 10 }, () => ['challenged Success', 'refreshed Refreshed']).flat()])
    t.equal(new Set(visitor.events.map(({ sessionId }) => sessionId)).size, 1)
    const names = (await visitor.context.cookies()).map(({ name }) => name).sort()
    t.same(names, ['session', 'session-bound'])
  })

  await t.test('a copied session cookie is nothing in another browser; both cookies are, until the proof ends', async t => {
    const url = await serve()
    const [visitor, thief] = [await visit(), await visit()]
    await logIn(visitor, url)
    const cookies = await visitor.context.cookies()
    await thief.context.addCookies(cookies.filter(({ name }) => name === 'session'))
    t.equal(await textOf(thief, `${url}/who`), 'nobody free')
    await thief.context.addCookies(cookies)
    t.equal(await textOf(thief, `${url}/who`), 'Ada bound')
    const { now } = Date
    Date.now = () => now() + 600_000
    t.teardown(() => { Date.now = now })
    t.equal(await textOf(thief, `${url}/who`), 'nobody free')
    t.same(thief.told(), [], 'his browser has nothing to refresh with')
    await expire(visitor)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    Date.now = now
  })

  await t.test('a logout ends it, and the next login registers anew', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    t.equal(await textOf(visitor, `${url}/logout`), 'out')
    t.same(await visitor.context.cookies(), [])
    t.equal(await textOf(visitor, `${url}/who`), 'nobody free')
    t.match(visitor.told(), ['created Success', /^(?:failed: )?(?:refreshed|ended)/])
    const told = visitor.told().length
    t.equal(await textOf(visitor, `${url}/who`), 'nobody free')
    t.equal(visitor.told().length, told, 'the browser has forgotten it')
    await logIn(visitor, url)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
  })

  await t.test('a second login takes the place of the first, and regenerate(keep) goes on under the same binding', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    await logIn(visitor, url)
    t.equal(await textOf(visitor, `${url}/renew`), 'renewed')
    await expire(visitor)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    await expire(visitor)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
  })

  await t.test('a browser without the feature behaves as today', async t => {
    const url = await serve()
    const visitor = await visit(await launch('--disable-features=DeviceBoundSessions'))
    asked.length = 0
    t.equal(await textOf(visitor, `${url}/login`), 'in')
    for (let round = 1; round < 4; round++) t.equal(await textOf(visitor, `${url}/count`), String(round))
    t.equal(await textOf(visitor, `${url}/who`), 'Ada free')
    t.equal(await textOf(visitor, `${url}/logout`), 'out')
    t.same(await visitor.context.cookies(), [])
    t.same(asked.filter(line => line.includes('/dbsc/')), [])
    t.same(visitor.told(), [])
  })

  await t.test('a link from another site finds the session, with and without scripts; a fragment is lost', async t => {
    const url = await serve()
    const other = await them(`<a id="a" href="${url}/who">go</a><a id="b" href="${url}/who?x=1#part">go</a><img src="${url}/who">`)
    for (const javaScriptEnabled of [true, false]) {
      const visitor = await visit(browser, { javaScriptEnabled })
      await logIn(visitor, url)
      for (const [link, to] of [['#a', '/who'], ['#b', '/who?x=1']] as const) {
        await expire(visitor)
        await visitor.page.goto(other)
        await visitor.page.click(link)
        await visitor.page.locator('text=Ada bound').waitFor()
        t.equal(visitor.page.url(), url + to)
      }
      t.same(visitor.told().filter(event => event.startsWith('failed')), [])
    }
  })

  await t.test('a callback that another site has led to is not offered; the page after it is', async t => {
    const url = await serve()
    const other = await them(`<a href="${url}/login">back from the identity provider</a>`)
    const visitor = await visit()
    await visitor.page.goto(other)
    await Promise.all([visitor.page.waitForURL(`${url}/login`), visitor.page.click('a')])
    t.same((await visitor.context.cookies()).map(({ name }) => name), ['session'])
    t.equal(await textOf(visitor, `${url}/who`), 'Ada free')
    await until(() => visitor.events.length > 0)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    t.same(visitor.told(), ['created Success'])
  })

  await t.test('a transfer asks for a fresh proof by a 307, and its body arrives', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    const { now } = Date
    Date.now = () => now() + 31_000
    t.teardown(() => { Date.now = now })
    await visitor.page.goto(`${url}/form`)
    asked.length = 0
    await visitor.page.click('button')
    await visitor.page.locator('text=sent sum=7').waitFor()
    t.same(asked, ['POST /transfer 307', 'POST /dbsc/refresh 403', 'POST /dbsc/refresh 200', 'POST /transfer 200'])
    Date.now = () => now() + 62_000
    t.match(await visitor.page.evaluate('fetch("/transfer", { method: "POST", body: new URLSearchParams({ sum: 8 }) }).then(answer => answer.text())'), 'sent sum=8')
    Date.now = now
  })

  await t.test('two tabs that find the proof gone make one refresh', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    await visitor.page.goto(`${url}/`)
    const second = await visitor.context.newPage()
    await second.goto(`${url}/`)
    await expire(visitor)
    asked.length = 0
    const ask = 'Promise.all(Array.from({ length: 10 }, () => fetch("/who").then(answer => answer.text()))).then(all => all.filter(text => text.includes("Ada bound")).length)'
    t.same(await Promise.all([visitor.page.evaluate(ask), second.evaluate(ask)]), [10, 10])
    t.equal(asked.filter(line => line === 'POST /dbsc/refresh 200').length, 1)
  })

  await t.test('guards that were registered before the plugin end nothing', async t => {
    let isStrict = false
    const url = await serve({}, app => app.addHook('onRequest', async (request, reply) => {
      if (request.url.startsWith('/dbsc/') && isStrict) return await reply.code(401).send('who are you?')
    }))
    const visitor = await visit()
    isStrict = true
    await logIn(visitor, url)
    await expire(visitor)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    t.same(visitor.told().filter(event => event.startsWith('failed')), [])
  })

  await t.test('while the server answers 503 the binding stays, and the session is back afterwards', async t => {
    let isDown = false
    const url = await serve({}, app => app.addHook('onRequest', async (request, reply) => {
      if (request.url.startsWith('/dbsc/') && isDown) return await reply.code(503).send('down')
    }))
    const visitor = await visit()
    await logIn(visitor, url)
    isDown = true
    await expire(visitor)
    t.equal(await textOf(visitor, `${url}/who`), 'nobody free')
    isDown = false
    await until(() => visitor.events.length > 1)
    await wait(100)
    const told = visitor.told()
    for (let tries = 0; await textOf(visitor, `${url}/who`) !== 'Ada bound' && tries < 50; tries++) await wait(500)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound', JSON.stringify([told, visitor.told()]))
  })

  await t.test('a page\'s script cannot register or refresh', async t => {
    const url = await serve()
    const visitor = await visit()
    await logIn(visitor, url)
    await visitor.page.goto(`${url}/`)
    const post = async (path: string, mode: string): Promise<unknown> => await visitor.page.evaluate(
      `fetch("${path}", { method: "POST", mode: "${mode}", headers: { "secure-session-response": "a.b.c", "sec-secure-session-id": "x" } }).then(answer => answer.text())`)
    t.equal(await post('/dbsc/registration', 'same-origin'), '{"refused":"script"}')
    t.equal(await post('/dbsc/refresh', 'cors'), '{"refused":"script"}')
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
  })

  await t.test('over HTTP/2, with a __Host- cookie and iron-webcrypto', async t => {
    const url = await serve({ cookieName: '__Host-session', iron: { integrity: { iterations: 2 } } }, undefined, true)
    const visitor = await visit()
    await logIn(visitor, url)
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    await visitor.context.clearCookies({ name: '__Host-session-bound' })
    t.equal(await textOf(visitor, `${url}/who`), 'Ada bound')
    t.equal(visitor.told().at(-1), 'refreshed Refreshed')
  })

  await t.test('a browser signs six times in nine minutes; after that the session is unproven for a while, and stays bound', async t => {
    const url = await serve()
    const visitor = await visit(await launch(`--enable-features=DeviceBoundSessions,${SOFTWARE_KEYS}`))
    await logIn(visitor, url)
    const seen: string[] = []
    for (let round = 0; round < 7; round++) {
      await expire(visitor)
      seen.push(await textOf(visitor, `${url}/who`))
    }
    t.equal(seen[0], 'Ada bound')
    t.equal(seen.at(-1), 'nobody free')
    t.match(visitor.told().at(-1), /quota/i)
    t.notOk(visitor.told().some(event => event.startsWith('ended')))
  })
})
