import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import { buildApp } from '../../examples/spa/app.mjs'
import { Jar } from '../fixtures/app.js'

const secret = 'a secret for the example, long enough'
const ada = { name: 'ada', password: 'fastify' }
const jarOf = async (): Promise<Jar> => new Jar(await buildApp({ secret }))

async function send (jar: Jar, method: 'POST' | 'DELETE', url: string, body?: object): Promise<{ status: number, json: unknown }> {
  const response = await jar.app.inject({ method, url, headers: { cookie: jar.header() }, ...body !== undefined && { body } })
  jar.store(response)
  return { status: response.statusCode, json: response.body === '' ? undefined : response.json() }
}

t.test('strangers get 401 from everything but the login', async t => {
  const jar = await jarOf()
  t.match(await jar.get('/api/me'), { status: 401, json: { message: 'Log in first.' } })
  t.match(await jar.get('/api/todos'), { status: 401 })
  t.match(await send(jar, 'POST', '/api/todos', { text: 'tea' }), { status: 401 })
  t.match(await send(jar, 'DELETE', '/api/todos/1'), { status: 401 })
  t.match(await send(jar, 'POST', '/api/login', { ...ada, password: 'x' }), { status: 401, json: { message: 'Wrong name or password.' } })
  t.equal(jar.header(), '')
})

t.test('a login gives a session, a logout ends it', async t => {
  const jar = await jarOf()
  t.same(await send(jar, 'POST', '/api/login', ada), { status: 200, json: { id: 'ada', name: 'Ada' } })
  const me = await jar.get('/api/me')
  t.match(me, { status: 200, json: { id: 'ada', name: 'Ada' } })
  t.equal(me.headers['cache-control'], 'no-store')
  t.match(await send(jar, 'POST', '/api/logout', {}), { status: 204 })
  t.equal(jar.header(), '')
  t.match(await jar.get('/api/me'), { status: 401 })
})

t.test('the list is of its user, on every device', async t => {
  const jar = await jarOf()
  const [phone, other] = [new Jar(jar.app), new Jar(jar.app)]
  for (const each of [jar, phone]) await send(each, 'POST', '/api/login', ada)
  await send(other, 'POST', '/api/login', { ...ada, name: 'grace' })
  t.match(await send(jar, 'POST', '/api/todos', { text: 'tea' }), { status: 201, json: { id: 1, text: 'tea' } })
  await send(phone, 'POST', '/api/todos', { text: 'cake' })
  t.same((await jar.get('/api/todos')).json, [{ id: 1, text: 'tea' }, { id: 2, text: 'cake' }])
  t.same((await other.get('/api/todos')).json, [])
  t.match(await send(other, 'DELETE', '/api/todos/1'), { status: 204 })
  t.match(await send(phone, 'DELETE', '/api/todos/2'), { status: 204 })
  t.same((await jar.get('/api/todos')).json, [{ id: 1, text: 'tea' }])
})

t.test('a body that does not fit its schema is refused', async t => {
  const jar = await jarOf()
  await send(jar, 'POST', '/api/login', ada)
  for (const body of [{}, { text: '' }, { text: 'x'.repeat(201) }]) t.match(await send(jar, 'POST', '/api/todos', body), { status: 400 })
  t.match(await send(jar, 'POST', '/api/login', { name: 'ada' }), { status: 400 })
  t.same((await jar.get('/api/todos')).json, [])
})

t.test('a POST that a form could send is refused, with or without a body', async t => {
  const jar = await jarOf()
  await send(jar, 'POST', '/api/login', ada)
  for (const url of ['/api/todos', '/api/logout', '/api/login']) {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const headers = { cookie: jar.header(), 'content-type': type }
      const response = await jar.app.inject({ method: 'POST', url, headers, body: '{"text":"tea"}' })
      t.equal(response.statusCode, 415, `${url} ${type}`)
    }
    t.match(await send(jar, 'POST', url), { status: 400 })
  }
  t.match(await jar.get('/api/me'), { status: 200 })
})

const CHROMIUM = '/usr/bin/chromium'
const missing = !existsSync(CHROMIUM)
// Where everything is checked, nothing may be left out.
if (missing && process.env.CI) t.fail(`${CHROMIUM} must be installed`)

t.test('in Chromium', { skip: missing && `${CHROMIUM} not installed`, timeout: 0 }, async t => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-background-networking'] })
  t.teardown(async () => await browser.close())

  async function visit (t: Test): Promise<{ url: string, context: BrowserContext, page: Page }> {
    const app = await buildApp({ secret })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const context = await browser.newContext({ viewport: { width: 320, height: 640 } })
    t.teardown(async () => { await context.close(); await app.close() })
    const page = await context.newPage()
    page.on('pageerror', error => { t.fail(error.message) })
    await page.goto(url)
    return { url, context, page }
  }

  async function logIn (page: Page): Promise<void> {
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('fastify')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { name: 'To-do list of Ada' }).waitFor()
  }

  const add = async (page: Page, text: string): Promise<void> => {
    await page.getByLabel('New task').fill(text)
    await page.keyboard.press('Enter')
    await page.getByRole('listitem').filter({ hasText: text }).waitFor()
  }

  await t.test('log in, reload, still logged in, log out', async t => {
    const { context, page } = await visit(t)
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('status').filter({ hasText: 'Wrong name or password.' }).waitFor()
    await logIn(page)
    await add(page, '<b>tea</b>')
    await page.reload()
    await page.getByRole('heading', { name: 'To-do list of Ada' }).waitFor()
    t.equal(await page.getByRole('listitem').locator('span').innerText(), '<b>tea</b>')
    t.equal(await page.evaluate('document.cookie'), '', 'scripts do not see the session')
    await page.getByRole('button', { name: 'Done: <b>tea</b>' }).click()
    await page.getByRole('status').filter({ hasText: 'Done: <b>tea</b>' }).waitFor()
    t.equal(await page.getByRole('listitem').count(), 0)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByRole('status').filter({ hasText: 'You are logged out.' }).waitFor()
    t.same(await context.cookies(), [])
    await page.reload()
    await page.getByRole('heading', { name: 'Log in' }).waitFor()
    t.notOk(await page.getByRole('button', { name: 'Log out' }).isVisible())
  })

  await t.test('a long entry fits on a narrow phone', async t => {
    const { page } = await visit(t)
    await logIn(page)
    await add(page, 'tea'.repeat(60))
    await add(page, 'cake '.repeat(40))
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 320)
    for (const button of await page.getByRole('button', { name: /^Done/ }).all()) {
      const { x, width, height } = (await button.boundingBox())!
      t.ok(width > 60 && height < 60 && x + width <= 320, `the button keeps its shape: ${width} by ${height}`)
    }
    const [status, first] = [await page.getByRole('status').boundingBox(), await page.getByRole('listitem').first().boundingBox()]
    t.ok(status!.height < 30, 'the message takes one line')
    await page.getByRole('button', { name: /^Done: cake/ }).click()
    await page.getByRole('status').filter({ hasText: 'Done: cake' }).waitFor()
    t.equal((await page.getByRole('listitem').first().boundingBox())!.y, first!.y, 'the list stays where it is')
  })

  await t.test('after the session has expired, the next click says so and shows the login', async t => {
    const { context, page } = await visit(t)
    await logIn(page)
    await context.clearCookies() // as the browser does at the end of Max-Age
    await page.getByLabel('New task').fill('tea')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('status').filter({ hasText: 'Your session has ended. Log in again.' }).waitFor()
    t.ok(await page.getByLabel('Password').isVisible())
    await logIn(page)
    t.equal(await page.getByLabel('New task').inputValue(), 'tea', 'what was typed is still there')
  })

  await t.test('a session that ended in another tab shows the login at the next click', async t => {
    const { url, context, page } = await visit(t)
    await logIn(page)
    const tab = await context.newPage()
    await tab.goto(url)
    await tab.getByRole('button', { name: 'Log out' }).click()
    await tab.getByRole('status').filter({ hasText: 'You are logged out.' }).waitFor()
    await page.getByLabel('New task').fill('tea')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('status').filter({ hasText: 'Your session has ended. Log in again.' }).waitFor()
    t.ok(await page.getByLabel('Password').isVisible())
  })

  await t.test('a neighbour on another port, the same site to a browser, cannot post with the session', async t => {
    const { url, context, page } = await visit(t)
    await logIn(page)
    const neighbour = Fastify()
    t.teardown(async () => await neighbour.close())
    neighbour.get('/', async (_request, reply) => await reply.type('text/html').send('<!doctype html><title>n</title>'))
    const tab = await context.newPage()
    await tab.goto(await neighbour.listen({ port: 0, host: '127.0.0.1' }))
    const statuses: number[] = []
    context.on('response', response => { if (response.request().method() === 'POST') statuses.push(response.status()) })
    const post = async (path: string, options: string): Promise<unknown> =>
      await tab.evaluate(`fetch('${url}/api/${path}', { method: 'POST', credentials: 'include', ${options} }).then(() => 'sent', () => 'kept')`)
    t.equal(await post('todos', 'mode: "no-cors", body: "{\\"text\\":\\"tea\\"}"'), 'sent')
    t.equal(await post('todos', 'mode: "no-cors", body: new Blob(["{\\"text\\":\\"tea\\"}"])'), 'sent')
    t.equal(await post('logout', 'mode: "no-cors"'), 'sent')
    t.equal(await post('todos', 'headers: { "content-type": "application/json" }, body: "{\\"text\\":\\"tea\\"}"'), 'kept')
    await page.reload()
    await page.getByRole('heading', { name: 'To-do list of Ada' }).waitFor()
    t.equal(await page.getByRole('listitem').count(), 0)
    t.same(statuses, [415, 415, 400], 'not 401: the session came along')
  })
})
