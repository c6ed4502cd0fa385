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

/** The error for a key that would hide a member of the session. */
export function reservedKeyError (key: string): Error {
  return new errors.FST_SESSION_RESERVED_KEY(
    `Session key "${key}" is refused: session.${key} is a member of the session. Use another name`)
}

/**
 * The data as JSON, checked to come back as it went in.
 * @throws FST_SESSION_NOT_SERIALIZABLE with the path of the value, FST_SESSION_RESERVED_KEY
 */
export function serialize (data: object): string {
  const key = findReservedKey(data)
  if (key !== undefined) throw reservedKeyError(key)
  try {
    for (const key of Object.keys(data)) check((data as Record<string, unknown>)[key], name(key), [data])
    return JSON.stringify(data)
  } catch (error) {
    if (error instanceof errors.FST_SESSION_NOT_SERIALIZABLE) throw error
    // A getter of the app's threw, or the nesting is too deep for the stack.
    throw new errors.FST_SESSION_NOT_SERIALIZABLE('session', 'not readable', { cause: error })
  }
}

/** Refuses what JSON would change or drop. `undefined` in an object is left out, as an unset key is. */
function check (value: unknown, path: string, parents: readonly unknown[]): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return
    case 'number':
      if (Number.isFinite(value)) return
      throw new errors.FST_SESSION_NOT_SERIALIZABLE(path, String(value))
    case 'object':
      break
    default:
      throw new errors.FST_SESSION_NOT_SERIALIZABLE(path, `a ${typeof value}`)
  }
  if (value === null) return
  if (parents.includes(value)) throw new errors.FST_SESSION_NOT_SERIALIZABLE(path, 'a cycle')
  const below = [...parents, value]
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      if (value[at] === undefined) throw new errors.FST_SESSION_NOT_SERIALIZABLE(`${path}[${at}]`, 'undefined')
      check(value[at], `${path}[${at}]`, below)
    }
    return
  }
  if (!isPlain(value)) throw new errors.FST_SESSION_NOT_SERIALIZABLE(path, `an instance of ${className(value)}`)
  for (const key of Object.keys(value)) {
    check((value as Record<string, unknown>)[key], path + (isName(key) ? `.${key}` : name(key)), below)
  }
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

function isName (key: string): boolean {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
}

function name (key: string): string {
  return isName(key) ? key : `[${JSON.stringify(key)}]`
}
