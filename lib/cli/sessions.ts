import { Lifetimes } from '../lifetimes.js'
import { Entries } from '../store/entries.js'
import { StoredUsers } from '../store/users.js'
import { UsageError } from './command.js'
import type { Command, Terminal } from './command.js'
import { openStore } from './stores.js'
import type { OpenStore } from './stores.js'

/** Seconds that one search, or ending a hundred sessions, may take */
const TIMEOUT = 30

type Given = Partial<Record<'user' | 'except' | 'name', string>> & { data?: boolean, id?: string | undefined }
type Action = (store: OpenStore, given: Given) => Promise<{ readonly result: unknown, readonly code?: number }>

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['list', async (store, given) => {
    const sessions = await of(store, given).list()
    return { result: given.data === true ? sessions : sessions.map(({ data: _, ...session }) => session) }
  }],
  ['end', async (store, given) => {
    if (given.id === undefined) throw new UsageError('end needs the id of a session; list shows the ids')
    const ended = await of(store, given).end(given.id)
    return { result: { ended }, code: ended ? 0 : 1 }
  }],
  ['end-all', async (store, given) => ({ result: { ended: await of(store, given).endAll({ except: given.except }) } })],
  ['prune', async ({ prune }) => {
    if (prune === undefined) throw new UsageError('prune is for PostgreSQL. Redis deletes expired entries by itself')
    return { result: { pruned: await prune() } }
  }]
])

/** `sessions` lists and ends the sessions of a user, for an administrator. */
export const sessions: Command = {
  usage: '<action> [id]',
  summary: `Lists or ends the sessions of a user, in the store of the app: ${[...actions.keys()].join(', ')}`,
  maxArguments: 2,
  options: {
    user: { value: 'user', summary: 'The user, as the app\'s userOf returns it' },
    except: { value: 'id', summary: 'With end-all: the id of a session to keep' },
    data: { summary: 'With list: includes the data of the sessions' },
    redis: { value: 'url', summary: 'The Redis server of redisStore(). Default for --redis or --postgres: SESSION_STORE_URL' },
    cluster: { summary: 'The server belongs to a Redis Cluster' },
    prefix: { value: 'prefix', summary: 'The prefix of redisStore(), if it is not "session:"' },
    postgres: { value: 'url', summary: 'The PostgreSQL server of postgresStore()' },
    table: { value: 'table', summary: 'The table of postgresStore(), if it is not "fastify_session"' },
    name: { value: 'name', summary: 'The session\'s name (sessionName); default "session"' }
  },
  async run ([name, id], values, { env, stdout, stderr }) {
    const action = actions.get(name ?? '')
    if (action === undefined) throw new UsageError(`sessions needs an action: ${[...actions.keys()].join(', ')}`)
    const given = { ...values as Given, id }
    if (name !== 'prune' && given.user === undefined) throw new UsageError(`sessions ${name!} needs --user`)
    try {
      const store = await openStore(values, env)
      // A client whose connection broke is closed already, and its close() rejects. The error of the action counts.
      const { result, code = 0 } = await action(store, given).finally(async () => { await Promise.allSettled([store.close()]) })
      stdout.write(`${JSON.stringify(result, undefined, 2)}\n`)
      return code
    } catch (error) {
      if (error instanceof UsageError) throw error
      return sayUnavailable(error as Error, stderr)
    }
  }
}

function of ({ store }: OpenStore, { user, name }: Given): ReturnType<StoredUsers['of']> {
  // The app's timeouts do not matter here, because the store knows when an entry expires.
  const times = new Lifetimes({ iron: undefined, idleTimeout: 1, absoluteTimeout: false })
  const entries = new Entries(store, times, { dated: true, name: name === 'session' ? undefined : name })
  return new StoredUsers(entries, times, TIMEOUT, data => data).of(user!, () => {})
}

function sayUnavailable ({ message, cause }: Error, stderr: Terminal['stderr']): number {
  stderr.write(`${cause instanceof Error ? `${message}: ${cause.message}` : message}\n`)
  return 3
}
