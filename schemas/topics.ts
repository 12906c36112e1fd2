import type { DataOf, Kind } from './event.ts'
import { heartbeatKey } from './heartbeat.ts'

const day = 24 * 60 * 60 * 1_000

export interface TopicSpec<K extends Kind = Kind> {
  readonly name: string
  readonly kind: K
  /** Decides the partition; also the compaction key. */
  readonly key: (data: DataOf<K>) => string
  readonly partitions: number
  /** How long records are kept; null keeps the newest of each key for ever (compaction). */
  readonly retentionMs: number | null
  /** Whose time a record carries: its writer's event time, or (`append`) the log's own, which no writer's clock can bend. Default `create`. */
  readonly timestamps?: 'create' | 'append'
  /** On a compacted topic: every record stays at least so long, so that the store gets each. */
  readonly minCompactionLagMs?: number
  /** Written by one process at a time, see {@link Term}. */
  readonly fenced?: boolean
}

function topic<K extends Kind>(spec: TopicSpec<K>): TopicSpec<K> {
  return spec
}

/** Every topic. Partitioning follows the question asked of it (see README, "Topics"). */
export const topics = {
  requests: topic({
    name: 'requests',
    kind: 'request',
    key: (d) => d.principal,
    partitions: 4,
    retentionMs: 7 * day,
    timestamps: 'append',
  }),
  fingerprints: topic({
    name: 'fingerprints',
    kind: 'fingerprint',
    key: (d) => d.model,
    partitions: 4,
    retentionMs: 7 * day,
    timestamps: 'append',
  }),
  prompts: topic({
    name: 'prompts',
    kind: 'prompt',
    key: (d) => d.model,
    partitions: 4,
    retentionMs: 7 * day,
    timestamps: 'append',
  }),
  telemetry: topic({ name: 'telemetry', kind: 'telemetry', key: (d) => d.node, partitions: 1, retentionMs: 7 * day, timestamps: 'append' }),
  flows: topic({ name: 'flows', kind: 'flow', key: (d) => d.workload, partitions: 4, retentionMs: 7 * day, timestamps: 'append' }),
  findings: topic({ name: 'findings', kind: 'finding', key: (d) => d.scope, partitions: 1, retentionMs: 90 * day }),
  incidents: topic({
    name: 'incidents',
    kind: 'incident',
    key: (d) => d.id,
    partitions: 1,
    retentionMs: null,
    minCompactionLagMs: 7 * day,
    fenced: true,
  }),
  actions: topic({ name: 'actions', kind: 'action', key: (d) => d.target, partitions: 1, retentionMs: 90 * day, fenced: true }),
  containments: topic({
    name: 'containments',
    kind: 'containment',
    key: (d) => d.id,
    partitions: 1,
    retentionMs: null,
    minCompactionLagMs: 7 * day,
    fenced: true,
  }),
  acknowledgements: topic({ name: 'acknowledgements', kind: 'acknowledgement', key: (d) => d.lease, partitions: 1, retentionMs: 90 * day }),
  keys: topic({ name: 'keys', kind: 'key', key: (d) => d.id, partitions: 1, retentionMs: null, minCompactionLagMs: day, fenced: true }),
  models: topic({
    name: 'models',
    kind: 'model',
    key: (d) => d.name,
    partitions: 1,
    retentionMs: null,
    minCompactionLagMs: day,
    fenced: true,
  }),
  risks: topic({ name: 'risks', kind: 'risk', key: (d) => d.principal, partitions: 1, retentionMs: null, fenced: true }),
  shares: topic({ name: 'shares', kind: 'share', key: (d) => d.bucket, partitions: 1, retentionMs: null, fenced: true }),
  spending: topic({ name: 'spending', kind: 'spending', key: (d) => d.node, partitions: 1, retentionMs: day, timestamps: 'append' }),
  commands: topic({ name: 'commands', kind: 'command', key: (d) => d.id, partitions: 1, retentionMs: 90 * day }),
  outcomes: topic({ name: 'outcomes', kind: 'outcome', key: (d) => d.command, partitions: 1, retentionMs: 90 * day }),
  audit: topic({ name: 'audit', kind: 'audit', key: (d) => d.writer, partitions: 1, retentionMs: 90 * day, timestamps: 'append' }),
  heartbeats: topic({ name: 'heartbeats', kind: 'heartbeat', key: heartbeatKey, partitions: 1, retentionMs: null }),
  'dead-letters': topic({ name: 'dead-letters', kind: 'dead-letter', key: (d) => d.topic, partitions: 1, retentionMs: 90 * day }),
} as const

export type TopicName = keyof typeof topics
export type TopicData<T extends TopicName> = Parameters<(typeof topics)[T]['key']>[0]

/** Host state, not events: opaque chunks keyed by detector-host partition. Compacted. */
export const snapshotTopic = { name: 'snapshots', partitions: 1, retentionMs: null } as const
