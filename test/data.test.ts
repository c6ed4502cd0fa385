import vm from 'node:vm'
import t from 'tap'
import { findReservedKey, reservedKeys, serialize } from '../lib/json.js'

const session = (any: unknown): object => ({ any })

t.test('JSON values are kept unchanged', async t => {
  const values = [null, true, 'text', '', 0, -1.5, 1e300, [], {}, [[[1]]], { a: { b: { c: null } } }, Object.create(null), '\ud800']
  for (const value of values) t.equal(serialize(session(value)), JSON.stringify({ any: value }))
  const shared = { a: 1 }
  t.equal(serialize({ one: shared, two: [shared, shared] }), '{"one":{"a":1},"two":[{"a":1},{"a":1}]}', 'a shared value is not a cycle')
  t.equal(serialize({ gone: undefined, any: { gone: undefined } }), '{"any":{}}')
})

t.test('objects of another realm count as plain objects', async t => {
  t.equal(serialize(session(vm.runInNewContext('({ a: [1, { b: 2 }] })'))), '{"any":{"a":[1,{"b":2}]}}')
})

t.test('a value that JSON would change or drop is rejected with its path', async t => {
  class Cart {}
  const cycle: { list: unknown[] } = { list: [] }
  cycle.list.push(cycle)
  const nameless = new (class {})()
  const hole: unknown[] = []
  hole.length = 1
  const cases: Array<[value: unknown, path: string, what: string]> = [
    [{ items: [0, 0, { when: new Date() }] }, 'any.items[2].when', 'an instance of Date'],
    [new Map(), 'any', 'an instance of Map'],
    [new Set(), 'any', 'an instance of Set'],
    [/x/, 'any', 'an instance of RegExp'],
    [new Error('x'), 'any', 'an instance of Error'],
    [new Uint8Array(1), 'any', 'an instance of Uint8Array'],
    [Object('x'), 'any', 'an instance of String'],
    [Promise.resolve(), 'any', 'an instance of Promise'],
    [new Cart(), 'any', 'an instance of Cart'],
    [nameless, 'any', 'an instance of a class'],
    [Object.create({ constructor: 1 }), 'any', 'an instance of a class'],
    [() => {}, 'any', 'a function'],
    [{ toJSON: () => 1 }, 'any.toJSON', 'a function'],
    [Symbol('x'), 'any', 'a symbol'],
    [1n, 'any', 'a bigint'],
    [NaN, 'any', 'NaN'],
    [-Infinity, 'any', '-Infinity'],
    [[undefined], 'any[0]', 'undefined'],
    [hole, 'any[0]', 'undefined'],
    [cycle, 'any.list[0]', 'a cycle'],
    [{ 'a b': { 1: NaN } }, 'any["a b"]["1"]', 'NaN']
  ]
  for (const [value, path, what] of cases) {
    t.throws(() => serialize(session(value)), { code: 'FST_SESSION_NOT_SERIALIZABLE', message: `Session value at "${path}" is ${what}:` })
  }
  t.throws(() => serialize({ 'odd key': NaN }), { message: '"["odd key"]"' })
})

t.test('a getter that throws and unlimited nesting are reported as our error, with the cause', async t => {
  const getter = { get bad () { throw new Error('of the app') } }
  t.throws(() => serialize(session(getter)), { code: 'FST_SESSION_NOT_SERIALIZABLE', cause: { message: 'of the app' } })
  let deep: unknown = []
  for (let n = 0; n < 20_000; n++) deep = [deep]
  t.throws(() => serialize(session(deep)), { code: 'FST_SESSION_NOT_SERIALIZABLE', cause: RangeError })
})

t.test('own keys that would hide a member are found, and inherited keys are not', async t => {
  for (const key of reservedKeys) {
    t.equal(findReservedKey({ a: 1, [key]: 1 }), key)
    t.throws(() => serialize({ [key]: 1 }), { code: 'FST_SESSION_RESERVED_KEY', message: `"${key}"` })
  }
  t.equal(findReservedKey(Object.create({ get: 1 })), undefined)
  t.equal(serialize({ any: { get: 1 } }), '{"any":{"get":1}}', 'nested keys can have any name')
})
