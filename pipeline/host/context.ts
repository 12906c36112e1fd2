import type { Logger } from 'pino'
import type { EventBus } from '../../bus/port.ts'
import type { EventId, Instant } from '../../schemas/index.ts'
import type { HostMetrics } from './host-metrics.ts'
import type { SnapshotLog } from './snapshot/snapshot-log.ts'

/** What everything that handles a partition shares. */
export interface HostContext {
  readonly bus: EventBus
  readonly snapshots: SnapshotLog
  readonly metrics: HostMetrics
  readonly log: Logger
  readonly clock: () => Instant
  readonly group: string
  readonly source: string
  readonly aheadMs: number
  readonly objectiveMs: number
  readonly tickMs: number
  readonly snapshotEvery: { readonly events: number; readonly ms: number }
  /** Event ids of findings that were read from the log; null where nobody reads them. */
  readonly seen: { has(id: EventId): boolean } | null
}
