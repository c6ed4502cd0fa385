import type * as Types from '../types/redis.js'
import type { RedisClient, RedisStore, RedisStoreOptions } from '../types/redis.js'
import { invalid, parseNames } from './options/checks.js'
import { Listeners } from './store/listeners.js'
import { encodeId } from './store/names.js'
import { commandsOf, isCluster, parseClient } from './store/redis/client.js'
import { onCluster } from './store/redis/cluster.js'
import { encodeEntry, Keys, read, toOwner } from './store/redis/entries.js'
import { onOneServer } from './store/redis/one-server.js'
import { subscriberOf } from './store/redis/subscriber.js'

export function redisStore (client: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  parseNames('options', options, ['prefix'])
  const { prefix = 'session:' } = options
  if (typeof prefix !== 'string') throw invalid('prefix', 'a string', prefix)
  const commands = commandsOf(parseClient(client))
  const keys = new Keys(prefix)
  const writes = (isCluster(client) ? onCluster : onOneServer)(commands, keys)
  // Not async, which takes time: every request with a session reads its entry.
  const get = (id: string): Promise<string | undefined> => read(commands, keys.entry(encodeId(id)))

  const store: RedisStore = {
    get,
    // All in one tick, which is one round trip. Not MGET, because in a cluster the keys may be on different servers.
    getMany: async ids => await Promise.all(ids.map(get)),
    async set (id, value, ttlMs, user) {
      const owner = toOwner(user)
      await writes.set(encodeId(id), encodeEntry(value, owner), ttlMs, owner)
    },
    async replace (id, previous, value, ttlMs, user) {
      const owner = toOwner(user)
      return await writes.replace(encodeId(id), previous, encodeEntry(value, owner), ttlMs, owner)
    },
    delete: async id => await writes.delete(encodeId(id)),
    touch: async (id, ttlMs) => await writes.touch(encodeId(id), ttlMs),
    find: async user => await writes.find(toOwner(user))
  }
  const open = subscriberOf(client, keys.ended)
  if (open !== undefined) {
    const listeners = new Listeners(open)
    store.subscribe = async ended => await listeners.add(ended)
  }
  return store
}

({ redisStore }) satisfies Omit<typeof Types, never>
