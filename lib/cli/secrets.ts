import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import type { SecretValue } from '../../types/index.js'
import { MIN_SECRET } from '../options/checks.js'
import { guessable } from '../seal/keyring.js'
import { UsageError } from './command.js'

const VARIABLES = ['SESSION_SECRET', 'OLD_SESSION_SECRET']
const RAW_KEY = 32

/**
 * The secrets of the environment and of a file. No message shows a secret, nor the name of a file, which may be one by mistake.
 * @param path a file of one secret a line, or of the 32 bytes of a raw key
 * @throws UsageError
 */
export async function readSecrets (env: NodeJS.ProcessEnv, path: string | undefined): Promise<SecretValue[]> {
  const secrets = new Map<string, SecretValue>()
  const add = (secret: SecretValue, source: string): void => {
    const fault = faultOf(secret)
    if (fault !== undefined) throw new UsageError(`The secret in ${source} ${fault}`)
    secrets.set(String(secret), secret)
  }
  for (const variable of VARIABLES) {
    const secret = env[variable]
    if (secret !== undefined && secret !== '') add(secret, variable)
  }
  if (path !== undefined) {
    const found = await readSecretFile(path)
    found.forEach((secret, at) => { add(secret, found.length === 1 ? 'the file of --secret-file' : `the file of --secret-file, number ${at + 1},`) })
  }
  if (secrets.size > 0) return [...secrets.values()]
  throw new UsageError('SESSION_SECRET is not set. Put the secret of the app into this environment variable, an older one into ' +
    'OLD_SESSION_SECRET, or any number of them into a file, one a line, for --secret-file')
}

async function readSecretFile (path: string): Promise<SecretValue[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw new UsageError(`The file of --secret-file cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  // Random bytes are UTF-8 once in many millions of keys.
  if (bytes.length === RAW_KEY && !isUtf8(bytes)) return [Uint8Array.from(bytes)]
  const lines = bytes.toString().split(/\r?\n/).filter(line => line !== '')
  if (lines.length === 0) throw new UsageError('The file of --secret-file is empty')
  return lines
}

function faultOf (secret: SecretValue): string | undefined {
  if (secret.length < MIN_SECRET) return `is too short: it has ${secret.length} characters, and ${MIN_SECRET} are the least`
  const flaw = guessable(secret)
  return flaw === undefined ? undefined : `is guessable: it is ${flaw}`
}
