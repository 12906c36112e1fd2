import type { Command } from 'commander'
import { askCode } from '../ask-code.ts'
import { type Client, openClient } from '../client.ts'
import { type Output, openOutput } from '../output.ts'

export interface ClientFlags {
  readonly dataDir: string
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
  readonly otp?: string
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

/** Of a command that an account may need a second factor for. */
export function privilegedCommand(command: Command): Command {
  return clientCommand(command).option(
    '--otp <code>',
    "code of your account's authenticator (default: CORDON_OTP, else you are asked where it is needed)",
  )
}

export function connect(flags: ClientFlags): { client: Client; output: Output } {
  // Not as the flag's default, which the help would print.
  const token = flags.token ?? process.env.CORDON_TOKEN
  const otp = flags.otp ?? process.env.CORDON_OTP
  return {
    client: openClient({ ...flags, token, otp, askOtp: () => askCode('Code of your authenticator: ') }),
    output: openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)),
  }
}
