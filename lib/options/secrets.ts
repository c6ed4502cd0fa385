import { types } from 'node:util'
import type { SealerOptions, SecretValue } from '../../types/index.js'
import { invalid, MIN_SECRET, parseNames, refused } from './checks.js'
import { errors } from '../errors.js'
import { fingerprint, guessable } from '../seal/keyring.js'
import type { Key } from '../seal/keyring.js'

/**
 * The keys of a registration, newest first.
 * @param isIronSession whether they are shared with iron-session: then secrets without ids are numbered from the oldest, from 1
 * @throws FST_SESSION_SECRET_MISSING, FST_SESSION_SECRET_WEAK, FST_SESSION_INVALID_OPTION
 */
export function parseSecrets (option: SealerOptions['secret'], isIronSession: boolean): [Key, ...Key[]] {
  const given = (Array.isArray(option) ? option as unknown[] : [option])
    .map((secret, at) => ({ secret, name: Array.isArray(option) ? `secret[${at}]` : 'secret' }))
    // An older secret may be missing from the environment; the one that seals may not.
    .filter(({ secret }, at) => at === 0 || secret !== undefined)
  const keys = given.map(({ secret, name }, at) => parseSecret(secret, name, isIronSession ? `${given.length - at}` : undefined))
  const ids = new Set<string>()
  for (const { id } of keys) {
    if (ids.has(id)) throw refused('secret', `two secrets have the id "${id}"`)
    ids.add(id)
  }
  const [newest, ...older] = keys
  if (newest === undefined) throw new errors.FST_SESSION_SECRET_MISSING('secret')
  return [newest, ...older]
}

/** @param number the secret's id in iron-session's numbering, `undefined` without iron-session */
function parseSecret (given: unknown, option: string, number: string | undefined): Key {
  if (typeof given !== 'object' || given === null || types.isUint8Array(given)) {
    const secret = parseSecretValue(given, option)
    return { id: number ?? fingerprint(secret, secret), nameless: true, encryption: secret, integrity: secret }
  }
  if ('encryption' in given || 'integrity' in given) return parsePair(given, option, number !== undefined)
  parseNames(option, given, ['id', 'secret'])
  const { id, secret } = given as { id?: unknown, secret?: unknown }
  const value = parseSecretValue(secret, `${option}.secret`)
  return { id: parseId(id, option), encryption: value, integrity: value }
}

/** Iron's two passwords: one encrypts, the other is the MAC's. */
function parsePair (given: object, option: string, isIronSession: boolean): Key {
  parseNames(option, given, ['id', 'encryption', 'integrity'])
  if (isIronSession) throw refused(option, 'iron-session has one password for an id, not encryption and integrity. Use { id, secret }')
  const { id, ...values } = given as { id?: unknown, encryption?: unknown, integrity?: unknown }
  const encryption = parseSecretValue(values.encryption, `${option}.encryption`)
  const integrity = parseSecretValue(values.integrity, `${option}.integrity`)
  if (id === undefined) return { id: fingerprint(encryption, integrity), nameless: true, encryption, integrity }
  return { id: parseId(id, option), encryption, integrity }
}

function parseId (id: unknown, option: string): string {
  if (typeof id !== 'string' || !/^\w+$/.test(id)) throw invalid(`${option}.id`, 'letters, digits and underscores', id)
  return id
}

function parseSecretValue (given: unknown, option: string): SecretValue {
  const secret = parseLength(given, option)
  const flaw = guessable(secret)
  if (flaw !== undefined) throw new errors.FST_SESSION_SECRET_WEAK(option, 'it must not be guessable', flaw)
  return secret
}

/** The value itself never goes into an error. */
function parseLength (given: unknown, option: string): SecretValue {
  if (given === undefined || given === null || given === '') throw new errors.FST_SESSION_SECRET_MISSING(option)
  if (typeof given === 'string') {
    if (given.length >= MIN_SECRET) return given
    throw new errors.FST_SESSION_SECRET_WEAK(option, `a string must have at least ${MIN_SECRET} characters`, `${given.length}`)
  }
  if (types.isUint8Array(given)) {
    if (given.length === 32) return Uint8Array.from(given)
    throw new errors.FST_SESSION_SECRET_WEAK(option, 'a raw key must have exactly 32 bytes', `${given.length}`)
  }
  throw new errors.FST_SESSION_INVALID_OPTION(
    option, `must be a string of at least ${MIN_SECRET} characters, 32 bytes, { id, secret }, { id, encryption, integrity }, or an array of these; got a ${typeof given}`)
}
