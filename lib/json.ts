import type { ReservedKey } from '../types/index.js'
import { errors } from './errors.js'

/** The JSON of a session without data. */
export const EMPTY = '{}'

/** The members of a session. No key of its data may hide one. */
export const reservedKeys: readonly ReservedKey[] = [
  'get', 'set', 'clear', 'regenerate', 'destroy', 'delete', 'touch', 'persist', 'options', 'data',
  'changed', 'deleted', 'info'
]
const reserved: ReadonlySet<string> = new Set(reservedKeys)

/** Whether a value is an object and not an array. */
export function isDictionary (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first key that would hide a member of the session. */
export function findReservedKey (data: object): string | undefined {
  for (const key in data) if (reserved.has(key) && Object.hasOwn(data, key)) return key
  return undefined
}

/**
 * Whether data contains a function or a symbol. JSON silently leaves those out of objects, so comparing JSON does not find them.
 * The data must have no cycle.
 */
export function hasFunction (data: object): boolean {
  if (Array.isArray(data)) {
    // By index: for-in over an array costs three times as much.
    for (let at = 0; at < data.length; at++) if (isFunction(data[at])) return true
    return false
  }
  for (const key in data) if (isFunction((data as Record<string, unknown>)[key]) && Object.hasOwn(data, key)) return true
  return false
}

function isFunction (value: unknown): boolean {
  switch (typeof value) {
    case 'object': return value !== null && hasFunction(value)
    case 'function':
    case 'symbol': return true
    default: return false
  }
}

/** The error for a key that would hide a member of the session. */
export function reservedKeyError (key: string): Error {
  return new errors.FST_SESSION_RESERVED_KEY(
    `Session key "${key}" is reserved: session.${key} is a member of the session. Use another name`)
}

/**
 * The data as JSON, after checking that JSON neither changes nor drops a value.
 * @param text the result of `JSON.stringify`, if it was called before
 * @throws FST_SESSION_NOT_SERIALIZABLE with the path of the value, FST_SESSION_RESERVED_KEY
 */
export function serialize (data: object, text?: string): string {
  const key = findReservedKey(data)
  if (key !== undefined) throw reservedKeyError(key)
  let flaw
  try {
    flaw = findFlaw(data, [])
    if (flaw === undefined) return text ?? JSON.stringify(data)
  } catch (error) {
    // One of the app's getters threw, or the nesting is too deep for the stack.
    throw new errors.FST_SESSION_NOT_SERIALIZABLE('session', 'not readable', { cause: error })
  }
  throw new errors.FST_SESSION_NOT_SERIALIZABLE(pathOf(flaw.keys), flaw.what)
}

interface Flaw {
  what: string
  /** The keys that lead to the value, innermost first */
  keys: Array<string | number>
}

/** The first value that JSON would change or drop. `undefined` in an object counts as an unset key. */
function findFlaw (value: object, parents: object[]): Flaw | undefined {
  if (parents.includes(value)) return { what: 'a cycle', keys: [] }
  parents.push(value)
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      const item: unknown = value[at]
      const flaw = item === undefined ? { what: 'undefined', keys: [] } : flawOf(item, parents)
      if (flaw !== undefined) return under(flaw, at)
    }
  } else {
    if (!isPlain(value)) return { what: `an instance of ${className(value)}`, keys: [] }
    for (const key of Object.keys(value)) {
      const flaw = flawOf((value as Record<string, unknown>)[key], parents)
      if (flaw !== undefined) return under(flaw, key)
    }
  }
  parents.pop()
  return undefined
}

function under (flaw: Flaw, key: string | number): Flaw {
  flaw.keys.push(key)
  return flaw
}

function flawOf (value: unknown, parents: object[]): Flaw | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : { what: String(value), keys: [] }
    case 'object':
      return value === null ? undefined : findFlaw(value, parents)
    default:
      return { what: `a ${typeof value}`, keys: [] }
  }
}

/** `cart.items[2].when`, `["odd key"]` */
function pathOf (keys: Flaw['keys']): string {
  const path = keys.reverse().map(key => {
    if (typeof key === 'number') return `[${key}]`
    return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  })
  return path.join('').replace(/^\./, '')
}

// Compares depth, not identity: an object of another realm (in a test runner) has another Object.prototype.
function isPlain (value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function className (value: object): string {
  const { constructor } = value
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'a class'
}
