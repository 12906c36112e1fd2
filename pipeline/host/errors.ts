import { CordonError } from '../../schemas/index.ts'

/**
 * Codes of the detector host.
 *
 * - `SNAPSHOT_MISMATCH`: written by another host format, detector version, parameter set or partition: replay.
 * - `SNAPSHOT_CORRUPT`: torn, fails its checksum, or a state does not pass its detector's schema: replay.
 * - `LAYOUT_MISMATCH`: the topic has other partitions than the state was made for: `cordon repartition`.
 * - `UNEXPECTED_KIND`: a record on an observed topic that is neither an observation nor a tick.
 * - `DETECTOR_FAULT`: a detector broke its contract (key too long, a wake time that is no number, an invalid finding).
 * - `PARTITION_UNCERTAIN`: the group has not confirmed lately that a partition is ours; what it owes waits.
 * - `HOST_INVALID`: options that cannot work.
 */
export type HostErrorCode =
  | 'SNAPSHOT_MISMATCH'
  | 'SNAPSHOT_CORRUPT'
  | 'LAYOUT_MISMATCH'
  | 'UNEXPECTED_KIND'
  | 'DETECTOR_FAULT'
  | 'PARTITION_UNCERTAIN'
  | 'HOST_INVALID'

export class HostError extends CordonError<HostErrorCode> {
  constructor(code: HostErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'HostError'
  }
}
