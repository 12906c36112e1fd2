import type { Command } from 'commander'
import type { InstanceStatus, InstanceView, Lag, RoleStatus, TopicStatus } from '../../console/port.ts'
import { type Column, span, table, when } from '../output.ts'
import { ownedPartitions, type PartitionRow } from '../partitions.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const roleColumns: readonly Column[] = [
  { title: 'ROLE', of: (r: RoleStatus) => r.role },
  { title: 'OK', of: (r: RoleStatus) => (r.ok ? 'yes' : 'NO') },
  { title: 'WHAT', of: (r: RoleStatus) => r.summary },
]

const instanceColumns: readonly Column[] = [
  { title: 'ROLE', of: (i: InstanceView) => i.role },
  { title: 'INSTANCE', of: (i: InstanceView) => i.instance },
  { title: 'ALIVE', of: (i: InstanceView) => (i.alive ? 'yes' : i.state === 'stopped' ? 'stopped' : 'NO') },
  { title: 'UP SINCE', of: (i: InstanceView) => when(i.startedAt) },
  { title: 'PARTITIONS', of: (i: InstanceView) => partitionsOf(i) },
  { title: 'BEHIND', of: (i: InstanceView) => behindOf(i) },
  { title: 'SNAPSHOT', of: (i: InstanceView) => span(i.snapshotAgeMs) },
  { title: 'SPOOL', of: (i: InstanceView) => bytes(i.spoolBytes) },
  { title: 'DEAD LETTERS', of: (i: InstanceView) => i.deadLetters },
]

const partitionColumns: readonly Column[] = [
  { title: 'ROLE', of: (p: PartitionRow) => p.role },
  { title: 'TOPIC', of: (p: PartitionRow) => p.topic },
  { title: 'PARTITION', of: (p: PartitionRow) => p.partition },
  { title: 'OWNER', of: (p: PartitionRow) => p.owner },
  { title: 'STANDBY', of: (p: PartitionRow) => p.standby.join(' ') || null },
  { title: 'OFFSET', of: (p: PartitionRow) => p.offset },
  { title: 'END', of: (p: PartitionRow) => p.end },
  { title: 'LAG', of: (p: PartitionRow) => p.lag },
  { title: 'OLDEST', of: (p: PartitionRow) => span(p.lagMs) },
]

export function statusCommand(status: Command): void {
  clientCommand(status)
    .option('--partitions', 'who reads each partition, who stands by, and how far they are')
    .action(async (flags: ClientFlags & { partitions?: boolean }) => {
      const { client, output } = connect(flags)
      const status = await client.get<InstanceStatus>('/api/status')
      if (status.roles.some((role) => !role.ok)) process.exitCode = 1
      if (flags.partitions !== true) return output.one(status, describe(status))
      const { topics } = await client.get<{ topics: TopicStatus[] }>('/api/topics')
      output.list(ownedPartitions(status.instances, topics), partitionColumns, 'nobody reads anything')
    })
}

function describe(status: InstanceStatus): string {
  const { version, startedAt, lag, lagMs, roles, instances, snapshotAgeMs, spoolBytes, deadLetters } = status
  const behind = (group: keyof Lag) => {
    if (lag === null) return `not known (${span(lagMs[group])})`
    return lag[group] === 0 && lagMs[group] === 0 ? '0' : `${lag[group]} (${span(lagMs[group])})`
  }
  return [
    `cordon ${version}, up since ${when(startedAt)}`,
    `behind by records: sink ${behind('sink')}, detectors ${behind('detect')}, responders ${behind('respond')}`,
    `oldest snapshot ${span(snapshotAgeMs)}, spool ${bytes(spoolBytes)}, dead letters of the last day ${deadLetters ?? 'not known'}`,
    '',
    table(roles, roleColumns),
    '',
    table(instances, instanceColumns),
  ].join('\n')
}

function partitionsOf({ assignments }: InstanceView): string | null {
  const standby = assignments.filter((assignment) => assignment.standby).length
  const owned = assignments.length - standby
  if (assignments.length === 0) return null
  return standby === 0 ? `${owned}` : `${owned} + ${standby} standby`
}

function behindOf({ assignments }: InstanceView): string | null {
  const owned = assignments.filter(({ standby }) => !standby)
  if (owned.length === 0) return null
  const records = owned.reduce((sum, { offset, end }) => sum + Math.max(0, end - offset), 0)
  const ms = Math.max(...owned.map(({ lagMs }) => lagMs))
  return records === 0 && ms === 0 ? '0' : `${records} (${span(ms)})`
}

function bytes(count: number | null): string | null {
  if (count === null) return null
  if (count < 1_000) return `${count} B`
  return count < 1_000_000 ? `${(count / 1_000).toFixed(1)} kB` : `${(count / 1_000_000).toFixed(1)} MB`
}
