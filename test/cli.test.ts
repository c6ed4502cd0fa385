import { PassThrough } from 'node:stream'
import { spawnSync } from 'node:child_process'
import * as Iron from 'iron-webcrypto'
import { sealData } from 'iron-session'
import t from 'tap'
import { cli } from '../lib/cli/cli.js'
import { createSealer } from '../lib/index.js'
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

t.test('a cookie that does not open ends with 1 and its reason', async t => {
  const token = await createSealer({ secret: `${secret} too` }).seal({ note: 'x' })
  t.same(await run(['inspect', token], { env }), { code: 1, out: '', err: 'the cookie does not open: unknown-key\n' })
})

t.test('help goes to standard output, wrong usage to standard error with 2', async t => {
  t.match(await run(['--help']), { code: 0, out: /^Usage:/, err: '' })
  for (const args of [[], ['nonsense'], ['keygen', 'x'], ['inspect', 'a', 'b']]) t.match(await run(args, { env }), { code: 2, out: '', err: /^Usage:/ })
  t.match(await run(['inspect', '--nonsense']), { code: 2, err: /nonsense/ })
  t.match(await run(['inspect', 'x']), { code: 2, err: /SESSION_SECRET/ }, 'the missing secret is named')
})

t.test('the program hands its exit code on', async t => {
  const bin = (...args: string[]): number | null => spawnSync(process.execPath, [...process.execArgv, 'lib/cli/bin.ts', ...args]).status
  t.equal(bin('keygen'), 0)
  t.equal(bin('nonsense'), 2)
})
