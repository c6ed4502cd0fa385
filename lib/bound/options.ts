import type { DeviceBoundOptions } from '../../types/index.js'
import { overrideAttributes, parseCookieName } from '../cookie/attributes.js'
import type { CookieAttributes } from '../cookie/attributes.js'
import { invalid, parseBoolean, parseInteger, parseNames, refused } from '../options/checks.js'

/** The option `deviceBound`, checked and complete. */
export interface BoundConfig {
  readonly when: DeviceBoundOptions['when']
  /** Seconds */
  readonly timeout: number
  /** Seconds */
  readonly challengeTimeout: number
  readonly path: string
  readonly cookieName: string
  /** The cookie that says that binding was offered */
  readonly offerName: string
  readonly reload: boolean
  /** Seconds */
  readonly required: number | false
}

const NAMES: ReadonlyArray<keyof DeviceBoundOptions> = ['when', 'timeout', 'challengeTimeout', 'path', 'cookieName', 'reload', 'required']

/** Browsers refresh a proof when two minutes are left, and sign six times in nine minutes at most: a shorter one would spend that. */
const MIN_TIMEOUT = 300
const MAX_TIMEOUT = 86_400
const MAX_REQUIRED = 34_560_000

/** @throws FST_SESSION_INVALID_OPTION, FST_SESSION_COOKIE_NAME */
export function parseDeviceBound (
  given: DeviceBoundOptions, sessionCookie: string, attributes: CookieAttributes, interop: false | 'iron' | 'iron-session'
): BoundConfig {
  parseNames('deviceBound', given, NAMES)
  const { when, timeout = 600, challengeTimeout = 60, path = '/dbsc', cookieName = `${sessionCookie}-bound`, reload = true, required = false } = given
  if (typeof when !== 'function') throw invalid('deviceBound.when', 'a function that says which sessions are bound', when)
  if (typeof path !== 'string' || !/^(?:\/[\w.~-]+)+$/.test(path)) throw invalid('deviceBound.path', 'a path such as /dbsc', path)
  if (cookieName === sessionCookie) throw refused('deviceBound.cookieName', 'the session\'s cookie has this name. Give the proof a name of its own')
  if (interop === 'iron-session') throw refused('deviceBound', 'iron-session\'s cookie has no room for the key of a device')
  if (attributes.partitioned) throw refused('deviceBound', 'browsers bind no cookie that is partitioned')
  if (attributes.secure === false) throw refused('deviceBound', 'browsers bind cookies over HTTPS only. Leave cookie.secure out')
  // A browser refreshes a proof for the origin that it was registered at: at other hosts of the domain the session would come unproven.
  if (attributes.domain !== undefined) throw refused('deviceBound', 'a cookie with cookie.domain goes to hosts that cannot refresh the proof')
  // Its prefix may ask for attributes that it does not have; it is always secure.
  overrideAttributes(parseCookieName(cookieName), attributes, { secure: true })
  return Object.freeze({
    when,
    timeout: parseInteger('deviceBound.timeout', timeout, MIN_TIMEOUT, MAX_TIMEOUT),
    challengeTimeout: parseInteger('deviceBound.challengeTimeout', challengeTimeout, 10, MIN_TIMEOUT),
    path,
    cookieName,
    offerName: `${cookieName}-offered`,
    reload: parseBoolean('deviceBound.reload', reload),
    required: required === false ? false : parseInteger('deviceBound.required', required, 1, MAX_REQUIRED)
  })
}
