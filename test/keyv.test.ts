import { EventEmitter } from 'node:events'
import Keyv from 'keyv'
import type { KeyvStoreAdapter } from 'keyv'
import t from 'tap'
import { denylist } from '../lib/index.js'
import type { SessionStore } from '../lib/index.js'
import { turns } from './fixtures/gates.js'
import { Adapter, Keyv6 } from './fixtures/keyv.js'
import { ada, clears, copyOf, makeNode, seen, startOn } from './fixtures/nodes.js'
import type { Node } from './fixtures/nodes.js'

// Keyv reports a failure as an event of the whole store. The failure must affect only the call that has failed.

const down = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:6379'), { code: 'ECONNREFUSED' })
const undecodable = 'pin4711 secret'

const keyv5 = (adapter: Adapter): SessionStore => new Keyv(adapter as unknown as KeyvStoreAdapter)
const keyv6 = (adapter: Adapter): SessionStore => new Keyv6(adapter)
const versions: Record<string, { make: (adapter: Adapter) => SessionStore, prefix: string, hides?: boolean }> = {
  'Keyv 5': { make: keyv5, prefix: 'keyv:' },
  'Keyv 5 that throws': { make: adapter => new Keyv(adapter as unknown as KeyvStoreAdapter, { throwOnErrors: true }), prefix: 'keyv:' },
  'Keyv 5 with an adapter that hides its failures': { make: keyv5, prefix: 'keyv:', hides: true },
  'Keyv 6': { make: keyv6, prefix: '' },
  'Keyv 6 with an adapter that hides its failures': { make: keyv6, prefix: '', hides: true }
}

type Browser = Awaited<ReturnType<typeof startOn>>

/** A node, and browsers with the keys of their entries. */
async function makeKeyv ({ make, hides }: typeof versions[string]): Promise<{ node: Node, adapter: Adapter, start: () => Promise<{ browser: Browser, key: string }> }> {
  const adapter = new Adapter(hides)
  const node = await makeNode({ store: make(adapter) }, { cart: request => { request.session.note = 'cart' } })
  return {
    node,
    adapter,
    async start () {
      const before = new Set(adapter.entries.keys())
      const browser = await startOn(node)
      return { browser, key: [...adapter.entries.keys()].find(key => !before.has(key))! }
    }
  }
}

for (const [version, kind] of Object.entries(versions)) {
  const { make, prefix, hides } = kind

  t.test(`${version}: an entry that cannot be decoded is an invalid session`, async t => {
    const { node, adapter, start } = await makeKeyv(kind)
    const { browser, key } = await start()
    t.ok(key.startsWith(prefix))
    adapter.entries.set(key, undecodable)
    const { status, json, setCookies, body } = await copyOf(browser).get('/data')
    t.same([status, json, clears(setCookies)], [200, { data: {}, reason: 'invalid' }, true])
    t.notMatch(body, 'pin4711')
    t.notMatch(JSON.stringify(node.lines), 'pin4711')
    const again = copyOf(browser)
    t.equal((await again.get('/cart')).status, 200)
    t.same((await seen(again)).data, { note: 'cart' }, 'a new session begins')
  })

  t.test(`${version}: an entry that cannot be decoded does not affect other calls in progress`, async t => {
    const { adapter, start } = await makeKeyv(kind)
    const broken = await start()
    adapter.entries.set(broken.key, undecodable)
    const calls = [['/cart', 'set'], ['/logout', 'delete'], ['/data', 'get']] as const
    for (const [url, method] of calls) {
      const { browser, key } = await start()
      const copy = copyOf(browser)
      adapter.waits.set(key, method)
      const answer = browser.get(url)
      await adapter.gates.arrival(key)
      t.equal((await copyOf(broken.browser).get('/data')).json.reason, 'invalid')
      adapter.gates.open(key)
      t.equal((await answer).status, 200, url)
      t.same((await seen(copy)).data, url === '/logout' ? {} : { user: ada, ...url === '/cart' && { note: 'cart' } })
    }
  })

  t.test(`${version}: a failed call responds with 503 and does not affect other calls in progress`, async t => {
    for (const [failing, failingMethod] of [['/data', 'get'], ['/cart', 'set'], ['/logout', 'delete']] as const) {
      for (const [url, method] of [['/cart', 'set'], ['/logout', 'delete'], ['/data', 'get']] as const) {
        const { adapter, start } = await makeKeyv(kind)
        const [bad, good] = [await start(), await start()]
        const copy = copyOf(good.browser)
        adapter.waits.set(good.key, method)
        const answer = good.browser.get(url)
        await adapter.gates.arrival(good.key)
        adapter.fails.set(bad.key, { method: failingMethod, error: down })
        t.equal((await copyOf(bad.browser).get(failing)).status, 503, `${failingMethod} fails`)
        adapter.gates.open(good.key)
        t.equal((await answer).status, 200, `${method} succeeds while ${failingMethod} of another session fails`)
        t.same((await seen(copy)).data, url === '/logout' ? {} : { user: ada, ...url === '/cart' && { note: 'cart' } })
        adapter.fails.clear()
        t.same((await seen(bad.browser)).data, { user: ada }, 'the session of the failed call is still there')
      }
    }
  })

  t.test(`${version}: a missing entry has the reason not-stored, even while calls of other sessions fail`, async t => {
    const { adapter, start } = await makeKeyv(kind)
    const [bad, gone] = [await start(), await start()]
    adapter.entries.delete(gone.key)
    adapter.waits.set(gone.key, 'get')
    const answer = gone.browser.get('/data')
    await adapter.gates.arrival(gone.key)
    adapter.fails.set(bad.key, { method: 'get', error: down })
    t.equal((await bad.browser.get('/data')).status, 503)
    adapter.gates.open(gone.key)
    const { status, json, setCookies } = await answer
    t.same([status, json.reason, setCookies], [200, 'not-stored', []])
  })

  t.test(`${version}: a denylist opens no session while it fails, and a failed look-up does not affect another one`, async t => {
    const adapter = new Adapter(hides)
    const node = await makeNode({ isRevoked: denylist(make(adapter)) })
    const [bad, good] = [await startOn(node), await startOn(node)]
    const idOf = async (jar: Browser): Promise<string> => {
      const opened = await node.app.session.unseal(jar.cookies.get('session')!)
      return opened.ok ? opened.info.id : ''
    }
    const [badKey, goodKey] = [`${prefix}revoked:${await idOf(bad)}`, `${prefix}revoked:${await idOf(good)}`]
    adapter.waits.set(goodKey, 'get')
    const answer = good.get('/data')
    await adapter.gates.arrival(goodKey)
    adapter.fails.set(badKey, { method: 'get', error: down })
    t.equal((await bad.get('/data')).status, 503)
    adapter.gates.open(goodKey)
    t.match(await answer, { status: 200, json: { data: { user: ada } } })
  })

  t.test(`${version}: a call that ends after its request has timed out does not affect others`, async t => {
    const adapter = new Adapter(hides)
    const node = await makeNode({ store: make(adapter), storeTimeout: 0.3 })
    const slow = await startOn(node)
    const [key] = adapter.entries.keys()
    const other = await startOn(node)
    adapter.waits.set(key!, 'get')
    t.equal((await slow.get('/data')).status, 503)
    adapter.fails.set(key!, { method: 'get', error: down })
    const otherKey = [...adapter.entries.keys()].at(-1)!
    adapter.waits.set(otherKey, 'set')
    const answer = other.get('/change')
    await adapter.gates.arrival(otherKey)
    adapter.gates.open(key!)
    await turns()
    adapter.gates.open(otherKey)
    t.equal((await answer).status, 200)
  })
}

t.test('a connection error fails the calls that may hide it: empty results and writes', async t => {
  const emitter = new EventEmitter()
  const entries = new Map<string, string>()
  let breaks = false
  const emit = (): void => { if (breaks) emitter.emit('error', new Error('the connection broke')) }
  // A separate socket: its events do not belong to the async context of any call.
  const socket = setInterval(emit, 1)
  t.teardown(() => { clearInterval(socket) })
  const slow = async <T>(answer: () => T): Promise<T> => {
    await new Promise(resolve => { setTimeout(resolve, 10) })
    return answer()
  }
  const store = Object.assign(emitter, {
    get: async (id: string) => await slow(() => entries.get(id)),
    set: async (id: string, value: string) => await slow(() => { entries.set(id, value) }),
    delete: async (id: string) => await slow(() => { entries.delete(id) })
  })
  const node = await makeNode({ store })
  const jar = await startOn(node)
  breaks = true
  t.same((await seen(jar)).data, { user: ada }, 'an entry that is found proves that the call has not failed')
  t.equal((await jar.get('/change')).status, 503)
  entries.clear()
  t.equal((await jar.get('/data')).status, 503)
  breaks = false
  t.equal((await seen(jar)).reason, 'not-stored')
})
