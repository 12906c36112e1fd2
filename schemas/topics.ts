import type { DataOf, Kind } from './event.ts'

const day = 24 * 60 * 60 * 1_000

export interface TopicSpec<K extends Kind = Kind> {
  readonly name: string
  readonly kind: K
  /** Decides the partition; also the compaction key. */
  readonly key: (data: DataOf<K>) => string
  readonly partitions: number
  /** How long records are kept; null keeps the newest of each key for ever (compaction). */
  readonly retentionMs: number | null
}

function topic<K extends Kind>(spec: TopicSpec<K>): TopicSpec<K> {
  return spec
}

/** Every topic. Partitioning follows the question asked of it (see README, "Topics"). */
export const topics = {
  requests: topic({ name: 'requests', kind: 'request', key: (d) => d.principal, partitions: 4, retentionMs: 7 * day }),
  fingerprints: topic({ name: 'fingerprints', kind: 'fingerprint', key: (d) => d.model, partitions: 4, retentionMs: 7 * day }),
  telemetry: topic({ name: 'telemetry', kind: 'telemetry', key: (d) => d.node, partitions: 1, retentionMs: 7 * day }),
  flows: topic({ name: 'flows', kind: 'flow', key: (d) => d.workload, partitions: 4, retentionMs: 7 * day }),
  findings: topic({ name: 'findings', kind: 'finding', key: (d) => d.scope, partitions: 1, retentionMs: 90 * day }),
  incidents: topic({ name: 'incidents', kind: 'incident', key: (d) => d.id, partitions: 1, retentionMs: null }),
  actions: topic({ name: 'actions', kind: 'action', key: (d) => d.target, partitions: 1, retentionMs: 90 * day }),
  containments: topic({ name: 'containments', kind: 'containment', key: (d) => d.id, partitions: 1, retentionMs: null }),
  acknowledgements: topic({ name: 'acknowledgements', kind: 'acknowledgement', key: (d) => d.lease, partitions: 1, retentionMs: 90 * day }),
  keys: topic({ name: 'keys', kind: 'key', key: (d) => d.id, partitions: 1, retentionMs: null }),
  models: topic({ name: 'models', kind: 'model', key: (d) => d.name, partitions: 1, retentionMs: null }),
  'dead-letters': topic({ name: 'dead-letters', kind: 'dead-letter', key: (d) => d.topic, partitions: 1, retentionMs: 90 * day }),
} as const

export type TopicName = keyof typeof topics
export type TopicData<T extends TopicName> = Parameters<(typeof topics)[T]['key']>[0]

/** Host state, not events: opaque chunks keyed by detector-host partition. Compacted. */
export const snapshotTopic = { name: 'snapshots', partitions: 1, retentionMs: null } as const
