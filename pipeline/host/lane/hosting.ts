import type { HostContext } from '../context.ts'
import type { HostedDetector } from '../hosted.ts'
import type { Limits } from '../limits.ts'
import type { TopicPartition } from '../standby/standby.ts'
import type { LogBounds } from './log-bounds.ts'

/** What is hosted, and who is told of what fails. */
export interface Hosting extends Partial<Limits> {
  readonly detectors: readonly HostedDetector[]
  /** Told of each failure of a detector, while what it does counts. */
  readonly onFault: (detector: string, error: unknown) => void
  /** Told of each record that the host itself failed on, likewise. */
  readonly onUnapplied: (at: TopicPartition & { readonly offset: number }, error: unknown) => void
}

/** How far a partition reaches, and how many the topic has. */
export interface Extent {
  readonly start: number
  readonly end: number
  readonly partitions: number
  /** What came of records before it is durable: somebody knew them. 0 where that is nobody's business. */
  readonly committed: number
}

/** Who restores a partition, and what for. */
export interface RestoreSite {
  readonly hosting: Hosting
  readonly context: HostContext
  readonly bounds: LogBounds
}
