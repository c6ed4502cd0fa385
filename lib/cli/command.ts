/** Where a command reads and writes. */
export interface Terminal {
  env: NodeJS.ProcessEnv
  stdin: NodeJS.ReadableStream
  stdout: { write (text: string): unknown }
  stderr: { write (text: string): unknown }
}

export type Values = Readonly<Record<string, string | boolean | undefined>>

/** A command of `fastify-sealed-session`. A new one needs one more line in `COMMANDS` (cli.ts). */
export interface Command {
  /** The arguments, as the help shows them */
  readonly usage: string
  readonly summary: string
  /** How many arguments it takes at most */
  readonly maxArguments: number
  /** Names of options, each with its value's name (`undefined` for a flag) and what it does */
  readonly options: Readonly<Record<string, { readonly value?: string, readonly summary: string }>>
  /**
   * Returns the exit code.
   * @throws UsageError
   */
  run (args: readonly string[], values: Values, terminal: Terminal): Promise<number> | number
}

/** The command was called wrongly: the message says how, and the exit code is 2. */
export class UsageError extends Error {}
