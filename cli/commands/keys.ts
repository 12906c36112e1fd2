import type { Command } from 'commander'
import type { CreatedKey, KeyView } from '../../console/port.ts'
import { parseDuration } from '../duration.ts'
import { type Column, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'KEY', of: (k: KeyView) => k.keyId },
  { title: 'PRINCIPAL', of: (k: KeyView) => k.principal },
  { title: 'ORGANIZATION', of: (k: KeyView) => k.organization },
  { title: 'STATE', of: (k: KeyView) => k.state },
  { title: 'CREATED', of: (k: KeyView) => when(k.createdAt) },
  { title: 'EXPIRES', of: (k: KeyView) => when(k.expiresAt) },
]

interface By {
  readonly by: string
}
const byOption = ['--by <name>', 'who asks for it', process.env.USER ?? 'operator'] as const

const shown = (made: CreatedKey) => `key ${made.keyId} of ${made.principal}, shown this once:\n${made.key}`

export function keysCommand(program: Command): void {
  const keys = program.command('keys').description('API keys: create, list, revoke, rotate, claim')
  clientCommand(keys.command('create').description('make a key; it is shown once'))
    .requiredOption('--principal <name>', 'who it belongs to')
    .option('--organization <name>', 'the organization they belong to')
    .option('--expires-in <duration>', 'when it dies, such as 90d (default: never)')
    .option(...byOption)
    .action(async (flags: ClientFlags & By & { principal: string; organization?: string; expiresIn?: string }) => {
      const { client, output } = connect(flags)
      const expiresAt = flags.expiresIn === undefined ? null : Date.now() + parseDuration(flags.expiresIn)
      const made = await client.post<CreatedKey>('/api/keys', {
        principal: flags.principal,
        organization: flags.organization ?? null,
        expiresAt,
        by: flags.by,
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
  clientCommand(keys.command('rotate <key-or-principal>').description('start a successor; the old key dies after an overlap'))
    .option('--overlap <duration>', 'how long the old key still works', '10m')
    .option(...byOption)
    .action(async (what: string, flags: ClientFlags & By & { overlap: string }) => {
      const { client, output } = connect(flags)
      const request = { what, overlapMs: parseDuration(flags.overlap), by: flags.by }
      const result = await client.post<{ successors: string[] }>('/api/keys/rotate', request)
      output.one(result, `pending: ${result.successors.join(', ')}; its owner fetches it with \`cordon keys claim ${what}\``)
    })
  clientCommand(keys.command('claim <key-or-principal>').description('fetch the successor of a rotated key; it is shown once'))
    .option(...byOption)
    .action(async (what: string, flags: ClientFlags & By) => {
      const { client, output } = connect(flags)
      const made = await client.post<CreatedKey>('/api/keys/claim', { what, by: flags.by })
      output.one(made, shown(made))
    })
}
