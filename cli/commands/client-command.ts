import type { Command } from 'commander'
import { type Client, openClient } from '../client.ts'
import { type Output, openOutput } from '../output.ts'

export interface ClientFlags {
  readonly dataDir: string
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
}

/** Adds the flags that every command speaking to a running instance has. */
export function clientCommand(command: Command): Command {
  return command
    .option('--data-dir <dir>', 'data directory of the instance', process.env.CORDON_DATA_DIR ?? './.cordon')
    .option('--url <url>', "the console's address, in place of --data-dir")
    .option(
      '--token <token>',
      'API token; others on this machine see it, so better CORDON_TOKEN (default: that, else the one in the data directory)',
    )
    .option('--json', 'print JSON: one object a line')
}

export function connect(flags: ClientFlags): { client: Client; output: Output } {
  // Not as the flag's default, which the help would print.
  const token = flags.token ?? process.env.CORDON_TOKEN
  return { client: openClient({ ...flags, token }), output: openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)) }
}
