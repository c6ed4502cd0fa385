import { types } from 'node:util'
import type {
  IronOptions, RevocationCheck, RevocationList, Secret, SealerOptions, SecretValue, SessionOptions, SessionStore, StandardSchema
} from '../types/index.js'
import { parseCookieName, parseCookieOptions } from './attributes.js'
import type { CookieAttributes } from './attributes.js'
import { invalid, MIN_SECRET, parseBoolean, parseInteger, parseNames, parseTimeout, refused } from './checks.js'
import { errors } from './errors.js'
import { fingerprint, guessable, Keyring } from './keyring.js'
import type { Key } from './keyring.js'
import { validate } from './schema.js'
import { parseStore, STORE_METHODS } from './store.js'

/** What sealing needs to know; made by `parseSealerOptions`. */
export interface SealerConfig {
  readonly keyring: Keyring
  readonly sessionName: string
  /** Seconds */
  readonly idleTimeout: number
  /** Seconds */
  readonly absoluteTimeout: number | false
  readonly iron: IronOptions | undefined
  readonly cacheSize: number
  readonly storage: 'cookie' | 'store' | 'overflow'
  readonly interop: false | 'iron' | 'iron-session'
  readonly schema: StandardSchema | undefined
}

/** The options of a registration, checked and complete. Nothing in it is the caller's own object. */
export interface SessionConfig extends SealerConfig {
  readonly cookieName: string
  readonly cookie: CookieAttributes
  readonly rolling: boolean
  readonly persistent: boolean
  readonly maxCookies: number
  readonly cacheHeaders: boolean
  readonly store: SessionStore | undefined
  /** Seconds */
  readonly storeTimeout: number
  readonly isRevoked: RevocationCheck | RevocationList | undefined
}

const SEALER_NAMES = ['secret', 'sessionName', 'idleTimeout', 'absoluteTimeout', 'interop', 'iron', 'schema', 'cacheSize']
export const PLUGIN_NAMES = [
  ...SEALER_NAMES, 'cookieName', 'cookie', 'rolling', 'persistent', 'maxCookies', 'cacheHeaders',
  'store', 'storage', 'storeTimeout', 'isRevoked'
]
/** Fastify's own, which it hands on to every plugin. */
const FASTIFY_NAMES = ['prefix', 'logLevel', 'logSerializers']

/** @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION */
export function parseSealerOptions (options: SealerOptions): SealerConfig {
  parseNames('options', options, SEALER_NAMES)
  return Object.freeze(parseSealing(options))
}

/** @throws what `parseSealerOptions` does, and FST_SESSION_COOKIE_NAME */
export function parseSessionOptions (options: SessionOptions): SessionConfig {
  parseNames('options', options, PLUGIN_NAMES, FASTIFY_NAMES)
  const sealing = parseSealing(options)
  const {
    cookieName = sealing.sessionName, cookie = {}, rolling = true, persistent = true, maxCookies = 1, cacheHeaders = true,
    storeTimeout = 5 // seconds
  } = options
  return Object.freeze({
    ...sealing,
    cookieName: parseCookieName(cookieName),
    cookie: parseCookieOptions(cookieName, cookie),
    rolling: parseBoolean('rolling', rolling),
    persistent: parseBoolean('persistent', persistent),
    maxCookies: parseInteger('maxCookies', maxCookies, 1, 8),
    cacheHeaders: parseBoolean('cacheHeaders', cacheHeaders),
    store: options.store === undefined ? undefined : parseStore('store', options.store, STORE_METHODS),
    storage: parseStorage(options),
    storeTimeout: parseStoreTimeout(storeTimeout),
    isRevoked: parseRevocation(options.isRevoked)
  })
}

function parseStorage ({ store, interop, storage = store === undefined ? 'cookie' : 'store' }: SessionOptions): SealerConfig['storage'] {
  oneOf('cookie', 'store', 'overflow')('storage', storage)
  if (storage === 'cookie' && store !== undefined) {
    throw refused('storage', 'a store would be left unused. Leave it out, or choose store or overflow')
  }
  if (storage !== 'cookie' && interop === 'iron-session') throw refused('store', 'iron-session looks for the data in the cookie')
  if (storage !== 'cookie' && store === undefined) throw refused('storage', `${storage} needs a store`)
  return storage
}

/** Timers know no more than 24 days; an hour is more than any request waits. */
function parseStoreTimeout (given: number): number {
  const accepted = 'a number of seconds above 0, 3600 at most'
  if (parseTimeout('storeTimeout', given, accepted) > 3600) throw invalid('storeTimeout', accepted, given)
  return given
}

function parseSchema (given: StandardSchema | undefined): StandardSchema | undefined {
  if (given === undefined) return undefined
  // Some are functions: arktype's.
  if (typeof (Object(given) as Partial<StandardSchema>)['~standard']?.validate !== 'function') {
    throw invalid('schema', 'a Standard Schema (zod, valibot, arktype and others)', given)
  }
  try {
    validate(given, {})
  } catch (error) {
    // An empty session tells whether it answers at once; what else it makes of it does not matter here.
    if (error instanceof errors.FST_SESSION_INVALID_OPTION) throw error
  }
  return given
}

function parseRevocation (given: SessionOptions['isRevoked']): SessionConfig['isRevoked'] {
  if (given === undefined || typeof given === 'function') return given
  const { check, revoke } = Object(given) as Partial<RevocationList>
  if (typeof check !== 'function' || typeof revoke !== 'function') throw invalid('isRevoked', 'a function, or { check, revoke }', given)
  return given
}

function parseSealing (options: SealerOptions): SealerConfig {
  const {
    secret,
    sessionName = 'session',
    idleTimeout = 1_209_600, // seconds: 14 days
    absoluteTimeout = 7_776_000, // seconds: 90 days
    interop = false,
    iron,
    schema,
    cacheSize = 1000 // entries
  } = options
  oneOf(false, 'iron', 'iron-session')('interop', interop)
  const keyring = new Keyring(parseSecrets(secret, interop === 'iron-session'), interop !== false)
  if (typeof sessionName !== 'string' || sessionName === '') throw invalid('sessionName', 'a name', sessionName)
  return {
    keyring,
    sessionName,
    idleTimeout: parseTimeout('idleTimeout', idleTimeout),
    absoluteTimeout: absoluteTimeout === false
      ? false
      : parseTimeout('absoluteTimeout', absoluteTimeout, 'a number of seconds above 0, or false'),
    interop,
    iron: parseIron(iron, keyring, interop),
    schema: parseSchema(schema),
    cacheSize: parseInteger('cacheSize', cacheSize, 0, 1e7),
    storage: 'cookie'
  }
}

/** @param numbered whether ids are numbers where none are given, from the oldest, as iron-session has them */
function parseSecrets (option: SealerOptions['secret'], numbered: boolean): [Key, ...Key[]] {
  const list = Array.isArray(option) ? option as Secret[] : [option as Secret | undefined]
  const keys = list.map((secret, at) => parseSecret(
    secret, Array.isArray(option) ? `secret[${at}]` : 'secret', numbered ? () => `${list.length - at}` : fingerprint))
  const ids = new Set<string>()
  for (const { id } of keys) {
    if (ids.has(id)) throw refused('secret', `two secrets have the id "${id}"`)
    ids.add(id)
  }
  const [newest, ...older] = keys
  if (newest === undefined) throw new errors.FST_SESSION_SECRET_MISSING('secret')
  return [newest, ...older]
}

function parseSecret (given: unknown, option: string, idOf: (secret: SecretValue) => string): Key {
  if (typeof given !== 'object' || given === null || types.isUint8Array(given)) {
    const secret = parseSecretValue(given, option)
    return { id: idOf(secret), nameless: true, secret }
  }
  parseNames(option, given, ['id', 'secret'])
  const { id, secret } = given as { id?: unknown, secret?: unknown }
  if (typeof id !== 'string' || !/^\w+$/.test(id)) {
    throw invalid(`${option}.id`, 'letters, digits and underscores', id)
  }
  return { id, secret: parseSecretValue(secret, `${option}.secret`) }
}

function parseSecretValue (given: unknown, option: string): SecretValue {
  const secret = parseLength(given, option)
  const flaw = guessable(secret)
  if (flaw !== undefined) throw new errors.FST_SESSION_SECRET_WEAK(option, 'it must not be one that can be guessed', flaw)
  return secret
}

/** Nothing of the value goes into an error. */
function parseLength (given: unknown, option: string): SecretValue {
  if (given === undefined || given === null || given === '') throw new errors.FST_SESSION_SECRET_MISSING(option)
  if (typeof given === 'string') {
    if (given.length >= MIN_SECRET) return given
    throw new errors.FST_SESSION_SECRET_WEAK(option, `a text needs ${MIN_SECRET} characters or more`, `${given.length}`)
  }
  if (types.isUint8Array(given)) {
    if (given.length === 32) return Uint8Array.from(given)
    throw new errors.FST_SESSION_SECRET_WEAK(option, 'bytes must be exactly 32, the raw key', `${given.length}`)
  }
  throw new errors.FST_SESSION_INVALID_OPTION(
    option, `must be a text of ${MIN_SECRET} characters or more, 32 bytes, { id, secret }, or an array of these; got a ${typeof given}`)
}

type Check = (option: string, value: unknown) => unknown
const count: Check = (option, value) => parseInteger(option, value, 1, 2 ** 31 - 1)
const oneOf = (...names: Array<string | false>): Check => (option, value) => {
  if (!names.includes(value as string)) throw invalid(option, names.join(' or '), value)
}
const callable: Check = (option, value) => {
  if (typeof value !== 'function') throw invalid(option, 'a function', value)
}
const saltBits: Check = (option, value) => {
  if (parseInteger(option, value, 8, 2 ** 16) % 8 !== 0) throw invalid(option, 'a multiple of 8', value)
}
const derivation = { iterations: count, saltBits, minPasswordlength: count }
const IRON: Record<string, Check | Record<string, Check>> = {
  encryption: { algorithm: oneOf('aes-256-cbc', 'aes-128-ctr'), ...derivation },
  integrity: { algorithm: oneOf('sha256'), ...derivation },
  timestampSkewSec: (option, value) => parseInteger(option, value, 0, 2 ** 31 - 1),
  localtimeOffsetMsec: (option, value) => parseInteger(option, value, -1e12, 1e12),
  encode: callable,
  decode: callable
}

/** A copy of the parameters, or `undefined` where none is given and the default engine serves. */
function parseIron (iron: IronOptions | undefined, keyring: Keyring, interop: SealerConfig['interop']): IronOptions | undefined {
  if (iron === undefined) return undefined
  if ('ttl' in Object(iron)) throw refused('iron.ttl', 'set idleTimeout instead')
  if (interop === 'iron-session') throw refused('iron', 'iron-session knows Iron\'s default parameters only')
  const copy = parseGroup('iron', iron, IRON) as IronOptions
  for (const group of ['encryption', 'integrity'] as const) {
    const shortest = Math.min(...keyring.all.map(({ secret }) => typeof secret === 'string' ? secret.length : Infinity))
    const least = copy[group]?.minPasswordlength ?? 0
    if (least > shortest) throw invalid(`iron.${group}.minPasswordlength`, `at most ${shortest}, the length of the shortest secret`, least)
  }
  if (copy.encryption?.algorithm === 'aes-128-ctr' && keyring.all.some(({ secret }) => typeof secret !== 'string')) {
    throw refused('iron.encryption.algorithm', 'aes-128-ctr cannot use a secret of 32 bytes')
  }
  return Object.keys(copy).length === 0 ? undefined : copy
}

function parseGroup (option: string, given: object, checks: Record<string, Check | Record<string, Check>>): object {
  parseNames(option, given, Object.keys(checks))
  const copy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    const check = checks[name]!
    if (typeof check === 'function') {
      check(`${option}.${name}`, value)
      copy[name] = value
    } else {
      copy[name] = parseGroup(`${option}.${name}`, value as object, check)
    }
  }
  return copy
}
