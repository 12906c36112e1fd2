import type { Command } from 'commander'
import type { InstanceStatus, RoleStatus, TopicStatus } from '../../console/port.ts'
import { type Column, table, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const topicColumns: readonly Column[] = [
  { title: 'TOPIC', of: (t: TopicStatus) => t.topic },
  { title: 'PARTITION', of: (t: TopicStatus) => t.partition },
  { title: 'START', of: (t: TopicStatus) => t.start },
  { title: 'END', of: (t: TopicStatus) => t.end },
  {
    title: 'COMMITTED',
    of: (t: TopicStatus) =>
      Object.entries(t.committed)
        .map(([group, offset]) => `${group}=${offset ?? '–'}`)
        .join(' '),
  },
]

export function statusCommand(program: Command): void {
  clientCommand(program.command('status').description('is it up, is it keeping up, and what is wrong')).action(
    async (flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const status = await client.get<InstanceStatus>('/api/status')
      const roles = table(status.roles, [
        { title: 'ROLE', of: (r: RoleStatus) => r.role },
        { title: 'OK', of: (r: RoleStatus) => (r.ok ? 'yes' : 'NO') },
        { title: 'WHAT', of: (r: RoleStatus) => r.summary },
      ])
      const { sink, detect, respond } = status.lag
      output.one(
        status,
        `cordon ${status.version}, up since ${when(status.startedAt)}\nbehind by: sink ${sink}, detectors ${detect}, responders ${respond} records\n\n${roles}`,
      )
      if (status.roles.some((role) => !role.ok)) process.exitCode = 1
    },
  )
}

export function topicsCommand(program: Command): void {
  clientCommand(program.command('topics').description('what is on the bus, and how far each reader is')).action(
    async (flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const { topics } = await client.get<{ topics: TopicStatus[] }>('/api/topics')
      output.list(topics, topicColumns, 'no topics')
    },
  )
}
