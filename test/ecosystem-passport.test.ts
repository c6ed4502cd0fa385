import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, makeApp } from './fixtures/app.js'
import { passport, post } from './fixtures/ecosystem.js'
import type { Person } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

const { Authenticator, Strategy } = passport
type Passport = InstanceType<typeof Authenticator>

/** A strategy that reads names and passwords from the body, as passport-local does. */
class LocalStrategy extends Strategy {
  constructor () {
    super('local')
  }

  authenticate (request: FastifyRequest): void {
    const { name, password } = request.body as { name: string, password: string }
    if (password === `${name}'s`) this.success({ name }, { scope: 'all' })
    else this.fail('Wrong name or password.', 401)
  }
}

/** A passport that keeps names in the session and finds users in a list that may change. */
function makePassport (people: Map<string, Person>, options: ConstructorParameters<typeof Authenticator>[0] = {}): Passport {
  const passport = new Authenticator(options)
  passport.use(new LocalStrategy())
  passport.registerUserSerializer(async user => user.name)
  passport.registerUserDeserializer(async name => people.get(name) ?? null)
  return passport
}

const everybody = (): Map<string, Person> => new Map(['ada', 'eve'].map((name, index) => [name, { name, age: 36 + index }]))
const ada = { name: 'ada', password: 'ada\'s' }

const idOf = (request: FastifyRequest): string => request.session.info.id
const me = (request: FastifyRequest): object => ({
  user: request.user ?? null, in: request.isAuthenticated(), views: request.session.views ?? null, id: idOf(request), reason: request.session.info.reason
})

/** An app with a login and a logout by @fastify/passport. */
async function makeSite (passport: Passport, options: Partial<SessionOptions> = {}): Promise<FastifyInstance> {
  const app = await makeApp(options, { '/count': count })
  await app.register(passport.initialize())
  await app.register(passport.secureSession())
  app.get('/me', async request => me(request))
  app.post('/login', { preValidation: passport.authenticate('local') }, async request => me(request))
  app.post('/login-keeping', { preValidation: passport.authenticate('local', { keepSessionInfo: true }) }, async request => me(request))
  app.post('/logout', async request => {
    await request.logOut()
    return me(request)
  })
  return app
}

const revoked = (): Partial<SessionOptions> => ({ isRevoked: denylist(new TestStore()) })
const stored = (): Partial<SessionOptions> => ({ store: new TestStore() })
/** Where the session is kept, and the reason why a copy of an ended one is rejected; without a store it opens, as documented */
const places: Array<[name: string, options: () => Partial<SessionOptions>, ended: string | null]> = [
  ['in the cookie', () => ({}), null], ['in the cookie with a denylist', revoked, 'revoked'], ['in a store', stored, 'not-stored']
]

for (const [place, options, ended] of places) {
  t.test(`login and logout change the session's id, with the session ${place}`, async t => {
    const people = everybody()
    const jar = new Jar(await makeSite(makePassport(people), options()))
    await jar.get('/count')
    const before = await jar.get('/me')
    t.match(before.json, { user: null, in: false, views: 1 })
    t.match(await post(jar, '/login', { ...ada, password: 'wrong' }), { status: 401, headers: { 'www-authenticate': /Wrong name/ }, setCookies: { length: 0 } })
    t.equal((await jar.get('/me')).json.id, before.json.id, 'a failed login changes nothing')

    const login = await post(jar, '/login', ada)
    t.match(login, { status: 200, json: { user: { name: 'ada' }, in: true, views: null }, setCookies: { length: 1 } })
    const inside = await jar.get('/me')
    t.match(inside, { json: { user: people.get('ada'), in: true, views: null, id: login.json.id, reason: null }, setCookies: { length: 0 } })
    t.not(inside.json.id, before.json.id)

    const copy = jar.header()
    const logout = await post(jar, '/logout')
    t.match(logout, { status: 200, json: { user: null, in: false }, setCookies: [/Max-Age=0/] })
    t.not(logout.json.id, inside.json.id)
    t.equal(jar.cookies.size, 0)
    await jar.get('/count')
    const after = await jar.get('/me')
    t.match(after.json, { user: null, in: false, views: 1 })
    t.notOk([before.json.id, inside.json.id].includes(after.json.id))
    t.match((await new Jar(jar.app).get('/me', { cookie: copy })).json, { in: ended === null, reason: ended })
  })

  t.test(`a login does not log in a cookie that was planted before it, with the session ${place}`, async t => {
    const app = await makeSite(makePassport(everybody()), options())
    const attacker = new Jar(app)
    await attacker.get('/count')
    const planted = attacker.header()
    for (const login of ['/login', '/login-keeping']) {
      const victim = new Jar(app)
      victim.cookies.set('session', attacker.cookies.get('session')!)
      const seen = await victim.get('/me')
      t.match(await post(victim, login, ada), { status: 200, json: { views: login === '/login' ? null : seen.json.views } })
      t.equal((await victim.get('/me')).json.in, true)
      t.match((await new Jar(app).get('/me', { cookie: planted })).json, { user: null, in: false, reason: ended })
    }
  })
}

t.test('keepSessionInfo, ignored fields and clearSessionOnLogin control what a login keeps', async t => {
  const logins: Array<[options: ConstructorParameters<typeof Authenticator>[0], url: string, views: number | null, afterLogout: number | null]> = [
    [{}, '/login', null, null],
    [{}, '/login-keeping', 1, null],
    [{ clearSessionIgnoreFields: ['views'] }, '/login', 1, null],
    [{ clearSessionOnLogin: false }, '/login', 1, 1]
  ]
  for (const [options, url, views, afterLogout] of logins) {
    const jar = new Jar(await makeSite(makePassport(everybody(), options)))
    await jar.get('/count')
    const { id } = (await jar.get('/me')).json
    await post(jar, url, ada)
    const inside = (await jar.get('/me')).json
    t.match(inside, { in: true, views })
    t.not(inside.id, id, 'the id changes in any case')
    await post(jar, '/logout')
    const outside = (await jar.get('/me')).json
    t.match(outside, { in: false, views: afterLogout })
    t.not(outside.id, inside.id)
  }
})

t.test('another user can log in, also by logIn() or for one request only', async t => {
  const passport = makePassport(everybody())
  const app = await makeSite(passport)
  app.get('/by-hand', async request => { await request.logIn({ name: 'eve' }); return me(request) })
  app.post('/once', { preValidation: passport.authenticate('local', { session: false }) }, async request => me(request))
  const jar = new Jar(app)
  t.match(await post(jar, '/once', ada), { json: { user: { name: 'ada' }, in: true }, setCookies: { length: 0 } })
  t.equal((await jar.get('/me')).json.in, false)
  const first = await post(jar, '/login', ada)
  const second = await jar.get('/by-hand')
  t.match(second.json, { user: { name: 'eve' } })
  t.not(second.json.id, first.json.id)
  t.match((await jar.get('/me')).json, { user: { name: 'eve', age: 37 } })
})

t.test('a user who no longer exists is logged out at the next request', async t => {
  const people = everybody()
  const jar = new Jar(await makeSite(makePassport(people)))
  await post(jar, '/login', ada)
  people.delete('ada')
  t.match(await jar.get('/me'), { json: { user: null, in: false }, setCookies: [/Max-Age=0/] })
  t.equal(jar.cookies.size, 0)
})

t.test('redirects, return URLs and messages are carried by the session', async t => {
  const passport = makePassport(everybody(), { clearSessionIgnoreFields: ['returnTo', 'flash'] })
  const app = await makeSite(passport)
  app.get('/private', async (request, reply) => {
    if (request.isAuthenticated()) return { private: request.user!.name }
    request.session.returnTo = '/private?page=2'
    return await reply.redirect('/login')
  })
  const login = { successReturnToOrRedirect: '/', failureRedirect: '/login', successFlash: 'Welcome!', failureFlash: 'Try again.', failureMessage: 'Failed.' }
  app.post('/enter', { preValidation: passport.authenticate('local', login) }, async () => ({}))
  app.get('/flash', async (request, reply) => ({ flash: reply.flash(), messages: request.session.messages ?? [] }))
  const jar = new Jar(app)
  t.match(await jar.get('/private'), { status: 302, headers: { location: '/login' } })
  t.match(await post(jar, '/enter', { ...ada, password: '' }), { status: 302, headers: { location: '/login' } })
  t.same((await jar.get('/flash')).json, { flash: { error: ['Try again.'] }, messages: ['Failed.'] })
  t.match(await post(jar, '/enter', ada), { status: 302, headers: { location: '/private?page=2' } })
  t.same((await jar.get('/flash')).json, { flash: { success: ['Welcome!'] }, messages: [] })
  t.same((await jar.get('/private')).json, { private: 'ada' })
  t.match(await post(jar, '/enter', ada), { headers: { location: '/' } }, 'the return URL is used once')
})

t.test('two kinds of users have separate scopes, and share a session if each keeps the other\'s key', async t => {
  for (const keeps of [true, false]) {
    const app = await makeApp({})
    const scopes = [['user', 'users', 'staffers'], ['staff', 'staffers', 'users']] as const
    for (const [userProperty, key, other] of scopes) {
      app.register(async scope => {
        const passport = makePassport(everybody(), { key, userProperty, ...keeps && { clearSessionIgnoreFields: [other] } })
        await scope.register(passport.initialize())
        await scope.register(passport.secureSession())
        scope.get('/me', async request => ({ name: request[userProperty]?.name ?? null }))
        scope.post('/login', { preValidation: passport.authenticate('local') }, async request => ({ id: idOf(request) }))
        scope.post('/logout', async request => { await request.logOut(); return {} })
      }, { prefix: `/${userProperty}` })
    }
    const jar = new Jar(app)
    const names = async (): Promise<unknown[]> => [(await jar.get('/user/me')).json.name, (await jar.get('/staff/me')).json.name]
    const first = await post(jar, '/user/login', ada)
    t.same(await names(), ['ada', null])
    const second = await post(jar, '/staff/login', { name: 'eve', password: 'eve\'s' })
    t.not(second.json.id, first.json.id)
    t.same(await names(), [keeps ? 'ada' : null, 'eve'])
    await post(jar, '/staff/logout')
    t.same(await names(), [null, null], 'a logout ends the session of both')
  }
})

t.test('a route without sessions must be outside the scope that has secureSession()', async t => {
  const passport = makePassport(everybody())
  const app = await makeApp({})
  app.get('/health', { config: { session: false } }, async () => ({ ok: true }))
  app.register(async scope => {
    await scope.register(passport.initialize())
    await scope.register(passport.secureSession())
    scope.get('/me', async request => ({ in: request.isAuthenticated() }))
    scope.get('/inside', { config: { session: false } }, async () => ({ ok: true }))
  })
  const jar = new Jar(app)
  t.match(await jar.get('/me'), { status: 200, headers: { vary: 'Cookie' } })
  t.match(await jar.get('/health'), { status: 200, headers: { vary: undefined } })
  t.match(await jar.get('/inside'), { status: 500, json: { code: 'FST_SESSION_NOT_REGISTERED' } })
})
