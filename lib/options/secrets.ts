import { types } from 'node:util'
import type { Secret, SealerOptions, SecretValue } from '../../types/index.js'
import { invalid, MIN_SECRET, parseNames, refused } from './checks.js'
import { errors } from '../errors.js'
import { fingerprint, guessable } from '../seal/keyring.js'
import type { Key } from '../seal/keyring.js'

/** @param numbered whether ids are numbers where none are given, from the oldest, as iron-session has them */
export function parseSecrets (option: SealerOptions['secret'], numbered: boolean): [Key, ...Key[]] {
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
