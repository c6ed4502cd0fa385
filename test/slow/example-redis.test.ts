import { existsSync } from 'node:fs'
import { chromium, devices } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import t from 'tap'
import { deviceName } from '../../examples/login/device-name.mjs'
import { secret } from '../fixtures/app.js'
import { Browser, Node } from '../fixtures/cluster.js'
import { missing, startRedis } from '../fixtures/servers.js'

t.test('devices have names that users recognize', async t => {
  const apple = 'AppleWebKit/605.1.15 (KHTML, like Gecko)'
  const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0'
  for (const [userAgent, name] of [
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${apple} Version/18.0 Mobile/15E148 Safari/604.1`, 'Safari on iPhone'],
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${apple} CriOS/143.0.0.0 Mobile/15E148 Safari/604.1`, 'Chrome on iPhone'],
    [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${apple} Version/18.0 Safari/605.1.15`, 'Safari on Mac'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36`, 'Chrome on Windows'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36 Edg/143.0.0.0`, 'Edge on Windows'],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36 OPR/120.0.0.0`, 'Opera on Windows'],
    ['Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36', 'Samsung Internet on Android'],
    ['Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0', 'Firefox on Android'],
    [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${chrome} Safari/537.36`, 'Chrome on ChromeOS'],
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/143.0.0.0 Safari/537.36', 'Chrome on Linux'],
    ['curl/8.14.1', 'curl'], ['Windows', 'Windows'], ['<script>', 'Unknown device'], [undefined, 'Unknown device']
  ] as const) t.equal(deviceName(userAgent), name, userAgent ?? 'no header')
})

const CHROMIUM = '/usr/bin/chromium'
if (!existsSync(CHROMIUM) && process.env.CI) t.fail(`${CHROMIUM} must be installed`)

t.test('where you are logged in', { skip: missing('redis-server'), timeout: 0 }, async t => {
  const redis = await startRedis()
  t.teardown(async () => await redis.stop())
  const node = new Node('redis/server.mjs', { REDIS_URL: redis.url, SESSION_SECRET: secret })
  await node.start()
  t.teardown(async () => await node.end('SIGKILL'))
  const url = `http://127.0.0.1:${node.port}`

  const loggedIn = async (name: string): Promise<Browser> => {
    const browser = new Browser(url)
    t.equal((await browser.submit('/login', { name, password: 'fastify' })).status, 303)
    return browser
  }
  const othersOf = (page: string): string[] => [...page.matchAll(/name="id" value="([^"]+)"/g)].map(([, id]) => id!)

  await t.test('strangers are sent to the login, and return', async t => {
    const stranger = new Browser(url)
    t.equal((await stranger.visit('/devices')).status, 303)
    t.equal((await stranger.visit('/devices/end', { password: 'fastify' })).status, 303)
  })

  await t.test('nobody ends the session of another user, nor any without the token and the password', async t => {
    const [ada, phone, grace] = [await loggedIn('ada'), await loggedIn('ada'), await loggedIn('grace')]
    const [id] = othersOf((await ada.visit('/devices')).text)
    t.match((await grace.visit('/devices')).text, 'You are not logged in anywhere else.')
    t.equal((await grace.submit('/devices/end', { id: id!, password: 'fastify' })).status, 303)
    t.match((await grace.visit('/devices')).text, 'That session had already ended.')
    t.match(await ada.visit('/devices/end', { id: id!, password: 'fastify' }), { status: 403 })
    t.match(await ada.submit('/devices/end', { id: id!, password: 'x' }), { status: 401, text: 'Wrong password.' })
    t.match(await ada.submit('/devices/end', { password: '' }), { status: 401, text: 'Wrong password.' })
    t.match((await phone.visit('/')).text, 'Hello, Ada')
    t.equal((await ada.submit('/devices/end', { id: id!, password: 'fastify' })).status, 303)
    t.match((await phone.visit('/')).text, 'You are not logged in')
    t.match((await ada.visit('/devices')).text, 'The session was ended.')
    t.equal((await ada.visit(`/devices/end?id=${id!}`)).status, 303)
    t.match((await ada.visit('/devices')).text, 'That session had already ended.')
    t.match(await ada.visit('/devices/end?id=a&id=b'), { status: 400 })
  })

  await t.test('in Chromium: a laptop ends a phone, and a phone all others', { skip: !existsSync(CHROMIUM) && 'no Chromium' }, async t => {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-background-networking'] })
    t.teardown(async () => await browser.close())

    const logIn = async (context: BrowserContext): Promise<Page> => {
      const page = await context.newPage()
      page.on('pageerror', error => { t.fail(error.message) })
      await page.goto(`${url}/devices`)
      await page.getByLabel('Name').fill('linus')
      await page.getByLabel('Password').fill('fastify')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('heading', { name: 'Where you are logged in' }).waitFor()
      return page
    }
    const confirm = async (page: Page, password: string, button: string): Promise<void> => {
      await page.getByLabel('Password').fill(password)
      await page.getByRole('button', { name: button }).click()
    }
    const status = async (page: Page, text: string): Promise<void> => { await page.getByRole('status').filter({ hasText: text }).waitFor() }
    const laptopContext = await browser.newContext(devices['Desktop Firefox'])
    const phoneContext = await browser.newContext({ ...devices['iPhone 15'] })
    const laptop = await logIn(laptopContext)
    await laptop.getByText('You are not logged in anywhere else.').waitFor()
    let phone = await logIn(phoneContext)

    const rows = await phone.getByRole('listitem').allInnerTexts()
    t.equal(rows.length, 2)
    t.match(rows[0], /^Safari on iPhone\nLogged in just now, in use now\s+This device$/)
    t.match(rows[1], /^Firefox on Windows\nLogged in just now, last seen just now\s+End$/)
    t.ok(Number(await phone.evaluate('document.documentElement.scrollWidth')) <= devices['iPhone 15']!.viewport.width)
    const end = await phone.getByRole('button', { name: 'End Firefox on Windows' }).boundingBox()
    t.ok(end!.height >= 44, 'a finger hits the button')

    await laptop.reload()
    await laptop.getByRole('button', { name: 'End Safari on iPhone' }).click()
    await laptop.getByText('Enter your password to log out of Safari on iPhone.').waitFor()
    await confirm(laptop, 'wrong', 'End session')
    await status(laptop, 'Wrong password.')
    await phone.reload()
    t.equal(await phone.getByRole('listitem').count(), 2, 'nothing has ended')
    await confirm(laptop, 'fastify', 'End session')
    await status(laptop, 'The session was ended.')
    t.equal(await laptop.getByRole('listitem').count(), 1)
    await phone.reload()
    await phone.getByRole('heading', { name: 'Log in' }).waitFor()

    phone = await logIn(phoneContext)
    await logIn(await browser.newContext(devices['Desktop Chrome']))
    await phone.reload()
    t.equal(await phone.getByRole('listitem').count(), 3)
    await phone.getByRole('button', { name: 'End all others' }).click()
    await confirm(phone, 'fastify', 'End all others')
    await status(phone, '2 other sessions were ended.')
    t.equal(await phone.getByRole('listitem').count(), 1)
    await laptop.reload()
    await laptop.getByRole('heading', { name: 'Log in' }).waitFor()
  })
})
