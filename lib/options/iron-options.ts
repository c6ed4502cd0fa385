import type { IronOptions } from '../../types/index.js'
import { invalid, oneOf, parseInteger, parseNames, refused } from './checks.js'
import type { Check } from './checks.js'
import type { Keyring } from '../seal/keyring.js'

const count: Check = (option, value) => parseInteger(option, value, 1, 2 ** 31 - 1)
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

/** A checked copy of the parameters, or `undefined` if none is given, so that the default engine is used. */
export function parseIron (iron: IronOptions | undefined, keyring: Keyring, interop: false | 'iron' | 'iron-session'): IronOptions | undefined {
  if (iron === undefined) return undefined
  if ('ttl' in Object(iron)) throw refused('iron.ttl', 'set idleTimeout instead')
  if (interop === 'iron-session') throw refused('iron', 'iron-session supports Iron\'s default parameters only')
  const copy = parseGroup('iron', iron, IRON) as IronOptions
  for (const group of ['encryption', 'integrity'] as const) {
    const shortest = Math.min(...keyring.all.map(({ [group]: secret }) => typeof secret === 'string' ? secret.length : Infinity))
    const least = copy[group]?.minPasswordlength ?? 0
    if (least > shortest) throw invalid(`iron.${group}.minPasswordlength`, `at most ${shortest}, the length of the shortest secret`, least)
  }
  if (copy.encryption?.algorithm === 'aes-128-ctr' && keyring.all.some(({ encryption }) => typeof encryption !== 'string')) {
    throw refused('iron.encryption.algorithm', 'aes-128-ctr does not support a raw key of 32 bytes')
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
