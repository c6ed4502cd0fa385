import type {
  IronOptions, RevocationCheck, RevocationList, SealerOptions, SessionOptions, SessionStore, StandardSchema
} from '../../types/index.js'
import { parseDeviceBound } from '../bound/options.js'
import type { BoundConfig } from '../bound/options.js'
import { parseCookieName, parseCookieOptions } from '../cookie/attributes.js'
import type { CookieAttributes } from '../cookie/attributes.js'
import { invalid, oneOf, parseBoolean, parseIdleTimeout, parseInteger, parseNames, parseTimeout, refused } from './checks.js'
import { errors } from '../errors.js'
import { parseIron } from './iron-options.js'
import { Keyring } from '../seal/keyring.js'
import { validate } from '../schema.js'
import { parseSecrets } from './secrets.js'
import { canFind, parseStore, STORE_METHODS } from '../store/client.js'

/** The options of sealing, checked and complete. */
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
  /** Whether sessions that are bound to a device are known here */
  readonly opensBound: boolean
}

/** The options of a registration, checked and complete. Plain objects and arrays of the caller are copied. */
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
  readonly userOf: SessionOptions['userOf']
  readonly maxSessions: number | undefined
  readonly deviceBound: BoundConfig | undefined
}

const SEALER_NAMES = ['secret', 'sessionName', 'idleTimeout', 'absoluteTimeout', 'interop', 'iron', 'schema', 'cacheSize']
export const PLUGIN_NAMES = [
  ...SEALER_NAMES, 'cookieName', 'cookie', 'rolling', 'persistent', 'maxCookies', 'cacheHeaders',
  'store', 'storage', 'storeTimeout', 'isRevoked', 'userOf', 'maxSessions', 'deviceBound'
]
/** Fastify's own options, which it passes to every plugin. */
const FASTIFY_NAMES = ['prefix', 'logLevel', 'logSerializers']

/** @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION */
export function parseSealerOptions (options: SealerOptions): SealerConfig {
  parseNames('options', options, SEALER_NAMES)
  return Object.freeze(parseSealing(options))
}

/** @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME */
export function parseSessionOptions (options: SessionOptions): SessionConfig {
  parseNames('options', options, PLUGIN_NAMES, FASTIFY_NAMES)
  const sealing = parseSealing(options)
  const {
    cookieName = sealing.sessionName, cookie = {}, rolling = true, persistent = true, maxCookies = 1, cacheHeaders = true,
    storeTimeout = 5 // seconds
  } = options
  const storage = parseStorage(options)
  parseCookieName(cookieName)
  const attributes = parseCookieOptions(cookieName, cookie)
  const deviceBound = options.deviceBound === undefined
    ? undefined
    : parseDeviceBound(options.deviceBound, cookieName, attributes, sealing.interop)
  return Object.freeze({
    ...sealing,
    cookieName,
    cookie: attributes,
    rolling: parseBoolean('rolling', rolling),
    persistent: parseBoolean('persistent', persistent),
    maxCookies: parseInteger('maxCookies', maxCookies, 1, 8),
    cacheHeaders: parseBoolean('cacheHeaders', cacheHeaders),
    store: options.store === undefined ? undefined : parseStore('store', options.store, STORE_METHODS),
    storage,
    storeTimeout: parseStoreTimeout(storeTimeout),
    isRevoked: parseRevocation(options.isRevoked),
    userOf: parseUserOf(options, storage),
    maxSessions: parseMaxSessions(options, storage),
    deviceBound,
    opensBound: deviceBound !== undefined
  })
}

/** Whether the store can find the sessions of a user, and all of them are there. */
export function findsUsers ({ store, storage }: { store?: SessionStore | undefined, storage: SealerConfig['storage'] }): boolean {
  return store !== undefined && storage === 'store' && canFind(store)
}

function parseUserOf ({ userOf, store, isRevoked }: SessionOptions, storage: SealerConfig['storage']): SessionConfig['userOf'] {
  if (userOf === undefined) return undefined
  if (typeof userOf !== 'function') throw invalid('userOf', 'a function that returns a string or undefined', userOf)
  if (findsUsers({ store, storage })) return userOf
  if (typeof (Object(isRevoked) as Partial<RevocationList>).revokeUser === 'function') return userOf
  throw refused('userOf', storage === 'overflow'
    ? 'with storage: \'overflow\' the store does not know of all sessions. Add isRevoked: denylist(store), or choose storage: \'store\''
    : 'nothing here can find the sessions of a user. Use a store that can (redisStore of fastify-sealed-session/redis, postgresStore of ' +
      'fastify-sealed-session/postgres), or, for sessions in cookies, isRevoked: denylist(store)')
}

function parseMaxSessions ({ maxSessions, userOf, store }: SessionOptions, storage: SealerConfig['storage']): number | undefined {
  if (maxSessions === undefined) return undefined
  if (userOf === undefined) throw refused('maxSessions', 'it needs userOf, which tells whose a session is')
  if (!findsUsers({ store, storage })) throw refused('maxSessions', 'it needs a store that can find the sessions of a user: redisStore and postgresStore can')
  return parseInteger('maxSessions', maxSessions, 1, 1e6)
}

function parseStorage ({ store, interop, storage = store === undefined ? 'cookie' : 'store' }: SessionOptions): SealerConfig['storage'] {
  oneOf('cookie', 'store', 'overflow')('storage', storage)
  if (storage === 'cookie' && store !== undefined) {
    throw refused('storage', 'the store would not be used. Leave `storage` out, or choose store or overflow')
  }
  if (storage === 'store' && interop === 'iron') throw refused('interop', 'with storage: \'store\', a cookie that holds data is not a session. Use overflow')
  if (storage !== 'cookie' && interop === 'iron-session') throw refused('store', 'iron-session reads the data from the cookie')
  if (storage !== 'cookie' && store === undefined) throw refused('storage', `${storage} needs a store`)
  return storage
}

/** Node's timers are limited to 24 days; no request waits longer than an hour. */
function parseStoreTimeout (given: number): number {
  const accepted = 'a number of seconds above 0, at most 3600'
  if (parseTimeout('storeTimeout', given, accepted) > 3600) throw invalid('storeTimeout', accepted, given)
  return given
}

function parseSchema (given: StandardSchema | undefined): StandardSchema | undefined {
  if (given === undefined) return undefined
  // Some schemas are functions, arktype's for example.
  if (typeof (Object(given) as Partial<StandardSchema>)['~standard']?.validate !== 'function') {
    throw invalid('schema', 'a Standard Schema (zod, valibot, arktype and others)', given)
  }
  try {
    validate(given, {})
  } catch (error) {
    // Validating an empty session shows whether the schema is synchronous. Any other error does not matter here.
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

/** An explicit value above the absolute timeout is a mistake; the default may exceed a short absolute timeout. */
function parseIdle ({ idleTimeout }: SealerOptions, absoluteTimeout: number | false): number {
  if (idleTimeout === undefined) return 1_209_600 // seconds: 14 days
  const idle = parseIdleTimeout('idleTimeout', idleTimeout)
  if (absoluteTimeout !== false && idle > absoluteTimeout) {
    throw invalid('idleTimeout', `at most absoluteTimeout, which is ${absoluteTimeout} seconds`, idleTimeout)
  }
  return idle
}

function parseSealing (options: SealerOptions): SealerConfig {
  const {
    secret,
    sessionName = 'session',
    absoluteTimeout = 7_776_000, // seconds: 90 days
    interop = false,
    iron,
    schema,
    cacheSize = 4000 // entries
  } = options
  oneOf(false, 'iron', 'iron-session')('interop', interop)
  const keyring = new Keyring(parseSecrets(secret, interop === 'iron-session'), interop !== false)
  if (typeof sessionName !== 'string' || sessionName === '') throw invalid('sessionName', 'a non-empty string', sessionName)
  const absolute = absoluteTimeout === false ? false : parseTimeout('absoluteTimeout', absoluteTimeout, 'a number of seconds above 0, or false')
  return {
    keyring,
    sessionName,
    idleTimeout: parseIdle(options, absolute),
    absoluteTimeout: absolute,
    interop,
    iron: parseIron(iron, keyring, interop),
    schema: parseSchema(schema),
    cacheSize: parseInteger('cacheSize', cacheSize, 0, 1e7),
    storage: 'cookie',
    opensBound: false
  }
}
