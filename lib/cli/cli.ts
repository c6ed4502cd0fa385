import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { VERSION_SUFFIX } from '../seal/interop.js'
import { parseSealerOptions } from '../options/options.js'
import { SessionSealer } from '../seal/sealer.js'

const HELP = `Usage:
  fastify-sealed-session keygen             prints a new secret: 256 random bits as 64 hex characters
  fastify-sealed-session inspect [cookie]   opens a cookie with the secret in SESSION_SECRET, prints data and times

The cookie is the value, with or without its name, as an argument or on standard input.

Options:
  --name <name>   the session's name (sessionName), if it is not "session"
  --help          prints this

Exit codes: 0 done, 1 the cookie does not open (the reason is on standard error), 2 wrong usage.
`

/** Where the command reads and writes. */
export interface Terminal {
  env: NodeJS.ProcessEnv
  stdin: NodeJS.ReadableStream
  stdout: { write (text: string): unknown }
  stderr: { write (text: string): unknown }
}

/** `fastify-sealed-session keygen | inspect`. Gives the exit code. */
export async function cli (args: string[], terminal: Terminal): Promise<number> {
  try {
    const { values, positionals: [command, cookie, ...rest] } =
      parseArgs({ args, allowPositionals: true, options: { name: { type: 'string' }, help: { type: 'boolean' } } })
    if (values.help) {
      terminal.stdout.write(HELP)
      return 0
    }
    if (command === 'keygen' && cookie === undefined) {
      terminal.stdout.write(`${randomBytes(32).toString('hex')}\n`)
      return 0
    }
    if (command === 'inspect' && rest.length === 0) return await inspect(cookie, values.name, terminal)
    terminal.stderr.write(HELP)
  } catch (error) {
    terminal.stderr.write(`${(error as Error).message}\n`)
  }
  return 2
}

async function inspect (cookie: string | undefined, name: string | undefined, terminal: Terminal): Promise<number> {
  const given = cookie ?? await text(terminal.stdin)
  const token = given.trim().replace(/^[^=*]*=/, '').replace(/;.*$/s, '')
  const interop = token.endsWith(VERSION_SUFFIX) ? 'iron-session' : 'iron'
  const options = parseSealerOptions({ secret: terminal.env.SESSION_SECRET, sessionName: name, interop })
  // Whatever the app's options, and wherever it keeps its data: here is what the cookie says.
  const sealer = new SessionSealer({ ...options, storage: 'overflow', opensBound: true })
  const result = await sealer.unseal(token)
  if (!result.ok) {
    terminal.stderr.write(`the cookie does not open: ${result.reason}\n`)
    return 1
  }
  const { envelope, expiresAt: sealExpiresAt } = result.verified
  const { id, createdAt, expiresAt, bound } = sealer.times.describe(envelope, sealExpiresAt, null, false)
  const data = envelope.stored ? 'in the store, under the id' : result.data
  terminal.stdout.write(`${JSON.stringify({ data, id, createdAt, expiresAt, ...bound && { bound } }, undefined, 2)}\n`)
  return 0
}
