import { PassThrough } from 'node:stream'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import * as Iron from 'iron-webcrypto'
import { sealData } from 'iron-session'
import t from 'tap'
import { cli } from '../lib/cli/cli.js'
import { createSealer } from '../lib/index.js'
import type { SealerOptions } from '../lib/index.js'
import { makeApp, secret } from './fixtures/app.js'
import { Device, makeBoundApp } from './fixtures/device.js'
import { TestStore } from './fixtures/stores.js'

async function run (args: string[], { stdin = '', env = {} }: { stdin?: string, env?: Record<string, string> } = {}): Promise<{ code: number, out: string, err: string }> {
  let [out, err] = ['', '']
  const code = await cli(args, {
    env,
    stdin: new PassThrough().end(stdin),
    stdout: { write: text => { out += text } },
    stderr: { write: text => { err += text } }
  })
  return { code, out, err }
}

const env = { SESSION_SECRET: secret }

t.test('keygen prints a new secret each time', async t => {
  const [one, two] = [await run(['keygen']), await run(['keygen'])]
  t.match(one, { code: 0, out: /^[\da-f]{64}\n$/, err: '' })
  t.not(one.out, two.out)
})

t.test('inspect shows data and times of a cookie, from an argument or from standard input', async t => {
  const token = await createSealer({ secret }).seal({ note: 'x' })
  for (const cookie of [token, `session=${token}`, `session=${token}; Path=/; HttpOnly\n`]) {
    for (const { code, out } of [await run(['inspect', cookie], { env }), await run(['inspect'], { stdin: cookie, env })]) {
      t.equal(code, 0)
      t.match(JSON.parse(out), { data: { note: 'x' }, id: /^[\w-]{22}$/, createdAt: /Z$/, expiresAt: /Z$/ })
      t.notMatch(out, secret)
    }
  }
  const admin = await createSealer({ secret, sessionName: 'admin' }).seal({ note: 'x' })
  t.match(await run(['inspect', admin, '--name', 'admin'], { env }), { code: 0 })
})

t.test('inspect tells that a session is bound to a device', async t => {
  const device = await new Device(await makeBoundApp()).login()
  const { code, out } = await run(['inspect', device.cookies.get('session')!], { env })
  t.equal(code, 0)
  t.match(JSON.parse(out), { data: { user: { id: 'u1' } }, bound: true })
})

t.test('inspect opens what others have sealed with the secret, too', async t => {
  for (const token of [await sealData({ note: 'x' }, { password: secret }), await Iron.seal({ note: 'x' }, secret, Iron.defaults)]) {
    const { code, out } = await run(['inspect'], { stdin: `session=${token}\n`, env })
    t.equal(code, 0)
    t.match(JSON.parse(out), { data: { note: 'x' } })
  }
})

t.test('inspect says where the data of a stored session is', async t => {
  const app = await makeApp({ store: new TestStore() })
  const { code, out } = await run(['inspect', await app.session.seal({ note: 'x' })], { env })
  t.equal(code, 0)
  t.match(JSON.parse(out), { data: 'in the store, under the id', id: /^[\w-]{22}$/ })
})

t.test('inspect reads a whole Cookie header, Set-Cookie lines and chunks', async t => {
  const { seal } = createSealer({ secret })
  const token = await seal({ note: 'x' })
  const long = await seal({ note: 'y'.repeat(6000) })
  const chunks = [long.slice(0, 4000), long.slice(4000, 8000), long.slice(8000)].map((part, at) => `session${at === 0 ? '' : `.${at}`}=${part}`)
  const cases: Array<[pasted: string, note: RegExp, options?: string[]]> = [
    [`theme=dark; session=${token}; other=1`, /^x$/],
    [`Cookie: theme=dark; session=${token}`, /^x$/],
    [`< Set-Cookie: session=${token}; Path=/; HttpOnly\n< set-cookie: theme=dark; Path=/\n`, /^x$/],
    [`cookie: ${chunks.join('; ')}; theme=dark`, /^y{6000}$/],
    [chunks.map(chunk => `set-cookie: ${chunk}; Path=/; Secure`).join('\r\n'), /^y{6000}$/],
    [`session=forged; session=${token}`, /^x$/],
    [`theme=dark; sid=${token}`, /^x$/],
    [`a=${await seal({ note: 'a' })}; sid=${token}`, /^x$/, ['--cookie', 'sid']],
    [`${token}; Path=/`, /^x$/]
  ]
  for (const [pasted, note, options = []] of cases) t.match(JSON.parse((await run(['inspect', ...options], { stdin: pasted, env })).out), { data: { note } })
  const several = await run(['inspect'], { stdin: `a=${token}; b=${token}; session.x=1`, env })
  t.same(several, { code: 2, out: '', err: 'Several cookies may be the session: a, b. Choose one with --cookie. See fastify-sealed-session --help\n' })
  for (const [pasted, options] of [['theme=dark', []], [`sid=${token}`, ['--cookie', 'session']]] as const) {
    t.match(await run(['inspect', ...options], { stdin: pasted, env }), { code: 1, out: '', err: /^The cookie does not open: absent\nThere is no cookie with this name/ })
  }
})

t.test('inspect takes several secrets, from a second variable and from a file', async t => {
  const bytes = new Uint8Array(32).fill(0x99)
  const [third, fourth] = [`${secret} of spring`, `${secret} of summer`]
  const folder = t.testdir({ secrets: `${secret}\n${third}\n\n${fourth}\n`, one: third, key: Buffer.from(bytes), empty: '\n', short: `${third}\nshort`, text: 'x'.repeat(16) + '0123456789abcdef' })
  const file = (name: string): string[] => ['--secret-file', join(folder, name)]
  const cases: Array<[by: string | Uint8Array, args: string[], env: Record<string, string>]> = [
    [secret, [], { SESSION_SECRET: third, OLD_SESSION_SECRET: secret }],
    [third, [], { SESSION_SECRET: third, OLD_SESSION_SECRET: secret }],
    [secret, [], { SESSION_SECRET: secret, OLD_SESSION_SECRET: secret }],
    [secret, [], { SESSION_SECRET: '', OLD_SESSION_SECRET: secret }],
    [third, file('one'), {}],
    [fourth, file('secrets'), env],
    [bytes, file('key'), {}],
    ['x'.repeat(16) + '0123456789abcdef', file('text'), env]
  ]
  for (const [by, args, env] of cases) t.match(await run(['inspect', await createSealer({ secret: by }).seal({ note: 'x' }), ...args], { env }), { code: 0, err: '' })
  t.match(await run(['inspect', await sealData({ note: 'x' }, { password: { 1: third, 2: fourth } }), ...file('secrets')]), { code: 0 })
  const named = await createSealer({ secret: { id: 'k1', secret: third } }).seal({ note: 'x' })
  t.match(await run(['inspect', named, ...file('one')]), { code: 0 }, 'a secret opens seals of any id')

  const faults: Array<[args: string[], env: Record<string, string>, err: RegExp]> = [
    [[], {}, /^SESSION_SECRET is not set\. .*OLD_SESSION_SECRET.*--secret-file\. See/],
    [[], { SESSION_SECRET: 'short-secret' }, /^The secret in SESSION_SECRET is too short: it has 12 characters, and 32 are the least\./],
    [[], { SESSION_SECRET: secret, OLD_SESSION_SECRET: 'ab'.repeat(20) }, /^The secret in OLD_SESSION_SECRET is guessable: it is a repetition of 2 characters\./],
    [file('short'), {}, /^The secret in the file of --secret-file, number 2, is too short/],
    [file('empty'), env, /^The file of --secret-file is empty\./],
    [file('absent'), env, /^The file of --secret-file cannot be read: ENOENT\./],
    [['--secret-file', secret], env, /^The file of --secret-file cannot be read: ENOENT\./],
    [['--secret-file'], env, /^--secret-file needs a value\./]
  ]
  for (const [args, env, err] of faults) {
    const result = await run(['inspect', 'x', ...args], { env })
    t.match(result, { code: 2, out: '', err })
    t.notMatch(result.err, /short-secret|abab|a secret for tests/, 'no secret is shown')
  }
})

t.test('a cookie that does not open ends with 1, its reason, what that means and what helps', async t => {
  t.clock.enter()
  t.clock.travel(1.9e12)
  const seal = async (options: Partial<SealerOptions>): Promise<string> => await createSealer({ secret, ...options }).seal({ note: 'x' })
  const [token, ends, endless] = [await seal({}), await seal({ idleTimeout: 10 }), await seal({ idleTimeout: 34_560_000, absoluteTimeout: false })]
  const theirs = await sealData({ note: 'x' }, { password: secret, ttl: 10 })
  const cases: Array<[token: string, reason: string, help: RegExp]> = [
    [await seal({ secret: `${secret} too` }), 'unknown-key', /OLD_SESSION_SECRET.*--secret-file/],
    [token.slice(0, -5), 'malformed', /whole Cookie header/],
    [await seal({ secret: { id: token.split('*')[1]!, secret: `${secret} too` } }), 'tampered', /--secret-file/],
    [await seal({ sessionName: 'admin' }), 'wrong-name', /--name/],
    [await Iron.seal({ get: 1 }, secret, Iron.defaults), 'invalid', /reserved/]
  ]
  for (const [token, reason, help] of cases) {
    const { code, out, err } = await run(['inspect', token], { env })
    t.same([code, out, err.split('\n')[0]], [1, '', `The cookie does not open: ${reason}`])
    t.match(err.split('\n')[1], help)
  }
  t.clock.advance(91 * 86_400_000)
  for (const [token, reason] of [[ends, 'expired'], [endless, 'outlived'], [theirs, 'expired']] as const) {
    t.match(await run(['inspect', token], { env }), { code: 1, err: new RegExp(`: ${reason}\n.*--expired`) })
    t.match(JSON.parse((await run(['inspect', token, '--expired'], { env })).out), { data: { note: 'x' } })
  }
})

t.test('help goes to standard output and names every command and option', async t => {
  for (const flag of ['--help', '-h']) {
    const { code, out, err } = await run([flag])
    t.same([code, err], [0, ''])
    for (const word of ['Usage:', 'keygen', 'inspect', '--name', '--cookie', '--secret-file', '--expired', 'SESSION_SECRET']) t.ok(out.includes(word), word)
  }
})

t.test('wrong usage goes to standard error with 2, in a sentence that says what was wrong', async t => {
  const cases: Array<[args: string[], err: string]> = [
    [[], 'Which command? The commands are keygen, inspect, sessions'],
    [['-bcdefghijklmnopqrstuv'], 'Unknown command "-bcdefghijklmnopqrstuv". The commands are keygen, inspect, sessions'],
    [['sessions', 'end', 'one', 'two', '--user', 'ada'], 'sessions takes two arguments at most'],
    [['nonsense'], 'Unknown command "nonsense". The commands are keygen, inspect, sessions'],
    [['__proto__'], 'Unknown command "__proto__". The commands are keygen, inspect, sessions'],
    [[secret], 'Unknown command. The commands are keygen, inspect, sessions'],
    [['keygen', 'x'], 'keygen takes no argument'],
    [['inspect', 'a', 'b'], 'inspect takes one argument: put it in quotes'],
    [['keygen', '--name', 'x'], 'keygen has no option --name'],
    [['inspect', '--nonsense'], 'Unknown option "--nonsense"'],
    [['inspect', 'x', `--secret=${secret}`], 'Unknown option "--secret". Secrets are not taken from the command line, where the shell\'s history and other users see them'],
    [['inspect', '--name'], '--name needs a value'],
    [['inspect', '--cookie='], '--cookie needs a value'],
    [['inspect', '--expired=1'], '--expired takes no value']
  ]
  for (const [args, err] of cases) t.same(await run(args, { env }), { code: 2, out: '', err: `${err}. See fastify-sealed-session --help\n` })
})

t.test('an unexpected failure ends with 2 and its message', async t => {
  const stdin = new PassThrough()
  stdin.destroy(new Error('the pipe broke'))
  let err = ''
  const code = await cli(['inspect'], { env, stdin, stdout: { write () {} }, stderr: { write: text => { err += text } } })
  t.same([code, err], [2, 'the pipe broke\n'])
})

t.test('the program hands its exit code on', async t => {
  const bin = (...args: string[]): number | null => spawnSync(process.execPath, [...process.execArgv, 'lib/cli/bin.ts', ...args]).status
  t.equal(bin('keygen'), 0)
  t.equal(bin('nonsense'), 2)
})
