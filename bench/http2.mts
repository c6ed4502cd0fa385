import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import type autocannon from 'autocannon'

/** The connections, and the requests that are under way on each at a time: as many in all as over HTTP/1.1. */
const CONNECTIONS = 2
const STREAMS = 5

/** What one response was, and how many milliseconds it took. */
export type OnResponse = (status: number, body: string, milliseconds: number) => void

/** autocannon's types allow the name of a module for each of these, too. */
interface Hooks {
  setupRequest?: (request: autocannon.Request, context: object) => autocannon.Request
  onResponse?: (status: number, body: string, context: object, headers: Record<string, unknown>) => void
}

/** A bounded load over HTTP/2 without TLS, which autocannon does not support. */
export async function fireHttp2 (url: string, amount: number, request: autocannon.Request, onResponse: OnResponse): Promise<void> {
  const sessions = await Promise.all(Array.from({ length: CONNECTIONS }, async () => await open(url)))
  let left = amount
  const stream = async (session: ClientHttp2Session): Promise<void> => {
    while (left-- > 0) await ask(session, request, onResponse)
  }
  try {
    await Promise.all(sessions.flatMap(session => Array.from({ length: STREAMS }, async () => await stream(session))))
  } finally {
    for (const session of sessions) session.close()
  }
}

async function open (url: string): Promise<ClientHttp2Session> {
  return await new Promise((resolve, reject) => {
    const session = connect(url, () => resolve(session))
    session.once('error', reject)
  })
}

async function ask (session: ClientHttp2Session, request: autocannon.Request, onResponse: OnResponse): Promise<void> {
  const hooks = request as Hooks
  const { path = '/', headers = {} } = hooks.setupRequest?.(request, {}) ?? request
  await new Promise<void>((resolve, reject) => {
    const started = performance.now()
    const stream = session.request({ ':path': path, ...headers })
    let status = 0
    let setCookies: string[] = []
    let body = ''
    stream.setEncoding('utf8')
    stream.on('response', headers => {
      status = headers[':status']!
      setCookies = headers['set-cookie'] ?? []
    })
    stream.on('data', part => { body += part as string })
    stream.on('error', reject)
    stream.on('end', () => {
      onResponse(status, body, performance.now() - started)
      hooks.onResponse?.(status, body, {}, { 'set-cookie': setCookies })
      resolve()
    })
    stream.end()
  })
}
