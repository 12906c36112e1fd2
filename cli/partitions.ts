import type { InstanceView, TopicStatus } from '../console/port.ts'
import { type RoleName, roles } from '../schemas/index.ts'

/** A partition as one role reads it. */
export interface PartitionRow {
  readonly role: RoleName
  readonly topic: string
  readonly partition: number
  /** Null: nobody reads it. */
  readonly owner: string | null
  readonly standby: readonly string[]
  readonly offset: number | null
  readonly end: number
  readonly lag: number
  /** Age of the oldest record that waits, milliseconds; null where nobody says. */
  readonly lagMs: number | null
}

/** Who reads each partition, from what the processes say, and those that a group once read and nobody reads now. */
export function ownedPartitions(instances: readonly InstanceView[], topics: readonly TopicStatus[]): readonly PartitionRow[] {
  const rows = new Map<string, PartitionRow>()
  const live = instances.filter(({ alive }) => alive)
  for (const { role, instance, assignments } of live) {
    for (const { topic, partition, standby, offset, end, lagMs } of assignments) {
      const key = `${role}/${topic}/${partition}`
      const row = rows.get(key) ?? { role, topic, partition, owner: null, standby: [], offset: null, end, lag: 0, lagMs: null }
      const read = { offset, end, lag: Math.max(0, end - offset), lagMs }
      rows.set(key, standby ? { ...row, standby: [...row.standby, instance] } : { ...row, ...read, owner: instance })
    }
  }
  for (const { topic, partition, start, end, committed } of topics) {
    for (const role of Object.keys(roles) as RoleName[]) {
      const group = roles[role].groups.find((name) => (committed[name] ?? null) !== null)
      if (group === undefined) continue
      const key = `${role}/${topic}/${partition}`
      const row = rows.get(key)
      if (row?.owner !== undefined && row.owner !== null) continue
      const offset = committed[group] ?? start
      rows.set(key, {
        role,
        topic,
        partition,
        owner: null,
        standby: row?.standby ?? [],
        offset,
        end,
        lag: Math.max(0, end - offset),
        lagMs: null,
      })
    }
  }
  const name = ({ role, topic }: PartitionRow) => `${role}/${topic}`
  return [...rows.values()].sort((a, b) => (name(a) === name(b) ? a.partition - b.partition : name(a) < name(b) ? -1 : 1))
}
