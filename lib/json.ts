import type { ReservedKey } from '../types/index.js'
import { errors } from './errors.js'

/** No data, as JSON. */
export const EMPTY = '{}'

/** The members of a session, which no key of its data may hide. */
export const reservedKeys: readonly ReservedKey[] = [
  'get', 'set', 'clear', 'regenerate', 'destroy', 'delete', 'touch', 'persist', 'options', 'data',
  'changed', 'deleted', 'info'
]
const reserved: ReadonlySet<string> = new Set(reservedKeys)

/** Whether a value is an object of keys and values. */
export function isDictionary (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first key that would hide a member of the session. */
export function findReservedKey (data: object): string | undefined {
  for (const key in data) if (reserved.has(key) && Object.hasOwn(data, key)) return key
  return undefined
}

/**
 * Whether data has a function or a symbol, which JSON leaves out of objects without a word: then the data has the same JSON as
 * without it. Data with a cycle must not come here.
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
    `Session key "${key}" is refused: session.${key} is a member of the session. Use another name`)
}

/**
 * The data as JSON, checked to come back as it went in.
 * @param text what `JSON.stringify` gave, where it was called before
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
    // A getter of the app's threw, or the nesting is too deep for the stack.
    throw new errors.FST_SESSION_NOT_SERIALIZABLE('session', 'not readable', { cause: error })
  }
  throw new errors.FST_SESSION_NOT_SERIALIZABLE(pathOf(flaw.keys), flaw.what)
}

interface Flaw {
  what: string
  /** The way to the value, innermost first: it is put together only where there is a flaw */
  keys: Array<string | number>
}

/** What JSON would change or drop. `undefined` in an object is left out, as an unset key is. */
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

// By depth, not by identity: an object of another realm (a test runner's) has another Object.prototype.
function isPlain (value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function className (value: object): string {
  const { constructor } = value
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'a class'
}
