import { text } from 'node:stream/consumers'
import type { SecretValue, SessionReason } from '../../types/index.js'
import { parseSealerOptions } from '../options/options.js'
import type { SealerConfig } from '../options/options.js'
import { VERSION_SUFFIX } from '../seal/interop.js'
import { SessionSealer } from '../seal/sealer.js'
import type { Loaded } from '../seal/sealer.js'
import type { Command } from './command.js'
import { explanations } from './explanations.js'
import { findTokens } from './pasted.js'
import { readSecrets } from './secrets.js'

/** Clocks may differ by 68 years: a seal that has expired opens. */
const ANY_TIME = 2 ** 31 - 1

/** `inspect` opens a cookie and prints what it holds. */
export const inspect: Command = {
  usage: '[cookie]',
  summary: 'Opens a cookie (its value, name=value, or a whole Cookie header; from standard input if not given) and prints data and times',
  maxArguments: 1,
  options: {
    name: { value: 'name', summary: 'The session\'s name (sessionName); default "session"' },
    cookie: { value: 'name', summary: 'The cookie\'s name (cookieName); default: the session\'s name' },
    'secret-file': { value: 'file', summary: 'A file of secrets, one a line, or of the 32 bytes of a raw key' },
    expired: { summary: 'Opens a session that has expired, too' }
  },
  async run ([cookie], values, { env, stdin, stdout, stderr }) {
    const { name = 'session', cookie: cookieName, 'secret-file': file, expired } = values as Partial<Record<string, string>> & { expired?: boolean }
    const secrets = await readSecrets(env, file)
    const tokens = findTokens(cookie ?? await text(stdin), cookieName ?? name, cookieName !== undefined)
    const result = await open(tokens, secrets, name, expired === true)
    if (!result.ok) {
      stderr.write(`The cookie does not open: ${result.reason}\n${explanations[result.reason]}\n`)
      return 1
    }
    stdout.write(`${JSON.stringify(result.facts, undefined, 2)}\n`)
    return 0
  }
}

type Result = { ok: true, facts: object } | { ok: false, reason: SessionReason }

/** The first token that opens, as in a request; otherwise the first reason. */
async function open (tokens: readonly string[], secrets: readonly SecretValue[], sessionName: string, isExpiredToo: boolean): Promise<Result> {
  const reasons: SessionReason[] = []
  for (const token of tokens) {
    const options = parseSealerOptions({
      secret: secrets,
      sessionName,
      interop: token.endsWith(VERSION_SUFFIX) ? 'iron-session' : 'iron',
      ...isExpiredToo && { absoluteTimeout: false }
    })
    // Whatever the app's options, and wherever it keeps its data: this is what the cookie says.
    const config: SealerConfig = { ...options, storage: 'overflow', opensBound: true, ...isExpiredToo && { iron: { timestampSkewSec: ANY_TIME } } }
    const sealer = new SessionSealer(config)
    const loaded = await sealer.unseal(token)
    if (loaded.ok) return { ok: true, facts: describe(sealer, loaded) }
    reasons.push(loaded.reason)
  }
  return { ok: false, reason: reasons[0] ?? 'absent' }
}

function describe (sealer: SessionSealer, { verified, data }: Loaded & { ok: true }): object {
  const { envelope, expiresAt: sealExpiresAt } = verified
  const { id, createdAt, expiresAt, bound } = sealer.times.describe(envelope, sealExpiresAt, null, false)
  return { data: envelope.stored ? 'in the store, under the id' : data, id, createdAt, expiresAt, ...bound && { bound } }
}
