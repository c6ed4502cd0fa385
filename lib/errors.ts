import { createError } from '@fastify/error'

/**
 * The classes of every error that this package throws, keyed by code, for `instanceof` and for tests.
 * They are made with `@fastify/error`: `code`, `statusCode` and `message` are set.
 *
 * @example
 * if (error instanceof errors.FST_SESSION_TOO_LARGE) { … }
 */
export const errors = Object.freeze({
  /** 500: `request.session` was read where the plugin is not registered; the message says what to add. */
  FST_SESSION_NOT_REGISTERED: createError<[name: string, advice: string]>(
    'FST_SESSION_NOT_REGISTERED', 'The session plugin must be registered to access request.%s. %s', 500),
  /** 500, at boot: no secret was given. */
  FST_SESSION_SECRET_MISSING: createError<[option: string]>(
    'FST_SESSION_SECRET_MISSING',
    'Option "%s" is missing. Generate a secret with `npx fastify-sealed-session keygen`, keep it in the environment ' +
    '(SESSION_SECRET=… node server.js) and pass it as { secret: process.env.SESSION_SECRET }', 500),
  /** 500, at boot: a secret is too short, or guessable. */
  FST_SESSION_SECRET_WEAK: createError<[option: string, accepted: string, got: string]>(
    'FST_SESSION_SECRET_WEAK', 'Option "%s" is too weak: %s; got %s. `npx fastify-sealed-session keygen` generates a strong one', 500),
  /** 500: an option, or an argument of a session's method, has an unknown name, a wrong type or a wrong value. */
  FST_SESSION_INVALID_OPTION: createError<[option: string, fault: string]>(
    'FST_SESSION_INVALID_OPTION', 'Option "%s" %s', 500),
  /** 500, at boot: the cookie's name violates RFC 6265, or the rules of its `__Host-` or `__Secure-` prefix. */
  FST_SESSION_COOKIE_NAME: createError<[name: string, rule: string]>(
    'FST_SESSION_COOKIE_NAME', 'The cookie name %s is invalid: %s', 500),
  /** 500, when saving: the sealed session does not fit into `maxCookies` cookies of 4096 bytes. */
  FST_SESSION_TOO_LARGE: createError<[size: number, limit: number, cookies: number, largest: string]>(
    'FST_SESSION_TOO_LARGE',
    'The sealed session needs %d bytes of cookies, and the limit is %d (maxCookies: %d). Largest keys, in bytes: %s. ' +
    'Keep less in the session, raise maxCookies, or keep it in a store (options "store" and "storage")', 500),
  /** 500, when saving: a value would be changed or dropped by JSON. */
  FST_SESSION_NOT_SERIALIZABLE: createError<[path: string, what: string, options?: { cause: unknown }]>(
    'FST_SESSION_NOT_SERIALIZABLE', 'Session value at "%s" is %s: only JSON values (string, finite number, boolean, null, plain object, array) can be stored', 500),
  /** 500: a key would hide a member of the session, or `request.session` itself was assigned. */
  FST_SESSION_RESERVED_KEY: createError<[advice: string]>('FST_SESSION_RESERVED_KEY', '%s', 500),
  /** 503: the store or `isRevoked` failed or took too long; `cause` is the original error. */
  FST_SESSION_STORE: createError<[call: string, what: string, options?: { cause: unknown }]>(
    'FST_SESSION_STORE', 'The session store is not available: %s %s', 503)
})
