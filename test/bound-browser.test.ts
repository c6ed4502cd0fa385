import { spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import t from 'tap'
import Fastify from 'fastify'
import sessionPlugin from '../lib/index.js'

import { secret } from './fixtures/app.js'
import { when } from './fixtures/device.js'
import { makeCertificate } from './fixtures/https.js'

// Bound sessions in a real browser, over real HTTPS. Keys are made in software: there is no TPM here.
const US = 'us.test'
const THEM = 'them.test'
const CHROMIUM = '/usr/bin/chromium'

const missing = [!existsSync(CHROMIUM) && CHROMIUM, spawnSync('openssl', ['version']).error && 'openssl'].filter(Boolean)
// Where everything is checked, nothing may be left out.
if (missing.length > 0 && process.env.CI) t.fail(`${missing.join(' and ')} must be installed`)
const skip = missing.length > 0 && `${missing.join(' and ')} not installed`

interface BoundEvent { eventId: string, site: string, succeeded: boolean, sessionId?: string, creationEventDetails?: { fetchResult?: string }, refreshEventDetails?: { refreshResult?: string, fetchResult?: string }, terminationEventDetails?: { deletionReason?: string }, challengeEventDetails?: unknown }

t.test('in Chromium', { skip, timeout: 0 }, async t => {
  const https = makeCertificate([US, THEM])
  // A certificate that is waved through by --ignore-certificate-errors gives no registration at all.
  const spki = createHash('sha256').update(new X509Certificate(https.cert).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  const launch = async (...features: string[]): Promise<Browser> => {
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
  const browser = await launch('--enable-features=DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting')

  /** A browser's profile, and what it says about its bound sessions. */
  async function visitor (from = browser): Promise<{ context: BrowserContext, page: Page, events: BoundEvent[] }> {
    const context = await from.newContext()
    t.teardown(async () => await context.close())
    const page = await context.newPage()
    const cdp = await context.newCDPSession(page)
    const events: BoundEvent[] = []
    cdp.on('Network.deviceBoundSessionEventOccurred' as never, (event: BoundEvent) => { events.push(event); if (process.env.DEBUG_EVENTS) console.error(JSON.stringify(event)) })
    await cdp.send('Network.enableDeviceBoundSessions' as never, { enable: true } as never)
    return { context, page, events }
  }

  const app = Fastify({ https })
  await app.register(sessionPlugin, { secret, deviceBound: { when } })
  const seen: string[] = []
  app.addHook('onRequest', async request => { seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`) })
  app.addHook('onResponse', async (request, reply) => { seen.push(`   ${request.method} ${request.url} ${reply.statusCode} ${JSON.stringify(reply.getHeaders())}`) })
  const html = (body: string): string => `<!doctype html><title>t</title><body>${body}`
  app.addHook('onRequest', async (_request, reply) => { reply.type('text/html') })
  app.get('/who', async request => html(`${request.session.user?.name ?? 'nobody'} ${request.session.info.bound}`))
  app.get('/login', async request => { request.session.regenerate(); request.session.user = { id: 'u1', name: 'Ada' }; return html('in') })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const url = `https://${US}:${(app.server.address() as AddressInfo).port}`

  const { context, page, events } = await visitor()
  await page.goto(url + '/login')
  await new Promise(resolve => setTimeout(resolve, 3000))
  await page.goto(url + '/who')
  console.error(await page.innerText('body'))
  await context.clearCookies({ name: 'session-bound' })
  await page.goto(url + '/who')
  console.error(await page.innerText('body'))
  console.error(seen.join('\n'))
  console.error(JSON.stringify(events, null, 1))
})
