import formbody from '@fastify/formbody'
import oauth2 from '@fastify/oauth2'
import type { FastifyOAuth2Options, OAuth2Namespace } from '@fastify/oauth2'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { createHash, randomUUID } from 'node:crypto'
import t from 'tap'
import sessionPlugin from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { count, Jar, secret } from './fixtures/app.js'
import { listen } from './fixtures/ecosystem.js'
import { TestStore } from './fixtures/stores.js'

declare module 'fastify' {
  interface FastifyInstance { provider: OAuth2Namespace }
}

const client = { id: 'the-app', secret: 'the-secret-of-the-app' }
const callbackUri = 'http://app.test/login/callback'

/** An OAuth2 provider that knows one app, requires PKCE, and logs everybody in as Ada. */
async function startProvider (): Promise<{ provider: FastifyInstance, issuer: string }> {
  const challenges = new Map<string, string>()
  const tokens = new Set<string>()
  const provider = Fastify()
  await provider.register(formbody)
  provider.get('/.well-known/openid-configuration', async () => ({
    issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, userinfo_endpoint: `${issuer}/userinfo`
  }))
  provider.get<{ Querystring: Record<string, string> }>('/authorize', async ({ query }, reply) => {
    if (query.client_id !== client.id || query.redirect_uri !== callbackUri || query.response_type !== 'code') return await reply.code(400).send()
    const code = randomUUID()
    challenges.set(code, query.code_challenge!)
    return await reply.redirect(`${callbackUri}?${new URLSearchParams({ code, state: query.state! }).toString()}`)
  })
  provider.post<{ Body: Record<string, string> }>('/token', async ({ body, headers }, reply) => {
    const basic = Buffer.from(headers.authorization!.slice('Basic '.length), 'base64').toString()
    const challenge = createHash('sha256').update(body.code_verifier ?? '').digest('base64url')
    const isKnown = basic === `${client.id}:${client.secret}` && challenges.get(body.code!) === challenge
    challenges.delete(body.code!)
    if (!isKnown || body.redirect_uri !== callbackUri) return await reply.code(400).send({ error: 'invalid_grant' })
    const token = randomUUID()
    tokens.add(token)
    return { access_token: token, token_type: 'Bearer', expires_in: 3600, refresh_token: randomUUID() }
  })
  provider.get('/userinfo', async ({ headers }, reply) => {
    if (!tokens.has(headers.authorization!.slice('Bearer '.length))) return await reply.code(401).send({ error: 'invalid_token' })
    return { sub: 'u1', name: 'Ada' }
  })
  const issuer = await listen(provider)
  return { provider, issuer }
}

/** An app whose users log in at the provider. */
async function makeSite (options: Partial<SessionOptions>, login: Partial<FastifyOAuth2Options>, isSessionFirst: boolean): Promise<FastifyInstance> {
  const app = Fastify()
  const addSession = async (): Promise<void> => { await app.register(sessionPlugin, { secret, ...options }) }
  if (isSessionFirst) await addSession()
  await app.register(oauth2, {
    name: 'provider', scope: ['profile'], startRedirectPath: '/login', callbackUri, credentials: { client }, ...login
  } as FastifyOAuth2Options)
  if (!isSessionFirst) await addSession()
  app.get('/count', count)
  app.get('/login/callback', async (request, reply) => {
    const { token } = await app.provider.getAccessTokenFromAuthorizationCodeFlow(request, reply)
    const { sub, name } = await app.provider.userinfo(token.access_token) as { sub: string, name: string }
    request.session.regenerate()
    request.session.user = { id: sub, name }
    request.session.any = token.access_token
    return await reply.redirect('/me')
  })
  app.get('/me', async ({ session }) => ({ user: session.user ?? null, views: session.views ?? null, id: session.info.id, reason: session.info.reason }))
  app.get('/token', async ({ session }) => ({ token: session.any }))
  return app
}

/** The steps of a browser between the start of a login and the app's callback. */
async function visitProvider (jar: Jar): Promise<string> {
  const start = await jar.get('/login')
  const answer = await fetch(start.headers.location as string, { redirect: 'manual' })
  return answer.headers.get('location')!.slice('http://app.test'.length)
}

const variants: Array<[title: string, options: () => Partial<SessionOptions>, isSessionFirst: boolean]> = [
  ['the session in the cookie', () => ({}), true],
  ['the session in a store', () => ({ store: new TestStore() }), true],
  ['@fastify/oauth2 registered before', () => ({}), false]
]

for (const [title, options, isSessionFirst] of variants) {
  t.test(`@fastify/oauth2: a login at a provider starts a new session with the user in it: ${title}`, async t => {
    const { provider, issuer } = await startProvider()
    t.teardown(() => provider.close())
    const app = await makeSite(options(), { discovery: { issuer } }, isSessionFirst)
    const jar = new Jar(app)
    await jar.get('/count')
    const before = await jar.get('/me')
    t.match(before.json, { user: null, views: 1 })
    const planted = jar.header()

    const start = await jar.get('/login')
    t.equal(start.status, 302)
    t.match(start.headers.location, `${issuer}/authorize?`)
    t.same([...jar.cookies.keys()], ['session', 'oauth2-redirect-state', 'oauth2-code-verifier'])
    t.notMatch(start.setCookies, [/^session=/], 'the state is in a separate cookie')

    const callback = await jar.get(await visitProvider(jar))
    t.match(callback, { status: 302, headers: { location: '/me' } })
    t.same(callback.setCookies.map(line => line.split('=')[0]).sort(), ['oauth2-code-verifier', 'oauth2-redirect-state', 'session'])
    t.same([...jar.cookies.keys()], ['session'], 'state and verifier are used up')
    const inside = await jar.get('/me')
    t.match(inside.json, { user: { id: 'u1', name: 'Ada' }, views: null })
    t.not(inside.json.id, before.json.id)
    t.match((await new Jar(app).get('/me', { cookie: planted })).json, { user: null }, 'the planted session is not logged in')

    const { token } = (await jar.get('/token')).json
    t.match(await app.provider.userinfo(token as string), { sub: 'u1' }, 'the token in the session is valid')
  })
}

t.test('@fastify/oauth2: a callback with a wrong state or code leaves the session unchanged', async t => {
  const { provider, issuer } = await startProvider()
  t.teardown(() => provider.close())
  const app = await makeSite({}, { discovery: { issuer } }, true)
  const jar = new Jar(app)
  await jar.get('/count')
  const before = jar.cookies.get('session')
  const url = await visitProvider(jar)
  t.match(await jar.get(url.replace(/state=[^&]*/, 'state=forged')), { status: 500, json: { message: 'Invalid state' } })
  t.match(await new Jar(app).get(url), { status: 500, json: { message: 'Invalid state' } }, 'the callback of another user\'s login')
  const again = await visitProvider(jar)
  t.match(await jar.get(again.replace(/code=[^&]*/, 'code=forged')), { status: 500, json: { message: /400 Bad Request/ } })
  t.equal(jar.cookies.get('session'), before)
  t.match((await jar.get('/me')).json, { user: null, views: 1 })
})

t.test('@fastify/oauth2: the state can be kept in the session instead, with a manually configured provider', async t => {
  const { provider, issuer } = await startProvider()
  t.teardown(() => provider.close())
  const app = await makeSite({}, {
    credentials: { client, auth: { authorizeHost: issuer, authorizePath: '/authorize', tokenHost: issuer, tokenPath: '/token' } },
    pkce: 'S256',
    generateStateFunction: request => (request.session.note = randomUUID()),
    checkStateFunction: request => request.session.note !== undefined && request.session.note === (request.query as { state: string }).state
  }, true)
  app.get('/by-hand', async (request, reply) => await reply.redirect(await app.provider.generateAuthorizationUri(request, reply)))
  app.get('/login/done', async (request, reply) => {
    const { token } = await app.provider.getAccessTokenFromAuthorizationCodeFlow(request, reply)
    request.session.regenerate()
    request.session.any = token.access_token
    return { ok: true }
  })
  const jar = new Jar(app)
  const start = await jar.get('/by-hand')
  t.same(start.setCookies.filter(line => line.startsWith('session=')).length, 1)
  const url = (await visitProvider(jar)).replace('/callback', '/done')
  t.match(await new Jar(app).get(url), { status: 500, json: { message: 'Invalid state' } })
  t.match(await jar.get(url), { status: 200 })
  t.type((await jar.get('/token')).json.token, 'string')
})
