import { generateKeyPairSync, sign } from 'node:crypto'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-sealed-session'
import { ratios, showSpread, spread } from './stats.mjs'

// What a request of a bound session costs next to one of an unbound session, in one process and one app, in turns: CPU time. And what a
// refresh costs, in which the device's signature is verified.

declare module 'fastify-sealed-session' {
  interface SessionData { user?: { id: string, name: string }, views?: number }
}

const { values: { rounds = '30', requests = '2000' } } = parseArgs({ options: { rounds: { type: 'string' }, requests: { type: 'string' } } })
const amount = Number(requests)
const https = { 'x-forwarded-proto': 'https', host: 'app.test' }

async function makeApp (isBound: boolean): Promise<FastifyInstance> {
  const app = Fastify({ trustProxy: true })
  const deviceBound = isBound ? { when: ({ user }: { user?: unknown }) => user !== undefined } : undefined
  await app.register(sessionPlugin, { secret: 'a secret for the benchmarks, long enough', deviceBound })
  app.get('/login', async request => { request.session.user = { id: 'u-1', name: 'Ada Lovelace' }; return {} })
  app.get('/read', async request => ({ id: request.session.user?.id }))
  app.get('/write', async ({ session }) => {
    session.views = (session.views ?? 0) + 1
    return { views: session.views }
  })
  return app
}

const cookiesOf = (header: unknown): Map<string, string> => new Map([header as string | string[]].flat().map(line => /^([^=]+)=([^;]*)/.exec(line)!.slice(1, 3) as [string, string]))
const cookieHeader = (cookies: Map<string, string>): string => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

/** CPU time of one request, in microseconds. */
async function measure (app: FastifyInstance, url: string, cookie: string): Promise<number> {
  const before = process.cpuUsage()
  for (let at = 0; at < amount; at++) {
    const { statusCode, body } = await app.inject({ url, headers: { ...https, cookie } })
    if (statusCode !== 200 || body === '{}') throw new Error(`${url}: ${statusCode}`)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / amount
}

const [plain, bound] = [await makeApp(false), await makeApp(true)]
const unbound = cookieHeader(cookiesOf((await plain.inject({ url: '/login', headers: https })).headers['set-cookie']))

// A device with a key in software.
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
function prove (challenge: string, jwk?: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ typ: 'dbsc+jwt', alg: 'ES256', ...jwk && { jwk } })}.${encode({ jti: challenge })}`
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
const login = await bound.inject({ url: '/login', headers: https })
const cookies = cookiesOf(login.headers['set-cookie'])
const offer = /challenge="([^"]+)"/.exec(String(login.headers['secure-session-registration']))![1]!
const registered = await bound.inject({
  method: 'POST', url: '/dbsc/registration', headers: { ...https, cookie: cookieHeader(cookies), 'secure-session-response': prove(offer, publicKey.export({ format: 'jwk' })) }
})
if (registered.statusCode !== 200) throw new Error(registered.body)
for (const [name, value] of cookiesOf(registered.headers['set-cookie'])) cookies.set(name, value)
const proven = cookieHeader(cookies)

for (const url of ['/read', '/write']) {
  const [theirs, ours, again]: [number[], number[], number[]] = [[], [], []]
  for (const app of [plain, bound]) await measure(app, url, app === plain ? unbound : proven)
  for (let round = 0; round < Number(rounds); round++) {
    const turns: Array<() => Promise<unknown>> = [
      async () => theirs.push(await measure(plain, url, unbound)),
      async () => ours.push(await measure(bound, url, proven)),
      async () => again.push(await measure(plain, url, unbound))
    ]
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn()
  }
  console.log(`${url}: unbound ${spread(theirs).median.toFixed(1)} µs, bound ${spread(ours).median.toFixed(1)} µs; bound / unbound ${showSpread(spread(ratios(ours, theirs)))}, noise ${showSpread(spread(ratios(again, theirs)))}`)
}

const headers = { ...https, cookie: proven, 'sec-secure-session-id': registered.json<{ session_identifier: string }>().session_identifier }
const asked = await bound.inject({ method: 'POST', url: '/dbsc/refresh', headers })
const proof = prove(/^"([^"]+)"/.exec(String(asked.headers['secure-session-challenge']))![1]!)
const before = process.cpuUsage()
for (let at = 0; at < amount; at++) {
  const { statusCode } = await bound.inject({ method: 'POST', url: '/dbsc/refresh', headers: { ...headers, 'secure-session-response': proof } })
  if (statusCode !== 200) throw new Error(String(statusCode))
}
const { user, system } = process.cpuUsage(before)
console.log(`a refresh with its proof: ${((user + system) / amount).toFixed(1)} µs`)
