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

/**
 * A cookie name is a token (RFC 6265, section 4.1.1; RFC 9110, section 5.6.2).
 * @throws FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME
 */
export function parseCookieName (name: unknown): string {
  if (typeof name !== 'string') throw invalid('cookieName', 'a string', name)
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new errors.FST_SESSION_COOKIE_NAME(describe(name), 'RFC 6265 allows letters, digits and !#$%&\'*+-.^_`|~')
  }
  return name
}

/**
 * The registered attributes.
 * @throws FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME
 */
export function parseCookieOptions (cookieName: string, given: SessionCookieOptions): CookieAttributes {
  for (const lifetime of LIFETIMES) {
    if (lifetime in Object(given)) throw refused(`cookie.${lifetime}`, 'set idleTimeout instead, or persistent: false for a cookie that ends with the browser')
  }
  parseNames('cookie', given, NAMES)
  return withRules(cookieName, given)
}

/** The attributes of one response: those of `given` over the registered ones. Unknown keys are ignored. */
export function overrideAttributes (
  cookieName: string, registered: CookieAttributes, given: SessionCookieOptions
): CookieAttributes {
  return withRules(cookieName, { ...registered, ...pick(given) })
}

function pick (given: SessionCookieOptions): SessionCookieOptions {
  return Object.fromEntries(NAMES.filter(name => given[name] !== undefined).map(name => [name, given[name]]))
}

/** Takes any case, because the attribute is written `Lax`, and other packages accept that. */
function parseSameSite (given: SessionCookieOptions['sameSite'] = 'lax'): CookieAttributes['sameSite'] {
  const sameSite = typeof given === 'string' ? given.toLowerCase() as 'lax' | 'strict' | 'none' : given
  if (!['lax', 'strict', 'none', true, false].includes(sameSite)) throw invalid('cookie.sameSite', 'lax, strict, none, true or false', given)
  return sameSite
}

function withRules (cookieName: string, given: SessionCookieOptions): CookieAttributes {
  const { path = '/', domain, httpOnly = true, priority, partitioned = false } = given
  const sameSite = parseSameSite(given.sameSite)
  // av-octets are printable ASCII characters except the semicolon (RFC 6265, section 4.1.1).
  if (typeof path !== 'string' || !/^\/[\x20-\x3a\x3c-\x7e]*$/.test(path)) throw invalid('cookie.path', 'a path that starts with /', path)
  if (domain !== undefined && !(typeof domain === 'string' && /^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i.test(domain))) {
    throw invalid('cookie.domain', 'a domain name without scheme, port or path', domain)
  }
  parseBoolean('cookie.httpOnly', httpOnly)
  parseBoolean('cookie.partitioned', partitioned)
  if (![undefined, 'low', 'medium', 'high'].includes(priority)) throw invalid('cookie.priority', 'low, medium or high', priority)

  // Browsers match the prefixes case-insensitively and drop a cookie that violates their rules, so it is an error at boot.
  const prefixed = /^__(?:host|secure)-/i.test(cookieName)
  const mustBeSecure = prefixed || sameSite === 'none' || partitioned
  const secure = given.secure ?? (mustBeSecure || process.env.NODE_ENV === 'production' ? true : 'auto')
  if (![true, false, 'auto'].includes(secure)) throw invalid('cookie.secure', 'true, false or auto', secure)
  if (sameSite === 'none' && secure !== true) throw invalid('cookie.secure', 'true with sameSite: none', secure)
  if (partitioned && secure !== true) throw invalid('cookie.secure', 'true with partitioned: true', secure)
  if (prefixed && secure !== true) throw new errors.FST_SESSION_COOKIE_NAME(describe(cookieName), 'its prefix requires cookie.secure: true')
  if (/^__host-/i.test(cookieName) && (path !== '/' || domain !== undefined)) {
    throw new errors.FST_SESSION_COOKIE_NAME(describe(cookieName), 'its prefix requires cookie.path: \'/\' and no cookie.domain')
  }
  return Object.freeze({ path, domain, httpOnly, sameSite, secure, priority, partitioned })
}
