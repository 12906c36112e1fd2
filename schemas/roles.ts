import type { RoleName } from './heartbeat.ts'
import { snapshotTopic, type TopicName, topics } from './topics.ts'

type Readable = TopicName | typeof snapshotTopic.name

/** What a role does on the bus, and with that all that its credential has to allow. */
export interface RoleAccess {
  readonly writes: readonly Readable[]
  readonly reads: readonly Readable[]
  /** Consumer groups that it is a member of. */
  readonly groups: readonly string[]
  /** It looks at the offsets of every group and topic. */
  readonly describesAll: boolean
}

const observed = ['requests', 'fingerprints', 'prompts', 'telemetry', 'flows'] as const
const control = ['incidents', 'actions', 'containments', 'keys', 'models', 'risks', 'shares'] as const

/** Topics that the store has no table for. */
const unstored: ReadonlySet<TopicName> = new Set(['keys', 'models', 'risks', 'shares', 'spending'])

/** Least privilege by role: `cordon topics acls` prints it, and the tests run a cluster that enforces it. */
export const roles: Readonly<Record<RoleName, RoleAccess>> = {
  node: {
    writes: ['requests', 'fingerprints', 'prompts', 'telemetry', 'acknowledgements', 'spending', 'audit', 'heartbeats'],
    reads: ['containments', 'keys', 'models', 'risks', 'shares'],
    groups: [],
    describesAll: false,
  },
  ingest: {
    // A dead letter's record goes back to where it came from.
    writes: [...observed, 'findings', 'dead-letters', 'outcomes', 'heartbeats'],
    reads: (Object.keys(topics) as TopicName[]).filter((name) => !unstored.has(name)),
    groups: ['sink', 'replay'],
    describesAll: false,
  },
  detect: {
    // Ticks go to the observed topics.
    writes: [...observed, 'findings', 'dead-letters', 'heartbeats', snapshotTopic.name],
    reads: [...observed, 'findings', 'heartbeats', snapshotTopic.name],
    groups: ['detect'],
    describesAll: false,
  },
  respond: {
    // What people order is in the audit trail too.
    writes: [...control, 'outcomes', 'audit', 'dead-letters', 'heartbeats'],
    // Who is active, of `requests` by its keys alone: the guard counts them.
    reads: [...control, 'requests', 'findings', 'spending', 'commands', 'outcomes', 'heartbeats'],
    groups: ['respond'],
    describesAll: false,
  },
  console: {
    writes: ['commands', 'heartbeats'],
    reads: [
      'incidents',
      'actions',
      'containments',
      'keys',
      'models',
      'risks',
      'shares',
      'findings',
      'acknowledgements',
      'outcomes',
      'dead-letters',
      'heartbeats',
    ],
    groups: [],
    describesAll: true,
  },
}
