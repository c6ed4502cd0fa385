import { errors } from '../errors.js'
import { suggest } from './suggestions.js'

/** The longest absolute timeout in seconds, about three thousand years: far beyond it, a Date could not hold the end. */
export const MAX_SECONDS = 1e11

/** The longest idle timeout in seconds, 400 days: browsers keep no cookie longer (RFC 6265bis, section 5.5). */
export const MAX_IDLE = 34_560_000

/** The fewest characters of a secret that is a string. */
export const MIN_SECRET = 32

/** What was given, in a few words. A long string is not shown: it may be a secret passed to the wrong option. */
export function describe (value: unknown): string {
  if (typeof value === 'string') return value.length < MIN_SECRET ? JSON.stringify(value) : `a string of ${value.length} characters`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'function') return 'a function'
  return String(value)
}

/** The error for an option of a wrong type or value: its name, what is accepted, what was given. */
export function invalid (option: string, accepted: string, given: unknown): Error {
  return new errors.FST_SESSION_INVALID_OPTION(option, `must be ${accepted}; got ${describe(given)}`)
}

/** The error for an option that cannot be used here: why not, or what to use instead. */
export function refused (option: string, fault: string): Error {
  return new errors.FST_SESSION_INVALID_OPTION(option, `is invalid: ${fault}`)
}

/** @throws FST_SESSION_INVALID_OPTION for an unknown name, since a misspelt option would otherwise be ignored silently */
export function parseNames (option: string, given: unknown, known: readonly string[], more: readonly string[] = []): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(option, 'an object', given)
  }
  for (const name of Object.keys(given)) {
    if (known.includes(name) || more.includes(name)) continue
    const full = option === 'options' ? name : `${option}.${name}`
    throw new errors.FST_SESSION_INVALID_OPTION(full, `is unknown. ${suggest(full, name, known)}`)
  }
}

export function parseBoolean (option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(option, 'true or false', value)
  return value
}

export function parseInteger (option: string, value: unknown, least: number, most: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalid(option, `a whole number from ${least} to ${most}`, value)
  }
  return value as number
}

/** A timeout in seconds. */
export function parseTimeout (option: string, value: unknown, accepted = 'a number of seconds above 0'): number {
  if (typeof value !== 'number' || !(value > 0 && value <= MAX_SECONDS)) throw invalid(option, accepted, value)
  return value
}

/** An idle timeout in seconds. */
export function parseIdleTimeout (option: string, value: unknown, accepted = 'a number of seconds above 0'): number {
  if (typeof value === 'number' && value > MAX_IDLE) throw invalid(option, `at most ${MAX_IDLE} (400 days; is it in seconds, not milliseconds?)`, value)
  return parseTimeout(option, value, accepted)
}

export type Check = (option: string, value: unknown) => unknown

/** A check that throws unless the value is one of these. */
export const oneOf = (...names: Array<string | false>): Check => (option, value) => {
  if (!names.includes(value as string)) throw invalid(option, names.join(' or '), value)
}
