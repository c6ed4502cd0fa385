import type { SessionCookieOptions } from '../../types/index.js'
import { describe, invalid, parseBoolean, parseNames, refused } from '../options/checks.js'
import { errors } from '../errors.js'

/** Cookie attributes, checked and complete. */
export interface CookieAttributes {
  readonly path: string
  readonly domain: string | undefined
  readonly httpOnly: boolean
  readonly sameSite: 'lax' | 'strict' | 'none' | boolean
  readonly secure: boolean | 'auto'
  readonly priority: 'low' | 'medium' | 'high' | undefined
  readonly partitioned: boolean
}

const NAMES: ReadonlyArray<keyof CookieAttributes> =
  ['path', 'domain', 'httpOnly', 'sameSite', 'secure', 'priority', 'partitioned']
const LIFETIMES = ['maxAge', 'expires']

/** RFC 6265, section 4.1.1: a cookie's name is a token of RFC 9110, section 5.6.2. */
export function parseCookieName (name: unknown): string {
  if (typeof name !== 'string') throw invalid('cookieName', 'a text', name)
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new errors.FST_SESSION_COOKIE_NAME(describe(name), 'RFC 6265 allows letters, digits and !#$%&\'*+-.^_`|~')
  }
  return name
}

/** @throws FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME */
export function parseCookieOptions (cookieName: string, given: SessionCookieOptions): CookieAttributes {
  for (const lifetime of LIFETIMES) {
    if (lifetime in Object(given)) throw refused(`cookie.${lifetime}`, 'set idleTimeout instead, or persistent: false')
  }
  parseNames('cookie', given, NAMES)
  return withRules(cookieName, given)
}

/** The attributes of one response: those of `given` that are known over the registered ones. */
export function overrideAttributes (
  cookieName: string, registered: CookieAttributes, given: SessionCookieOptions
): CookieAttributes {
  return withRules(cookieName, { ...registered, ...pick(given) })
}

function pick (given: SessionCookieOptions): SessionCookieOptions {
  return Object.fromEntries(NAMES.filter(name => given[name] !== undefined).map(name => [name, given[name]]))
}

/** In any case: `'Lax'` is how the attribute is written, and what other packages take. */
function parseSameSite (given: SessionCookieOptions['sameSite'] = 'lax'): CookieAttributes['sameSite'] {
  const sameSite = typeof given === 'string' ? given.toLowerCase() as 'lax' | 'strict' | 'none' : given
  if (!['lax', 'strict', 'none', true, false].includes(sameSite)) throw invalid('cookie.sameSite', 'lax, strict, none, true or false', given)
  return sameSite
}

function withRules (cookieName: string, given: SessionCookieOptions): CookieAttributes {
  const { path = '/', domain, httpOnly = true, priority, partitioned = false } = given
  const sameSite = parseSameSite(given.sameSite)
  // RFC 6265, section 4.1.1: av-octets are visible characters and spaces but for the semicolon.
  if (typeof path !== 'string' || !/^\/[\x20-\x3a\x3c-\x7e]*$/.test(path)) throw invalid('cookie.path', 'a path that starts with /', path)
  if (domain !== undefined && !(typeof domain === 'string' && /^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i.test(domain))) {
    throw invalid('cookie.domain', 'a domain name without scheme, port or path', domain)
  }
  parseBoolean('cookie.httpOnly', httpOnly)
  parseBoolean('cookie.partitioned', partitioned)
  if (![undefined, 'low', 'medium', 'high'].includes(priority)) throw invalid('cookie.priority', 'low, medium or high', priority)

  // Browsers know the prefixes in any case, and drop what breaks a rule: better to hear of it at boot.
  const prefixed = /^__(?:host|secure)-/i.test(cookieName)
  const mustBeSecure = prefixed || sameSite === 'none' || partitioned
  const secure = given.secure ?? (mustBeSecure || process.env.NODE_ENV === 'production' ? true : 'auto')
  if (![true, false, 'auto'].includes(secure)) throw invalid('cookie.secure', 'true, false or auto', secure)
  if (sameSite === 'none' && secure !== true) throw invalid('cookie.secure', 'true beside sameSite: none', secure)
  if (partitioned && secure !== true) throw invalid('cookie.secure', 'true beside partitioned', secure)
  if (prefixed && secure !== true) throw new errors.FST_SESSION_COOKIE_NAME(describe(cookieName), 'its prefix needs cookie.secure to be true')
  if (/^__host-/i.test(cookieName) && (path !== '/' || domain !== undefined)) {
    throw new errors.FST_SESSION_COOKIE_NAME(describe(cookieName), 'its prefix needs cookie.path to be / and no cookie.domain')
  }
  return Object.freeze({ path, domain, httpOnly, sameSite, secure, priority, partitioned })
}
