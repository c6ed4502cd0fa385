import { parseArgs } from 'node:util'
import { UsageError } from './command.js'
import type { Command, Terminal, Values } from './command.js'
import { inspect } from './inspect.js'
import { keygen } from './keygen.js'
import { sessions } from './sessions.js'

const PROGRAM = 'fastify-sealed-session'

/** A Map, because the name looked up comes from the command line. */
const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['keygen', keygen],
  ['inspect', inspect],
  ['sessions', sessions]
])

const NAMES = [...COMMANDS.keys()].join(', ')
const SEE_HELP = `See ${PROGRAM} --help`

/** Runs a command and returns the exit code: 0 done, 1 the command failed, 2 wrong usage. */
export async function cli (args: string[], terminal: Terminal): Promise<number> {
  try {
    const { name, given, values } = parse(args)
    if (values.help === true) {
      terminal.stdout.write(help())
      return 0
    }
    if (name === undefined) throw new UsageError(`Which command? The commands are ${NAMES}`)
    const command = COMMANDS.get(name)
    if (command === undefined) throw new UsageError(`Unknown command${echo(name)}. The commands are ${NAMES}`)
    check(name, command, given, values)
    return await command.run(given, values, terminal)
  } catch (error) {
    const { message } = error as Error
    terminal.stderr.write(error instanceof UsageError ? `${message}. ${SEE_HELP}\n` : `${message}\n`)
    return 2
  }
}

/** Takes the arguments apart. The messages of `parseArgs` could show a value, which may be a secret, so it does not check. */
function parse (args: string[]): { name: string | undefined, given: string[], values: Values } {
  const known = new Map([...COMMANDS.values()].flatMap(({ options }) => Object.entries(options)))
  const options = Object.fromEntries([...known].map(([name, { value }]) => [name, { type: value === undefined ? 'boolean' as const : 'string' as const }]))
  const { tokens, values, positionals: [name, ...given] } = parseArgs({
    args: idsLast(args), strict: false, tokens: true, allowPositionals: true, options: { ...options, help: { type: 'boolean', short: 'h' } }
  })
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name === 'help') continue
    const option = known.get(token.name)
    if (option === undefined) {
      if (/secret|password|key/i.test(token.name)) {
        throw new UsageError(`Unknown option${echo(token.rawName)}. Secrets are not taken from the command line, where the shell's history and other users see them`)
      }
      throw new UsageError(`Unknown option${echo(token.rawName)}`)
    }
    if (option.value === undefined && token.value !== undefined) throw new UsageError(`--${token.name} takes no value`)
    if (option.value !== undefined && (token.value ?? '') === '') throw new UsageError(`--${token.name} needs a value`)
  }
  return { name, given, values: values as Values }
}

/** The id of a session may begin with a hyphen. It is no option: it moves behind the `--` that ends them, unless an option takes it. */
function idsLast (args: readonly string[]): string[] {
  const isId = (arg: string, at: number): boolean => /^-[\w-]{21}$/.test(arg) && !/^--/.test(args[at - 1] ?? '')
  const ids = args.filter(isId)
  return ids.length === 0 ? [...args] : [...args.filter((arg, at) => !isId(arg, at)), '--', ...ids]
}

function check (name: string, command: Command, given: readonly string[], values: Values): void {
  if (given.length > command.maxArguments) {
    throw new UsageError(command.maxArguments === 1 ? `${name} takes one argument: put it in quotes` : `${name} takes ${command.maxArguments === 0 ? 'no argument' : 'two arguments at most'}`)
  }
  for (const option of Object.keys(values)) {
    if (!Object.hasOwn(command.options, option)) throw new UsageError(`${name} has no option --${option}`)
  }
}

/** A name from the command line, quoted, unless it may be a secret that came to the wrong place. */
function echo (name: string): string {
  return /^[\w-]{1,24}$/.test(name) ? ` "${name}"` : ''
}

function help (): string {
  const commands = [...COMMANDS].map(([name, { usage, summary }]) => `  ${`${name} ${usage}`.padEnd(18)} ${summary}`)
  const options = [...COMMANDS].flatMap(([name, command]) => {
    const lines = Object.entries(command.options).map(([option, { value, summary }]) =>
      `  ${`--${option}${value === undefined ? '' : ` <${value}>`}`.padEnd(22)} ${summary}`)
    return lines.length === 0 ? [] : [`Options of ${name}:`, ...lines, '']
  })
  return ['Usage:', `  ${PROGRAM} <command> [options]`, '', 'Commands:', ...commands, '', ...options, SECRETS, CODES].join('\n')
}

const SECRETS = `Secrets are read from the environment, SESSION_SECRET and OLD_SESSION_SECRET, and from the file of --secret-file. They are
never taken from the command line, and never printed.
`
const CODES = `Exit codes: 0 done, 1 the cookie does not open (the reason is on standard error) or there was no such session, 2 wrong usage,
3 the store is not available.
`
