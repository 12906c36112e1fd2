import { HostError } from './errors.ts'
import type { SnapshotLog } from './snapshot/snapshot-log.ts'

/**
 * Refuses to go on where a topic has more partitions than the state of a partition was made for: keys lie elsewhere now, and what is
 * known of them would be forgotten.
 *
 * @param partitions that the topic has
 * @throws HostError `LAYOUT_MISMATCH`
 */
export async function checkLayout(snapshots: SnapshotLog, topic: string, partitions: number): Promise<void> {
  for (const [partition, made] of await snapshots.layouts(topic)) {
    if (made.includes(partitions)) continue
    const what = `${topic} has ${partitions} partitions, and the state of ${topic}/${partition} is from when it had ${made[0]}`
    const remedy = `stop every detect process, then run \`cordon repartition ${topic} --partitions ${partitions}\``
    throw new HostError('LAYOUT_MISMATCH', `${what}: ${remedy}`)
  }
}
