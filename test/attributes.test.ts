import t from 'tap'
import { overrideAttributes, parseCookieName, parseCookieOptions } from '../lib/cookie/attributes.js'
import type { SessionCookieOptions } from '../lib/index.js'

const parse = (options: object, name = 'session'): unknown => parseCookieOptions(name, options as SessionCookieOptions)
const defaults = { path: '/', domain: undefined, httpOnly: true, sameSite: 'lax', secure: 'auto', priority: undefined, partitioned: false }

t.test('the default attributes are safe, and stricter in production', async t => {
  t.same(parse({}), defaults)
  const { NODE_ENV } = process.env
  t.teardown(() => { if (NODE_ENV === undefined) delete process.env.NODE_ENV; else process.env.NODE_ENV = NODE_ENV })
  process.env.NODE_ENV = 'production'
  t.same(parse({}), { ...defaults, secure: true })
  t.same(parse({ secure: 'auto' }), defaults)
})

t.test('a cookie name must be a token as defined in RFC 9110', async t => {
  for (const name of ['sid', '__Host-x', 'a.b', "!#$%&'*+-.^_`|~09"]) t.equal(parseCookieName(name), name)
  for (const name of ['', 'a b', 'a=b', 'a;b', 'a,b', '"a"', 'é', 'a\n', '[x]', 'a@b']) {
    t.throws(() => parseCookieName(name), { code: 'FST_SESSION_COOKIE_NAME' })
  }
  t.throws(() => parseCookieName(5), { code: 'FST_SESSION_INVALID_OPTION' })
})

t.test('each attribute is validated', async t => {
  const wrong: object[] = [
    { path: '' }, { path: 'x' }, { path: '/;' }, { path: '/\n' }, { path: 5 }, { domain: 'https://a.b' }, { domain: 'a.b:80' }, { domain: 'a b' },
    { domain: '' }, { domain: '-a.b' }, { domain: 5 }, { httpOnly: 1 }, { sameSite: 'loose' }, { sameSite: 1 }, { secure: 'yes' }, { priority: 'top' },
    { partitioned: 'x' }, { maxAge: 5 }, { expires: new Date() }, { signed: true }, { encode: String }, { httponly: true }, { SameSite: 'lax' }
  ]
  for (const options of wrong) {
    t.throws(() => parse(options), { code: 'FST_SESSION_INVALID_OPTION', message: `"cookie.${Object.keys(options)[0]}"` }, JSON.stringify(options))
  }
  const right: object[] = [
    { path: '/a b:c' }, { domain: 'example.com' }, { domain: '.a-b.Example.co.uk' }, { domain: 'localhost' }, { httpOnly: false }, { sameSite: 'strict' },
    { sameSite: true }, { sameSite: false }, { secure: false }, { secure: true }, { priority: 'low' }, { partitioned: false }
  ]
  for (const options of right) t.same(parse(options), { ...defaults, ...options })
  t.throws(() => parse({ maxAge: 5 }), { message: /idleTimeout/ })
})

t.test('name prefixes, sameSite: none and partitioned require secure, and turn it on', async t => {
  const need: Array<[name: string, options: object]> = [
    ['__Host-sid', {}], ['__Secure-sid', {}], ['__host-sid', {}], ['sid', { sameSite: 'none' }], ['sid', { partitioned: true }]
  ]
  for (const [name, options] of need) {
    t.match(parse(options, name), { secure: true })
    t.match(parse({ ...options, secure: true }, name), { secure: true })
    for (const secure of [false, 'auto']) {
      t.throws(() => parse({ ...options, secure }, name), { code: /FST_SESSION_(COOKIE_NAME|INVALID_OPTION)/, message: /secure/ })
    }
  }
  for (const options of [{ path: '/x' }, { domain: 'a.b' }]) {
    t.throws(() => parse(options, '__Host-sid'), { code: 'FST_SESSION_COOKIE_NAME', message: /cookie\.path: '\/' and no cookie\.domain/ })
    t.match(parse(options, '__Secure-sid'), options)
  }
})

t.test('attributes of one response follow the same rules, and unknown keys are ignored', async t => {
  const registered = parseCookieOptions('sid', { domain: 'a.b' })
  t.same(overrideAttributes('sid', registered, { path: '/x', signed: true, domain: undefined } as object), { ...defaults, domain: 'a.b', path: '/x' })
  t.throws(() => overrideAttributes('sid', registered, { sameSite: 'none' }), { code: 'FST_SESSION_INVALID_OPTION' })
  t.throws(() => overrideAttributes('__Host-sid', parseCookieOptions('__Host-sid', {}), { path: '/x' }), { code: 'FST_SESSION_COOKIE_NAME' })
})
