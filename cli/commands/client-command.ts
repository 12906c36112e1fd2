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
    .option('--token <token>', 'API token, with --url (default: the one in the data directory)', process.env.CORDON_TOKEN)
    .option('--json', 'print JSON: one object a line')
}

export function connect(flags: ClientFlags): { client: Client; output: Output } {
  return { client: openClient(flags), output: openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)) }
}
