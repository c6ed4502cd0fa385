import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import t from 'tap'
import { buildApp } from '../examples/bound/app.mjs'
import { Device, offerIn } from './fixtures/device.js'

const secret = 'a secret for the example, long enough'
const deviceOf = async (): Promise<Device> => new Device(await buildApp({ secret, server: { trustProxy: true } }))

/** Sends a form, as the page does. */
async function post (device: Device, url: string, form: Record<string, string> = {}): Promise<{ status: number, body: string }> {
  const answer = await device.app.inject({
    method: 'POST',
    url,
    headers: { 'x-forwarded-proto': 'https', host: 'app.test', cookie: device.header(), 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString()
  })
  device.store(answer)
  device.challenge = offerIn(answer) ?? device.challenge
  return { status: answer.statusCode, body: answer.body }
}

async function logIn (device: Device): Promise<void> {
  t.equal((await post(device, '/login', { name: 'ada', password: 'fastify' })).status, 303)
}

t.test('a login is bound, and a copied cookie shows nothing', async t => {
  const device = await deviceOf()
  t.equal((await post(device, '/login', { name: 'ada', password: 'x' })).status, 401)
  t.match((await device.get('/')).body, 'Log in')
  await logIn(device)
  t.match((await device.get('/')).body, 'not bound')
  t.match((await device.get('/thief')).body, 'Everything')
  t.equal((await device.register()).status, 200)
  t.match((await device.get('/')).body, 'bound to this device')
  t.match((await device.get('/thief')).body, '<code>unproven</code>')
  t.equal((await post(device, '/logout')).status, 303)
  t.equal(device.header(), '')
})

t.test('a transfer wants a fresh proof of a bound session', async t => {
  const { now } = Date
  t.teardown(() => { Date.now = now })
  const device = await deviceOf()
  t.equal((await post(device, '/transfer')).status, 303)
  await logIn(device)
  t.match((await post(device, '/transfer')).body, 'cannot prove anything')
  await device.register()
  t.match((await post(device, '/transfer')).body, 'a proof that is fresh')
  Date.now = () => now() + 31_000
  t.equal((await post(device, '/transfer')).status, 307)
  await device.refresh()
  t.match((await post(device, '/transfer')).body, 'a proof that is fresh')
})

const CHROMIUM = '/usr/bin/chromium'
const missing = [!existsSync(CHROMIUM) && CHROMIUM, spawnSync('openssl', ['version']).error && 'openssl'].filter(Boolean)
// Where everything is checked, nothing may be left out.
if (missing.length > 0 && process.env.CI) t.fail(`${missing.join(' and ')} must be installed`)

t.test('it runs over HTTPS, and Chromium binds with the flags that it prints', { skip: missing.length > 0 && `${missing.join(' and ')} not installed`, timeout: 0 }, async t => {
  const server = spawn(process.execPath, ['build/examples/bound/server.mjs'], { env: { ...process.env, NODE_OPTIONS: '', PORT: '0', HOST: 'localhost', SESSION_SECRET: secret } })
  t.teardown(async () => {
    const ended = once(server, 'exit')
    server.kill()
    await ended
  })
  let printed = ''
  let url: string | undefined
  server.stdout.on('data', chunk => { printed += String(chunk) })
  while ((url = /is on (https:\S+)/.exec(printed)?.[1]) === undefined) await once(server.stdout, 'data')
  const flags = printed.match(/--(?:ignore|enable)-\S+/g)!
  t.equal(flags.length, 2)
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-background-networking', ...flags] })
  t.teardown(async () => await browser.close())
  const page = await browser.newPage()
  await page.goto(url.replace('127.0.0.1', 'localhost').replace('[::1]', 'localhost'))
  await page.click('text=Log in >> nth=-1')
  await page.locator('text=Hello, Ada').waitFor()
  for (let tries = 0; tries < 50 && !(await page.innerText('main')).includes('bound to this device'); tries++) {
    await page.waitForTimeout(100)
    await page.reload()
  }
  t.match(await page.innerText('main'), 'bound to this device')
  await page.click('text=What does a thief see')
  t.match(await page.innerText('main'), 'unproven')
})
