import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import { createClient, createCluster } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { cli } from '../../lib/cli/cli.js'
import type { SessionStore } from '../../lib/index.js'
import { postgresStore } from '../../lib/postgres.js'
import { redisStore } from '../../lib/redis.js'
import { makeApp } from '../fixtures/app.js'
import { missing, startPostgres, startRedis, startRedisCluster } from '../fixtures/servers.js'

interface Result { code: number, json: any, err: string }

async function run (args: string[], env: Record<string, string> = {}): Promise<Result> {
  let [out, err] = ['', '']
  const code = await cli(['sessions', ...args], {
    env, stdin: process.stdin, stdout: { write: text => { out += text } }, stderr: { write: text => { err += text } }
  })
  return { code, json: out === '' ? undefined : JSON.parse(out), err }
}

/** Three sessions of Ada, one of Bob, and one of Ada with another session name. */
async function fill (store: SessionStore): Promise<void> {
  const userOf = (data: { user?: { id: string } }): string | undefined => data.user?.id
  const app = await makeApp({ store, userOf })
  for (const id of ['ada', 'ada', 'ada', 'bob']) await app.session.cookie({ user: { id, name: 'x' }, note: 'private' })
  const staff = await makeApp({ store, userOf, sessionName: 'staff' })
  await (staff as unknown as { staff: typeof app.session }).staff.cookie({ user: { id: 'ada', name: 'x' } })
}

/** The actions of an administrator, with any store. */
async function administrate (t: Test, store: string[], env: Record<string, string> = {}): Promise<void> {
  const sessions = async (...args: string[]): Promise<Result> => await run([...args, ...store], env)
  const listed = await sessions('list', '--user', 'ada')
  t.match(listed, { code: 0, err: '' })
  t.equal(listed.json.length, 3)
  t.match(listed.json[0], { id: /^[\w-]{22}$/, createdAt: /Z$/, lastSeenAt: /Z$/, expiresAt: /Z$/ })
  t.notMatch(JSON.stringify(listed.json), 'private', 'no data unless it is asked for')
  t.match((await sessions('list', '--user', 'ada', '--data')).json[0], { data: { note: 'private' } })
  t.equal((await sessions('list', '--user', 'ada', '--name', 'staff')).json.length, 1)
  t.equal((await sessions('list', '--user', 'ada', '--name', 'session')).json.length, 3)
  const [first, second] = listed.json as [{ id: string }, { id: string }]
  t.match(await sessions('end', first.id, '--user', 'bob'), { code: 1, json: { ended: false } })
  t.match(await sessions('end', first.id, '--user', 'ada'), { code: 0, json: { ended: true } })
  t.match(await sessions('end-all', '--user', 'ada', '--except', second.id), { code: 0, json: { ended: 1 } })
  t.same((await sessions('list', '--user', 'ada')).json.map(({ id }: { id: string }) => id), [second.id])
  t.match(await sessions('list', '--user', 'nobody'), { code: 0, json: [] })
  t.equal((await sessions('list', '--user', 'bob')).json.length, 1)
}

t.test('the command lists and ends the sessions of a user in Redis', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const client = await createClient({ url: server.url }).connect()
  t.teardown(() => { client.destroy() })
  await fill(redisStore(client))
  await administrate(t, ['--redis', server.url])
  await fill(redisStore(client, { prefix: 'my:' }))
  t.equal((await run(['list', '--user', 'ada', '--prefix', 'my:'], { SESSION_STORE_URL: server.url })).json.length, 3)
  t.match(await run(['prune', '--redis', server.url]), { code: 2, err: /prune is for PostgreSQL/ })
})

t.test('the command uses ioredis if redis is not installed', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const client = await createClient({ url: server.url }).connect()
  t.teardown(() => { client.destroy() })
  await fill(redisStore(client))
  inFolder(t, 'ioredis')
  await administrate(t, [], { SESSION_STORE_URL: server.url })
})

t.test('the command lists and ends the sessions of a user in a Redis Cluster', { skip: missing('redis-server') }, async t => {
  const cluster = await startRedisCluster()
  t.teardown(async () => { await cluster.stop() })
  const { url } = cluster.nodes[0]!
  const client = createCluster({ rootNodes: [{ url }] })
  await client.connect()
  t.teardown(() => { client.destroy() })
  await fill(redisStore(client))
  await administrate(t, ['--redis', url, '--cluster'])
  await fill(redisStore(client, { prefix: 'x:' }))
  inFolder(t, 'ioredis')
  t.equal((await run(['list', '--user', 'ada', '--redis', url, '--cluster', '--prefix', 'x:'])).json.length, 3)
})

t.test('the command lists and ends the sessions of a user in PostgreSQL, and prunes', { skip: missing('postgresql') }, async t => {
  const server = await startPostgres()
  t.teardown(async () => { await server.stop() })
  const pool = new pg.Pool({ connectionString: server.url })
  t.teardown(async () => { await pool.end() })
  t.match(await run(['list', '--user', 'ada', '--postgres', server.url]), { code: 3, err: /migrate\(\)/ })
  for (const table of ['fastify_session', 'mine']) {
    const store = postgresStore(pool, { table, pruneInterval: false })
    await store.migrate()
    await fill(store)
    await store.set('old', '{}', 1)
  }
  await administrate(t, ['--postgres', server.url])
  t.match(await run(['prune'], { SESSION_STORE_URL: server.url }), { code: 0, json: { pruned: 1 } })
  t.match(await run(['prune', '--table', 'mine'], { SESSION_STORE_URL: server.url }), { code: 0, json: { pruned: 1 } })
  t.equal((await run(['list', '--user', 'ada', '--table', 'mine'], { SESSION_STORE_URL: server.url })).json.length, 3)
})

t.test('the error of a store that is not available does not contain its password', async t => {
  for (const url of ['redis://user:hunter2@127.0.0.1:1', 'postgresql://user:hunter2@127.0.0.1:1/x']) {
    const { code, err, json } = await run(['list', '--user', 'ada'], { SESSION_STORE_URL: url })
    t.equal(code, 3)
    t.match(err, /ECONNREFUSED/)
    t.notMatch(err, 'hunter2')
    t.equal(json, undefined)
  }
})

t.test('a server that does not answer is not waited for', async t => {
  const url = await serve(t, () => {})
  t.match(await run(['list', '--user', 'ada', '--redis', url]), { code: 3, err: /connect did not answer in time/ })
  inFolder(t, 'ioredis')
  t.match(await run(['list', '--user', 'ada', '--redis', url]), { code: 3, err: /connect did not answer in time/ })
})

t.test('a connection that breaks is a store that is not available', async t => {
  const url = await serve(t, (socket, commands) => {
    if (commands.includes('EVALSHA')) socket.destroy()
    else socket.write('+OK\r\n'.repeat(commands.split(/^\*/m).length - 1))
  })
  t.match(await run(['list', '--user', 'ada', '--redis', url]), { code: 3, err: /closed/ })
})

t.test('an error names the argument that is missing or wrong', async t => {
  const wrong: Array<[string[], RegExp, Record<string, string>?]> = [
    [[], /sessions needs an action: list, end, end-all, prune/],
    [['destroy'], /needs an action/],
    [['list'], /sessions list needs --user/],
    [['end', '--user', 'ada', '--redis', 'redis://127.0.0.1:1', '--postgres', 'x'], /Choose/],
    [['list', '--user', 'ada'], /Which store\?/],
    [['list', '--user', 'ada', '--redis', 'hunter2 '], /not a URL/],
    [['list', '--user', 'ada'], /must begin with redis/, { SESSION_STORE_URL: 'mysql://hunter2@x' }],
    [['end', 'a', 'b', '--user', 'ada'], /two arguments at most/]
  ]
  for (const [args, message, env] of wrong) {
    const { code, err } = await run(args, env)
    t.equal(code, 2, args.join(' '))
    t.match(err, message)
    t.notMatch(err, 'hunter2')
  }
})

t.test('an id may start with a hyphen', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const client = await createClient({ url: server.url }).connect()
  t.teardown(() => { client.destroy() })
  const store = redisStore(client)
  const ids = ['-bcdefghijklmnopqrstuv', '--cdefghijklmnopqrstuv', 'abcdefghijklmnopqrstuv']
  for (const id of ids) await store.set(id, '{"v":1,"c":1,"w":1,"d":{}}', 10_000, 'ada')
  const [one, two] = ids as [string, string]
  t.match(await run(['end-all', '--user', 'ada', '--except', one, '--redis', server.url]), { code: 0, json: { ended: 2 } })
  t.match(await run(['end', one, '--user', 'ada', '--redis', server.url]), { code: 0, json: { ended: true } })
  await store.set(two, '{"v":1,"c":1,"w":1,"d":{}}', 10_000, 'ada')
  t.match(await run(['end', '--user', 'ada', '--redis', server.url, two]), { code: 0, json: { ended: true } })
})

t.test('end requires an id', { skip: missing('redis-server') }, async t => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  t.match(await run(['end', '--user', 'ada', '--redis', server.url]), { code: 2, err: /end needs the id/ })
})

t.test('an error names a client that is not installed, and shows why another one fails to load', async t => {
  inFolder(t, 'ioredis')
  for (const more of [[], ['--cluster']]) {
    t.match(await run(['list', '--user', 'ada', '--redis', 'redis://127.0.0.1:1', ...more]), { code: 3, json: undefined, err: /\w/ })
  }
  inFolder(t)
  t.match(await run(['list', '--user', 'ada', '--redis', 'redis://127.0.0.1:1']), { code: 2, err: /Install redis or ioredis/ })
  t.match(await run(['list', '--user', 'ada', '--postgres', 'postgresql://127.0.0.1:1/x']), { code: 2, err: /Install pg/ })
  const folder = join(process.cwd(), 'node_modules', 'pg')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'index.js'), 'throw new Error("broken")')
  t.match(await run(['list', '--user', 'ada', '--postgres', 'postgresql://127.0.0.1:1/x']), { code: 3, err: /broken/ })
})

/** Works in an empty folder that has these packages. */
function inFolder (t: Test, ...packages: string[]): void {
  const [before, folder] = [process.cwd(), mkdtempSync(join(tmpdir(), 'fastify-sealed-session-'))]
  mkdirSync(join(folder, 'node_modules'))
  const require = createRequire(import.meta.url)
  for (const name of packages) symlinkSync(resolve(dirname(require.resolve(`${name}/package.json`))), join(folder, 'node_modules', name))
  process.chdir(folder)
  t.teardown(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true })
  })
}

/** The address of a server that answers in its own way. */
async function serve (t: Test, answer: (socket: Socket, data: string) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}).on('data', data => { answer(socket, data.toString()) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
}
