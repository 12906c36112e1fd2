import { type Command, Option } from 'commander'
import type { CreatedKey, KeyView } from '../../console/port.ts'
import { Capability } from '../../schemas/index.ts'
import { parseDuration } from '../duration.ts'
import { type Column, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect, privilegedCommand } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'KEY', of: (k: KeyView) => k.keyId },
  { title: 'PRINCIPAL', of: (k: KeyView) => k.principal },
  { title: 'ORGANIZATION', of: (k: KeyView) => k.organization },
  { title: 'STATE', of: (k: KeyView) => k.state },
  { title: 'CREATED', of: (k: KeyView) => when(k.createdAt) },
  { title: 'EXPIRES', of: (k: KeyView) => when(k.expiresAt) },
  { title: 'FOR', of: (k: KeyView) => k.capabilities.join(' ') },
  { title: 'FROM', of: (k: KeyView) => [...k.addresses, ...k.origins].join(' ') },
]

interface By {
  readonly by: string
}
const byOption = ['--by <name>', 'who asks for it', process.env.USER ?? 'operator'] as const

interface Making extends ClientFlags, By {
  readonly principal: string
  readonly organization?: string
  readonly expires?: string
  readonly expiresIn?: string
  readonly address?: readonly string[]
  readonly origin?: readonly string[]
  readonly role?: readonly string[]
  readonly capability?: readonly string[]
}

/** An option that may be given again. */
const more = (value: string, before: readonly string[] = []) => [...before, value]

const shown = (made: CreatedKey) => `key ${made.keyId} of ${made.principal}, shown this once:\n${made.key}`

export function keysCommand(keys: Command): void {
  privilegedCommand(keys.command('create').description('make a key; it is shown once'))
    .requiredOption('--principal <name>', 'who it belongs to')
    .option('--organization <name>', 'the organization they belong to')
    .option('--expires <duration>', 'when it dies, such as 90d (default: never)')
    .addOption(new Option('--expires-in <duration>', 'the same').hideHelp())
    .option('--address <network>', 'address or network (CIDR) that it may be used from; may be repeated (default: any)', more)
    .option('--origin <url>', 'page that a browser may use it from, as https://app.example.com; may be repeated (default: any)', more)
    .option('--role <name>', 'role that policies see; may be repeated', more)
    .option('--capability <name>', `${Capability.options.join(', ')}; may be repeated (default: inference)`, more)
    .option(...byOption)
    .action(async (flags: Making) => {
      const { client, output } = connect(flags)
      const { principal, organization = null, expires = flags.expiresIn, address, origin, role, capability, by } = flags
      const made = await client.post<CreatedKey>('/api/keys', {
        principal,
        organization,
        expiresAt: expires === undefined ? null : Date.now() + parseDuration(expires),
        addresses: address,
        origins: origin,
        roles: role,
        capabilities: capability,
        by,
      })
      output.one(made, shown(made))
    })
  clientCommand(keys.command('list').description('every key, never its secret'))
    .option('--principal <name>', 'only those of this principal')
    .action(async (flags: ClientFlags & { principal?: string }) => {
      const { client, output } = connect(flags)
      const { keys: all } = await client.get<{ keys: KeyView[] }>('/api/keys', { principal: flags.principal })
      output.list(all, columns, 'no keys: make one with `cordon keys create --principal NAME`')
    })
  clientCommand(keys.command('revoke <key-id>').description('end a key now'))
    .option(...byOption)
    .action(async (keyId: string, flags: ClientFlags & By) => {
      const { client, output } = connect(flags)
      const key = await client.post<KeyView>('/api/keys/revoke', { keyId, by: flags.by })
      output.one(key, `key ${key.keyId} of ${key.principal} is revoked`)
    })
  privilegedCommand(keys.command('rotate <key-or-principal>').description('start a successor; the old key dies after an overlap'))
    .option('--overlap <duration>', 'how long the old key still works', '10m')
    .option(...byOption)
    .action(async (what: string, flags: ClientFlags & By & { overlap: string }) => {
      const { client, output } = connect(flags)
      const request = { what, overlapMs: parseDuration(flags.overlap), by: flags.by }
      const result = await client.post<{ successors: string[] }>('/api/keys/rotate', request)
      output.one(result, `pending: ${result.successors.join(', ')}; its owner fetches it with \`cordon keys claim ${what}\``)
    })
  privilegedCommand(keys.command('claim <key-or-principal>').description('fetch the successor of a rotated key; it is shown once'))
    .option(...byOption)
    .action(async (what: string, flags: ClientFlags & By) => {
      const { client, output } = connect(flags)
      const made = await client.post<CreatedKey>('/api/keys/claim', { what, by: flags.by })
      output.one(made, shown(made))
    })
}
