import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { user } from './peers.js'

/** A peer's process, and cookies of people who are logged in there. */
export interface Target {
  name: string
  url: string
  cookies: string[]
  child: ChildProcess
}

export interface Sample {
  /** Server CPU, user and system, per request */
  micros: number
  requestsPerSecond: number
  /** Milliseconds */
  p99: number
}

export const rows = {
  untouched: 'never reads the session',
  read: 'reads it, the cookie seen before',
  'read-different': 'reads it, cookies all different',
  write: 'changes it'
}
export type Row = keyof typeof rows

/** More than the cache of any peer holds. */
const PEOPLE = 2500

async function ask (child: ChildProcess): Promise<unknown> {
  const answer = once(child, 'message')
  child.send('cpu')
  return (await answer)[0]
}

export async function start (name: string, logIns = PEOPLE): Promise<Target> {
  const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [name])
  const [port] = await once(child, 'message') as [number]
  const target = { name, url: `http://127.0.0.1:${port}`, cookies: [] as string[], child }
  for (let n = 0; n < logIns; n++) {
    const response = await fetch(`${target.url}/login/u-${n}`)
    await response.text()
    target.cookies.push(response.headers.get('set-cookie')!.split(';')[0]!)
  }
  return target
}

/** A peer that does not do the work is not timed. */
export async function check ({ name, url, cookies }: Target): Promise<void> {
  const stateless = name.includes('@fastify/cookie')
  for (const [at, cookie] of [...cookies.entries()].slice(0, 3)) {
    const get = async (path: string): Promise<Response> => await fetch(url + path, { headers: { cookie } })
    const expect = (what: string, ok: boolean): void => {
      if (!ok) throw new Error(`${name} does not do its work: ${what}`)
    }
    const untouched = await get('/untouched')
    expect('untouched sets a cookie', untouched.headers.get('set-cookie') === null)
    const read = await get('/read')
    const id = (await read.json() as { user?: { id: string } }).user?.id
    expect(`read gives ${id}`, id === (stateless ? user.id : `u-${at}`))
    expect('read sets a cookie', read.headers.get('set-cookie') === null)
    const write = await get('/write')
    // A session in a store keeps its id, and with it its cookie.
    expect('write sets no cookie', name.includes('(memory)') || write.headers.get('set-cookie') !== null)
    expect('the wrong status', untouched.ok && read.ok && write.ok)
  }
}

/** A bounded load on one row, with what it cost the server. */
export async function run (target: Target, row: Row, amount: number): Promise<Sample> {
  const path = row === 'read-different' ? '/read' : `/${row}`
  const { cookies } = target
  let next = 0
  const request: autocannon.Request = row === 'read-different'
    ? { path, setupRequest: request => ({ ...request, headers: { cookie: cookies[next++ % cookies.length]! } }) }
    : { path, headers: { cookie: cookies[0]! } }
  const before = await ask(target.child) as NodeJS.CpuUsage
  const started = performance.now()
  const result = await autocannon({ url: target.url, connections: 10, amount, sampleInt: 50, requests: [request] })
  const seconds = (performance.now() - started) / 1000
  const after = await ask(target.child) as NodeJS.CpuUsage
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${target.name}: ${result.non2xx} bad answers, ${result.errors} errors`)
  return {
    micros: (after.user + after.system - before.user - before.system) / amount,
    requestsPerSecond: amount / seconds,
    p99: result.latency.p99
  }
}
