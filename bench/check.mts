import { cookieOf } from './load.mjs'
import type { Target } from './load.mjs'
import { user } from './peers.mjs'

interface Answer {
  status: number
  body: { ok?: boolean, user?: { id: string, name: string }, views?: number, message?: string }
  setCookies: string[]
}

async function get ({ url }: Target, path: string, cookie: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: cookie === '' ? {} : { cookie } })
  return { status: response.status, body: await response.json() as Answer['body'], setCookies: response.headers.getSetCookie() }
}

/** A peer that does not do the work is not timed. */
export async function check (target: Target): Promise<void> {
  const { title, keeps, cookies: [cookie = ''] } = target
  const expect = (what: string, holds: boolean): void => {
    if (!holds) throw new Error(`${title} does not do its work: ${what}`)
  }
  const quiet = (path: string, { setCookies }: Answer): void => expect(`${path} sets a cookie`, setCookies.length === 0)
  const session = keeps !== 'nothing' && keeps !== 'a cookie, no session'

  const untouched = await get(target, '/untouched', cookie)
  expect('untouched answers wrongly', untouched.status === 200 && untouched.body.ok === true)
  quiet('/untouched', untouched)

  const nowhere = await get(target, '/nowhere', cookie)
  expect('nowhere answers wrongly', nowhere.status === 404 && nowhere.body.message === 'Route GET:/nowhere not found')
  quiet('/nowhere', nowhere)

  const login = await get(target, '/login/u-check', '')
  expect('login fails', login.status === 200)
  expect('login sets no cookie', keeps === 'nothing' || login.setCookies.length > 0)
  for (const line of login.setCookies) {
    for (const attribute of [/; *path=\//i, /; *httponly/i, /; *samesite=lax/i, /; *(max-age|expires)=/i]) {
      expect(`its cookie lacks ${attribute.source}`, attribute.test(line))
    }
    expect('its cookie is secure, over HTTP', !/; *secure/i.test(line))
  }

  const mine = keeps === 'nothing' ? cookie : cookieOf(login.setCookies)
  const read = await get(target, '/read', mine)
  expect('the wrong user comes back', read.body.user?.id === (session ? 'u-check' : user.id) && read.body.user.name === user.name)
  expect('the wrong counter comes back', read.body.views === 1)
  quiet('/read', read)

  const write = await get(target, '/write', mine)
  expect('write answers wrongly', write.status === 200 && typeof write.body.views === 'number')
  expect('write sets no cookie', keeps === 'nothing' || ['the session in Redis', 'the session in PostgreSQL'].includes(keeps) || write.setCookies.length > 0)
  if (!session) return

  const again = await get(target, '/read', write.setCookies.length > 0 ? cookieOf(write.setCookies) : mine)
  expect('what was written is lost', again.body.views === write.body.views && again.body.user?.id === 'u-check')
  const stranger = await get(target, '/read', '')
  expect('a stranger is somebody', stranger.status === 200 && stranger.body.user === undefined)
  const forged = await get(target, '/read', mine.replace(/(?<==.{20})./, letter => letter === 'A' ? 'B' : 'A'))
  expect('a forged cookie opens', forged.status === 200 && forged.body.user === undefined)
}
