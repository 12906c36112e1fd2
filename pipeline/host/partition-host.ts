import type { EventOf, Finding, Instant, Observation } from '../../schemas/index.ts'
import type { HostCounts, HostSnapshot } from './snapshot.ts'

export interface PartitionHostOptions {
  readonly topic: string
  readonly partition: number
  /** An event older than the watermark by more than this is late. Default 60,000 ms. */
  readonly latenessMs?: number
  /** How far a single event may move event time. Default 3,600,000 ms; see `Watermark`. */
  readonly aheadMs?: number
  /** Event ids remembered, to drop repetitions. Default 8,192. */
  readonly rememberIds?: number
  /** Told of each failure of a detector, for the log; findings never depend on it. */
  readonly onFault?: (detector: string, key: string | null, error: unknown) => void
}

export type HostInput = Observation | EventOf<'tick'>

/**
 * The detectors of one partition of one topic. Everything it states is a function of the records applied, in
 * their order: a replay from the first record gives the findings of the live run, whatever was restarted.
 */
export interface PartitionHost {
  /** Applies the record at `offset`; what stands before {@link next} is already in, and ignored. */
  apply(event: HostInput, offset: number): Finding[]
  /** Passes over a record that is no event (dead-lettered). */
  skip(offset: number): void
  /** Event time reached `until`, as a tick record says it. For tests and backtests; live, ticks are on the log. */
  tick(until: Instant): Finding[]
  snapshot(): HostSnapshot
  /**
   * Takes over a snapshot, on a host that has applied nothing yet.
   *
   * @throws HostError `SNAPSHOT_MISMATCH`, `SNAPSHOT_CORRUPT`; the host is then as new
   */
  restore(snapshot: unknown): void
  /** The first offset not applied. */
  readonly next: number
  readonly watermark: Instant | null
  /** The earliest event time at which something is to happen without an event; null when nothing is. */
  readonly nextWake: Instant | null
  readonly counts: Readonly<HostCounts>
  /** State keys held, by detector. */
  keys(): Record<string, number>
}
