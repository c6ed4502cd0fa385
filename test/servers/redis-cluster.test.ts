import { createCluster } from 'redis'
import t from 'tap'
import { redisStore } from '../../lib/redis.js'
import { onCluster } from '../../lib/store/redis/cluster.js'
import type { Commands } from '../../lib/store/redis/client.js'
import { Keys } from '../../lib/store/redis/entries.js'
import { DELETE_ENTRY, LIST, TOUCH_ENTRY, UNLIST } from '../../lib/store/redis/scripts.js'
import type { Script } from '../../lib/store/redis/scripts.js'
import { storeTests } from '../../lib/store-test.js'
import { clusterClients } from '../fixtures/redis-clients.js'
import { missing, startRedisCluster } from '../fixtures/servers.js'
import { eventually, promptly } from '../fixtures/time.js'

const LONG = 60_000

t.test('a cluster of three masters', { skip: missing('redis-server'), timeout: 0 }, async t => {
  const cluster = await startRedisCluster()
  t.teardown(async () => await cluster.stop())
  const admin = createCluster({ rootNodes: cluster.nodes.map(({ url }) => ({ url })) })
  await admin.connect()
  t.teardown(() => { admin.destroy() })
  const onEach = async (...words: string[]): Promise<unknown[]> =>
    await Promise.all(admin.masters.map(async node => await (await admin.nodeClient(node)).sendCommand(words)))
  const calls = async (command: string): Promise<number> => {
    const stats = await onEach('INFO', 'commandstats') as string[]
    return stats.reduce((sum, text) => sum + Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(text)?.[1] ?? 0), 0)
  }
  t.beforeEach(async () => { await onEach('FLUSHALL') })

  for (const [title, open] of Object.entries(clusterClients)) {
    await t.test(`${title} passes the tests of a store`, async t => {
      const [one, two] = [await open(cluster), await open(cluster)]
      t.teardown(() => { one.close(); two.close() })
      for (const { name, run } of storeTests(redisStore(one.client), { other: redisStore(two.client) })) await t.test(name, run)
    })
  }

  await t.test('ten thousand sessions of a thousand users are listed and ended, on all servers', async t => {
    const store = redisStore(admin)
    const users = Array.from({ length: 1000 }, (_, nth) => `user ${nth}`)
    const idsOf = (user: string): string[] => Array.from({ length: 10 }, (_, nth) => `${user} ${nth}`)
    await onEach('CONFIG', 'RESETSTAT')
    await Promise.all(users.flatMap(user => idsOf(user).map(async id => { await store.set(id, '{}', LONG, user) })))
    t.equal(await calls('set'), 10_000)
    t.equal(await calls('zadd'), 10_000)
    for (const entries of await onEach('DBSIZE') as number[]) t.ok(entries > 3000, `${entries} keys`)
    await onEach('CONFIG', 'RESETSTAT')
    const lists = await Promise.all(users.map(async user => (await store.find(user)).map(({ id }) => id).sort()))
    t.same(lists, users.map(idsOf))
    t.equal(await calls('zrange'), 1000)
    t.equal(await calls('get'), 10_000, 'all in one tick, once the index is read')
    const ended = await Promise.all(lists.flat().map(async id => await store.delete(id)))
    t.ok(ended.every(Boolean))
    t.same(await onEach('DBSIZE'), [0, 0, 0], 'no index stays')
  })

  await t.test('an entry whose index cannot be reached is not written', async t => {
    const store = redisStore(admin)
    const users = Array.from({ length: 30 }, (_, nth) => `user ${nth}`)
    const client = createCluster({ rootNodes: cluster.nodes.map(({ url }) => ({ url })), defaults: { disableOfflineQueue: true, socket: { reconnectStrategy: () => 50 } } })
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => { client.destroy() })
    const living = redisStore(client)
    const down = cluster.nodes[0]!
    await down.kill()
    const stop = await promptly(living.subscribe!(() => {}))
    const answers = await Promise.allSettled(users.map(async (user, nth) => { await promptly(living.set(`later ${nth}`, '{}', LONG, user)) }))
    t.ok(answers.some(({ status }) => status === 'rejected') && answers.some(({ status }) => status === 'fulfilled'))
    await down.start()
    await eventually(async () => {
      for (const user of users) await promptly(store.find(user))
      return true
    })
    for (const [nth, user] of users.entries()) {
      const isThere = await store.get(`later ${nth}`) !== undefined
      const isListed = (await store.find(user)).some(({ id }) => id === `later ${nth}`)
      t.equal(isListed, isThere, `${answers[nth]!.status}, ${isThere ? 'there' : 'not there'}`)
      if (answers[nth]!.status === 'fulfilled') t.ok(isThere)
    }
    await stop()
  })

  await t.test('a cluster that is away when somebody subscribes is listened to once it is there', async t => {
    const [one] = cluster.nodes
    const client = createCluster({ rootNodes: [{ url: one!.url }] })
    client.on('error', () => {})
    t.teardown(() => { client.destroy() })
    for (const node of cluster.nodes) await node.kill()
    const store = redisStore(client)
    const heard: string[] = []
    const stop = await promptly(store.subscribe!(id => { heard.push(id) }))
    for (const node of cluster.nodes) await node.start()
    await eventually(async () => { await client.connect(); return true })
    await eventually(async () => {
      await store.set('id', '{}', LONG)
      await store.delete('id')
      return heard.includes('id')
    })
    await stop()
  })
})

/** Answers each script as it is told to, and keeps what it was asked. */
function fake (answers: (script: Script, args: readonly string[]) => unknown): { commands: Commands, asked: Array<[Script, string, readonly string[]]> } {
  const asked: Array<[Script, string, readonly string[]]> = []
  const commands: Commands = {
    get: async () => null,
    set: async () => {},
    async run (script, key, args) {
      asked.push([script, key, args])
      return answers(script, args)
    }
  }
  return { commands, asked }
}

t.test('an entry that changes hands while it is touched is listed for its new user before it lives longer', async t => {
  const owners = ['ada', 'grace', '', 'ada', 'ada']
  const { commands, asked } = fake((script, [user]) => {
    if (script === LIST) return 1_800_000_000_000
    const owner = owners.shift()!
    return owner === user ? 1 : [owner]
  })
  t.equal(await onCluster(commands, new Keys('')).touch('id', 5000), true)
  t.same(asked.map(([script, key, args]) => [script === LIST ? 'list' : script === TOUCH_ENTRY && 'touch', key, ...args]), [
    ['touch', 'id', '', 'PEXPIRE', '5000'],
    ['list', 'user:ada', 'id', '5000'],
    ['touch', 'id', 'ada', 'PEXPIREAT', '1800000000000'],
    ['list', 'user:grace', 'id', '5000'],
    ['touch', 'id', 'grace', 'PEXPIREAT', '1800000000000'],
    ['touch', 'id', '', 'PEXPIRE', '5000'],
    ['list', 'user:ada', 'id', '5000'],
    ['touch', 'id', 'ada', 'PEXPIREAT', '1800000000000']
  ])
})

t.test('an entry that was deleted is deleted, whether or not its index can be reached', async t => {
  const { commands, asked } = fake(script => {
    if (script === UNLIST) throw new Error('the server of the index is away')
    return ['ada']
  })
  t.equal(await onCluster(commands, new Keys('')).delete('id'), true)
  t.same(asked.map(([script, key]) => [script === DELETE_ENTRY, script === UNLIST, key]), [[true, false, 'id'], [false, true, 'user:ada']])
})
