import type { EventOf, Finding, Instant, Observation } from '../../../schemas/index.ts'
import type { Limits } from '../limits.ts'
import type { SnapshotCut } from '../snapshot/cut.ts'
import type { HostCounts } from '../snapshot/snapshot.ts'
import type { Stamp } from './sender-clock.ts'

/** A snapshot as it is read, some lines at a time. */
export type SnapshotLines = AsyncIterable<readonly string[]> | Iterable<readonly string[]>

export interface PartitionHostOptions extends Partial<Limits> {
  readonly topic: string
  readonly partition: number
  /** Partitions that the topic has; stated with every gap. Default 1. */
  readonly partitions?: number
  /** Told of each failure of a detector, for the log; findings never depend on it. */
  readonly onFault?: (detector: string, key: string | null, error: unknown) => void
  /** Told of each record that the host itself failed on, and passed over. */
  readonly onUnapplied?: (offset: number, error: unknown) => void
}

/** What is known of a record's clocks; without a stamp its times are taken as they are. */
export interface Stamped {
  readonly stamp?: Stamp
}

export type HostInput = (Observation | EventOf<'tick'>) & Stamped

/**
 * The detectors of one partition of one topic. Everything it states is a function of the records applied, in
 * their order: a replay from the first record gives the findings of the live run, whatever was restarted.
 */
export interface PartitionHost {
  /**
   * Applies the record at `offset`; what stands before {@link next} is already in, and ignored. Never throws: a record that the
   * host fails on is passed over and stated, or it would be applied again for ever.
   */
  apply(event: HostInput, offset: number): Finding[]
  /** Passes over a record that is no event (dead-lettered). */
  passOver(offset: number): void
  /** Event time reached `until`, as a tick record says it. For tests and backtests; live, ticks are on the log. */
  tick(until: Instant): Finding[]
  /** Its state as it stands, to be read while it goes on; ends the cut before. */
  cut(): SnapshotCut
  /**
   * Takes over a snapshot, on a host that has applied nothing yet.
   *
   * @throws HostError `SNAPSHOT_MISMATCH`, `SNAPSHOT_CORRUPT`; throw the host away then
   */
  restore(lines: SnapshotLines): Promise<void>
  /** The first offset not applied. */
  readonly next: number
  readonly watermark: Instant | null
  /** The earliest event time at which something is to happen without an event; null when nothing is. */
  readonly nextWake: Instant | null
  readonly counts: Readonly<HostCounts>
  /** State keys held, by detector. */
  keys(): Record<string, number>
}
