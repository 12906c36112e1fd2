import type { Command } from 'commander'
import type { ContainmentView } from '../../console/port.ts'
import type { Acknowledgement } from '../../schemas/index.ts'
import { parseDuration } from '../duration.ts'
import { type Column, cell, span, table, when } from '../output.ts'
import { parseParams } from '../params.ts'
import { type ClientFlags, clientCommand, connect, privilegedCommand } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'CONTAINMENT', of: (c: ContainmentView) => c.id },
  { title: 'STATE', of: (c: ContainmentView) => c.state },
  { title: 'FROM', of: (c: ContainmentView) => when(c.from) },
  { title: 'UNTIL', of: (c: ContainmentView) => when(c.until) },
  { title: 'ENFORCED AFTER', of: (c: ContainmentView) => span(c.enforcedAfterMs) },
  { title: 'OWNER', of: (c: ContainmentView) => c.owner },
  { title: 'REASON', of: (c: ContainmentView) => c.reason },
]

const acknowledgementColumns: readonly Column[] = [
  { title: 'NODE', of: (a: Acknowledgement) => a.node },
  { title: 'REVISION', of: (a: Acknowledgement) => a.revision },
  { title: 'ENFORCED', of: (a: Acknowledgement) => when(a.at) },
  { title: 'AFTER', of: (a: Acknowledgement) => span(a.enforcedAfterMs) },
]

export function containmentsCommand(containments: Command): void {
  clientCommand(containments.command('list', { isDefault: true }).description('every containment, newest last'))
    .option('--active', 'only those in force')
    .action(async (flags: ClientFlags & { active?: boolean }) => {
      const { client, output } = connect(flags)
      const found = await client.get<{ containments: ContainmentView[] }>('/api/containments', {
        state: flags.active === true ? 'active' : undefined,
      })
      output.list(found.containments, columns, 'nothing is contained')
    })
  clientCommand(containments.command('show <id>').description('one containment: who decided it, and when each node enforced it')).action(
    async (id: string, flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const found = await client.get<ContainmentView>('/api/containments/one', { id })
      output.one(found, describe(found))
    },
  )
  privilegedCommand(containments.command('release <id>').description('end a containment now, such as principal:mallory/throttle-principal'))
    .option('--by <name>', 'who releases it', process.env.USER ?? 'operator')
    .action(async (id: string, flags: ClientFlags & { by: string }) => {
      const { client, output } = connect(flags)
      const released = await client.post<ContainmentView>('/api/containments/release', { id, by: flags.by })
      output.one(released, `${released.id} is ${released.state}`)
    })
}

function describe(c: ContainmentView): string {
  const settings = Object.entries(c.parameters).map(([name, value]) => `${name}=${value ?? 'null'}`)
  const ended = c.endedAt === null ? '' : `, ended ${when(c.endedAt)} by ${c.endedBy ?? 'nobody'}`
  const reached =
    c.enforcedAfterMs === null
      ? 'no node said how long after the decision it enforced this'
      : `the last of the nodes that answered enforced it ${span(c.enforcedAfterMs)} after the deciding event`
  return [
    `${c.id}  ${c.state}  revision ${c.revision}`,
    `from ${when(c.from)} until ${when(c.until)}${ended}`,
    `${c.action} on ${c.target}${settings.length === 0 ? '' : `, ${settings.join(' ')}`}`,
    `${c.owner}${c.incident === null ? '' : `, incident ${c.incident}`}: ${c.reason}`,
    c.decidedAt === null ? 'a person decided it' : `decided by what arrived at ${when(c.decidedAt)}; ${reached}`,
    ...(c.awaiting.length === 0 ? [] : [`NOT YET ENFORCED by ${c.awaiting.join(', ')}`]),
  ]
    .map(cell)
    .concat('', c.acknowledgements.length === 0 ? 'no node acknowledged it' : table(c.acknowledgements, acknowledgementColumns))
    .join('\n')
}

export function containCommand(contain: Command): void {
  privilegedCommand(contain)
    .requiredOption(
      '--action <responder>',
      'throttle-principal, harden-output, rotate-key, rollback-model, quarantine-pool or deny-principal',
    )
    .requiredOption('--for <duration>', 'how long, such as 10m')
    .requiredOption('--reason <text>', 'why; kept with the containment')
    .option('--param <name=value...>', 'a setting of the action, such as requests=1')
    .option('--by <name>', 'who contains it', process.env.USER ?? 'operator')
    .action(async (target: string, flags: ClientFlags & { action: string; for: string; reason: string; by: string; param?: string[] }) => {
      const { client, output } = connect(flags)
      const made = await client.post<ContainmentView>('/api/containments', {
        target,
        action: flags.action,
        parameters: parseParams(flags.param ?? []),
        forMs: parseDuration(flags.for),
        reason: flags.reason,
        by: flags.by,
      })
      output.one(made, `${made.id} is ${made.state} until ${when(made.until)}`)
    })
}
