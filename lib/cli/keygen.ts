import { randomBytes } from 'node:crypto'
import type { Command } from './command.js'

/** `keygen` prints a new secret. */
export const keygen: Command = {
  usage: '',
  summary: 'Prints a new secret: 256 random bits as 64 hexadecimal characters',
  maxArguments: 0,
  options: {},
  run (_args, _values, { stdout }) {
    stdout.write(`${randomBytes(32).toString('hex')}\n`)
    return 0
  }
}
