import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { fireHttp2 } from './http2.mjs'
import { cookieName, peerOf, value } from './peers.mjs'
import type { Peer, Variation } from './peers.mjs'
import { zipf } from './zipf.mjs'

/** A peer's process, and cookies of people who are logged in there. */
export interface Target extends Peer {
  url: string
  cookies: string[]
  child: ChildProcess
  /** Whether it is asked over HTTP/2 */
  http2: boolean
  /** How many requests of different users were made: the next run goes on from there */
  drawn: number
}

export interface Sample {
  /** Server CPU, user and system, per request */
  micros: number
  requestsPerSecond: number
  /** Milliseconds */
  p50: number
  /** Milliseconds */
  p99: number
}

interface Work {
  /** How the tables go on after "one request that" */
  title: string
  path: string
  cookies: 'same' | 'different' | 'zipf' | 'none'
  /** For stores only: where all change one session, its changes wait for each other */
  forStores?: true
  /** Whether the session has no part in it */
  idle?: true
  /** The answers' status; 200 where none is given */
  status?: number
}

export const rows: Record<string, Work> = {
  untouched: { title: 'never reads the session', path: '/untouched', cookies: 'same', idle: true },
  read: { title: 'reads it, the cookie seen before', path: '/read', cookies: 'same' },
  'read-different': { title: 'reads it, cookies all different', path: '/read', cookies: 'different' },
  'read-zipf': { title: "reads it, users by Zipf's law", path: '/read', cookies: 'zipf' },
  write: { title: 'changes it', path: '/write', cookies: 'same' },
  'write-different': { title: 'changes it, sessions all different', path: '/write', cookies: 'different', forStores: true },
  login: { title: 'logs in', path: '/login/u-0', cookies: 'none' },
  'not-found': { title: 'is for no route', path: '/nowhere', cookies: 'same', idle: true, status: 404 }
}

/** Five times what the cache of this package holds, so that different cookies are not found there. By Zipf's law most are. */
export const PEOPLE = 20_000
const ZIPF_EXPONENT = 1
const ZIPF_DRAWS = 100_000
const draws = new Map<number, Int32Array>()

/** What a browser would send back. */
export function cookieOf (setCookies: string[]): string {
  return setCookies.map(line => line.split(';')[0]).join('; ')
}

export async function start (key: string, variation: Variation = {}, people = PEOPLE): Promise<Target> {
  const peer = peerOf(key)
  const env = { ...process.env, NODE_ENV: 'production' }
  const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [key, JSON.stringify(variation)], { env, execArgv: ['--expose-gc'] })
  const [port] = await once(child, 'message') as [number]
  const target = { ...peer, url: `http://127.0.0.1:${port}`, cookies: [] as string[], child, http2: variation.http2 === true, drawn: 0 }
  if (peer.keeps === 'nothing') target.cookies.push(`${cookieName}=${value}`)
  else if (people > 0) await logIn(target, peer.slow === undefined ? people : people / 10)
  return target
}

/** Ends a peer's process and gives the CPU time that it took in all, in microseconds. */
export async function stop ({ child }: Target): Promise<number> {
  const micros = await cpu(child)
  child.disconnect()
  return micros
}

async function logIn (target: Target, people: number): Promise<void> {
  let next = 0
  await fire(target, people, {
    setupRequest: request => ({ ...request, path: `/login/u-${next++}` }),
    onResponse (_status, _body, _context, headers = {}) {
      const [, setCookies = []] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'set-cookie') ?? []
      target.cookies.push(cookieOf([setCookies].flat()))
    }
  })
}

/** A bounded load: so many requests, ten at a time. */
async function fire (
  target: Target, amount: number, request: autocannon.Request, status = 200
): Promise<Omit<Sample, 'micros'>> {
  const started = performance.now()
  const times: number[] = []
  let ended = started
  const note = (milliseconds: number): void => {
    times.push(milliseconds)
    ended = performance.now()
  }
  const right = await (target.http2 ? overHttp2 : overHttp1)(target, amount, request, status, note)
  if (right !== amount) throw new Error(`${target.title}: ${right} of ${amount} answers have status ${status}`)
  times.sort((a, b) => a - b)
  return { requestsPerSecond: amount / (ended - started) * 1000, p50: times[Math.floor(amount * 0.5)]!, p99: times[Math.floor(amount * 0.99)]! }
}

/** Returns how many answers had the right status. */
type Fire = (target: Target, amount: number, request: autocannon.Request, status: number, note: (milliseconds: number) => void) => Promise<number>

const overHttp1: Fire = async ({ title, url }, amount, request, status, note) => {
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const load = autocannon({ url, connections: 10, amount, sampleInt: 20, requests: [request] },
      (error: Error | null, result) => { error === null ? resolve(result) : reject(error) })
    // autocannon's own figures are whole milliseconds and whole samples, too coarse for a run this short.
    load.on('response', (_client, _status, _bytes, milliseconds) => note(milliseconds))
  })
  if (result.errors > 0) throw new Error(`${title}: ${result.errors} errors`)
  return result.statusCodeStats?.[`${status}`]?.count ?? 0
}

const overHttp2: Fire = async ({ url }, amount, request, status, note) => {
  let right = 0
  await fireHttp2(url, amount, request, (answered, body, milliseconds) => {
    note(milliseconds)
    // An empty object is what a stranger gets.
    if (answered === status && body !== '{}') right++
  })
  return right
}

async function ask (child: ChildProcess, what: 'cpu' | 'memory' | 'delay' | 'collection'): Promise<unknown> {
  const answer = once(child, 'message')
  child.send(what)
  return (await answer as unknown[])[0]
}

async function cpu (child: ChildProcess): Promise<number> {
  const { user, system } = await ask(child, 'cpu') as NodeJS.CpuUsage
  return user + system
}

/** What a peer's process holds in memory once its garbage is gone. */
export async function memory (child: ChildProcess): Promise<NodeJS.MemoryUsage> {
  return await ask(child, 'memory') as NodeJS.MemoryUsage
}

/** The 99th percentile of how late a peer's event loop was since it was asked before, in milliseconds; of its processes the latest. */
export async function delay (child: ChildProcess): Promise<number> {
  return await ask(child, 'delay') as number
}

/** How long a peer's process collected garbage since it was asked before, in milliseconds. */
export async function collection (child: ChildProcess): Promise<number> {
  return await ask(child, 'collection') as number
}

/** Loads a peer with one row's requests until V8 has compiled them: before that its compiler is most of what they cost. */
export async function warmUp (target: Target, row: string, requests: number): Promise<void> {
  await fire(target, requests, requestFor(target, row), rows[row]!.status)
}

/** Loads a peer with one row's requests, and asks it what they cost. */
export async function run (target: Target, row: string, requests: number): Promise<Sample> {
  const { idle, status } = rows[row]!
  const slow = target.slow === 'always' || (target.slow === 'with a session' && !idle)
  return await load(target, slow ? Math.ceil(requests / 5) : requests, requestFor(target, row), status)
}

/** Loads a peer with requests of any kind, and asks it what they cost. */
export async function load (target: Target, amount: number, request: autocannon.Request, status?: number): Promise<Sample> {
  const before = await cpu(target.child)
  const figures = await fire(target, amount, request, status)
  return { micros: (await cpu(target.child) - before) / amount, ...figures }
}

function requestFor (target: Target, row: string): autocannon.Request {
  const { cookies } = target
  const { path, cookies: which } = rows[row]!
  const each = (cookie: () => string | undefined): autocannon.Request =>
    ({ path, setupRequest: request => ({ ...request, headers: { cookie: cookie() } }) })
  switch (which) {
    case 'none': return { path }
    case 'same': return { path, headers: { cookie: cookies[0] } }
    case 'different': return each(() => cookies[target.drawn++ % cookies.length])
    case 'zipf': {
      const users = draws.get(cookies.length) ?? zipf(cookies.length, ZIPF_EXPONENT, ZIPF_DRAWS)
      draws.set(cookies.length, users)
      return each(() => cookies[users[target.drawn++ % ZIPF_DRAWS]!])
    }
  }
}
