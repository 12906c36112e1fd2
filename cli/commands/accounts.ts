import type { Command } from 'commander'
import { z } from 'zod'
import type { Account, AccountView, Administrators } from '../../access/administrators.ts'
import { askCode } from '../ask-code.ts'
import { loadConfig } from '../config/load.ts'
import { parseDuration } from '../duration.ts'
import { CliError } from '../errors.ts'
import { openAccounts } from '../instance/accounts.ts'
import { type Column, type Output, openOutput, when } from '../output.ts'
import { configFlags, type StartFlags } from './config-flags.ts'

interface Flags extends StartFlags {
  readonly json?: boolean
}

interface Making extends Flags {
  readonly capability: readonly string[]
  readonly role: readonly string[]
  readonly expires?: string
}

const columns: readonly Column[] = [
  { title: 'ACCOUNT', of: (a: AccountView) => a.name },
  { title: 'CAPABILITIES', of: (a: AccountView) => a.capabilities.join(' ') },
  { title: 'ROLES', of: (a: AccountView) => a.roles.join(' ') },
  { title: 'SECOND FACTOR', of: (a: AccountView) => a.secondFactor },
  { title: 'CREATED', of: (a: AccountView) => when(a.createdAt) },
  { title: 'EXPIRES', of: (a: AccountView) => when(a.expiresAt) },
  { title: 'REVOKED', of: (a: AccountView) => when(a.revokedAt) },
]

const Capabilities = z.array(z.enum(['administration', 'promotion'])).min(1)
/** An option that may be given again. */
const more = (value: string, before: readonly string[]) => [...before, value]

export function accountsCommand(accounts: Command): void {
  local(accounts.command('create <name>').description('make an account; its token is shown once'))
    .option('--capability <name>', 'administration or promotion; may be repeated', more, [])
    .option('--role <name>', 'role that policies see; may be repeated', more, [])
    .option('--expires <duration>', 'when it dies, such as 90d (default: never)')
    .action((name: string, flags: Making) => {
      const { administrators, output } = open(flags)
      const now = Date.now()
      const expiresAt = flags.expires === undefined ? null : now + parseDuration(flags.expires)
      const asked = { name, capabilities: capabilitiesOf(flags.capability), roles: [...flags.role], expiresAt }
      const { token } = administrators.create(asked, now)
      const next = `Keep it as CORDON_TOKEN. For what is privileged it needs a second factor: cordon accounts enrol ${name}`
      output.one({ name, token }, `account ${name}, token shown this once:\n${token}\n${next}`)
    })
  local(accounts.command('list', { isDefault: true }).description('every account, never its secrets')).action((flags: Flags) => {
    const { administrators, output } = open(flags)
    output.list(administrators.list(), columns, 'no accounts: make one with `cordon accounts create NAME --capability administration`')
  })
  local(accounts.command('revoke <name>').description('end an account now; its name stays on record')).action(
    (name: string, flags: Flags) => {
      const { administrators, output } = open(flags)
      administrators.revoke(name, Date.now())
      output.one({ name, revoked: true }, `account ${name} is revoked`)
    },
  )
  local(accounts.command('enrol <name>').description('set up a second factor: an authenticator application (TOTP)'))
    .option('--otp <code>', 'the first code, where you are not asked for it')
    .action((name: string, flags: Flags & { otp?: string }) => enrol(name, flags))
  local(accounts.command('reset-totp <name>').description('remove a second factor, where the authenticator is lost')).action(
    (name: string, flags: Flags) => {
      const { administrators, output } = open(flags)
      administrators.resetTotp(name)
      output.one({ name, secondFactor: 'none' }, `account ${name} has no second factor now: cordon accounts enrol ${name}`)
    },
  )
}

async function enrol(name: string, flags: Flags & { otp?: string }): Promise<void> {
  const { administrators, output } = open(flags)
  if (flags.otp === undefined) {
    const begun = administrators.enrol(name)
    const shown = `add this to an authenticator (as a QR code, or its secret by hand):\n${begun.uri}\nsecret  ${begun.secret}`
    output.one({ name, ...begun }, shown)
  }
  const code = flags.otp ?? (flags.json === true ? null : await askCode('The code that it shows: '))
  if (code === null) {
    if (flags.json !== true) output.one({}, `then: cordon accounts enrol ${name} --otp CODE`)
    return
  }
  administrators.confirm(name, code, Date.now())
  output.one({ name, secondFactor: 'enrolled' }, `account ${name} has a second factor`)
}

function local(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (default: cordon.config.yaml where there is one)')
    .option('--data-dir <dir>', 'data directory of the console (default ./.cordon)')
    .option('--json', 'print JSON: one object a line')
}

function open(flags: Flags): { readonly administrators: Administrators; readonly output: Output } {
  const { config } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  const output = openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`))
  return { administrators: openAccounts(config).administrators, output }
}

function capabilitiesOf(names: readonly string[]): Account['capabilities'] {
  const parsed = Capabilities.safeParse([...new Set(names)])
  if (parsed.success) return parsed.data
  throw new CliError('USAGE', 'an account is for --capability administration, --capability promotion, or both')
}
