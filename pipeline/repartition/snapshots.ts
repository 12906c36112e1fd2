import { HostError } from '../host/errors.ts'
import type { Hosting } from '../host/lane/hosting.ts'
import { limitsOf } from '../host/limits.ts'
import { createPartitionHost } from '../host/partition/partition.ts'
import { SnapshotHead } from '../host/snapshot/snapshot.ts'
import type { SnapshotLog, StoredSnapshot } from '../host/snapshot/snapshot-log.ts'

export interface UsableSnapshot {
  readonly stored: StoredSnapshot
  readonly head: SnapshotHead
}

/** The snapshots that hosts of these detectors, with these limits, can take over. */
export class Snapshots {
  readonly #log: SnapshotLog
  readonly #hosting: Hosting

  constructor(log: SnapshotLog, hosting: Hosting) {
    this.#log = log
    this.#hosting = hosting
  }

  /** What the head of a new host says. */
  blank(topic: string, partition: number): SnapshotHead {
    const { detectors } = this.#hosting
    const line =
      createPartitionHost(detectors, { ...limitsOf(this.#hosting), topic, partition })
        .cut()
        .read(0) ?? ''
    return SnapshotHead.parse(JSON.parse(line.split('\n')[0] ?? ''))
  }

  /** The furthest one from when the topic had `partitions`; null where there is none. One that is torn is passed over, as hosts do. */
  async usable(topic: string, partition: number, partitions: number): Promise<UsableSnapshot | null> {
    const { detectors, limits, format } = this.blank(topic, partition)
    const wanted = JSON.stringify([format, detectors, limits])
    for (const stored of await this.#log.find(topic, partition)) {
      if (stored.partitions !== partitions) continue
      const head = SnapshotHead.safeParse(await firstLine(stored))
      if (head.success && JSON.stringify([head.data.format, head.data.detectors, head.data.limits]) === wanted)
        return { stored, head: head.data }
    }
    return null
  }
}

async function firstLine(stored: StoredSnapshot): Promise<unknown> {
  try {
    for await (const [line] of stored.lines()) if (line !== undefined) return JSON.parse(line)
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'SNAPSHOT_CORRUPT') throw error
  }
  return null
}
