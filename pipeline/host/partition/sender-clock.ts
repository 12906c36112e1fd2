import type { Instant } from '../../../schemas/index.ts'

/** When the log took a record, and what its sender's clock said when it was shipped; null where the sender does not say. */
export interface Stamp {
  readonly appendedAt: Instant
  readonly sentAt: Instant | null
}

export interface JudgedTime {
  /** The time to go by. */
  readonly time: Instant
  /** How far the clock behind the claim was ahead of the log's (negative: behind), milliseconds; null where it is trusted. */
  readonly skewMs: number | null
  /** The log's own clock says that it is not of a time to come. */
  readonly vouched: boolean
}

/** Shipping may take so long: a sender that seems to be behind by no more is only slow. */
const shippingMs = 30_000

/**
 * Bounds what a sender's clock can do, by the log's own. Of one record alone, so that every replay judges the same:
 *
 * - A sender whose clock, when it shipped the record, was ahead by more than `skewMs`, or behind by more than that and
 *   30 s: the times it claims are off by as much, and are corrected.
 * - What would then still lie more than `skewMs` after the log took it cannot be: it happened when the log took it.
 *
 * So no record moves event time beyond the log's by more than `skewMs`, and a node's own events keep their order.
 *
 * @param claimed event time, by the sender's clock
 * @param stamp absent where a log keeps its writers' times: nothing is known of their clocks then
 */
export function judgeTime(claimed: Instant, stamp: Stamp | undefined, skewMs: number): JudgedTime {
  // A log that carries the writer's time shows the same; of an honest clock it says that there is nothing to correct.
  if (stamp === undefined || stamp.appendedAt === claimed) return { time: claimed, skewMs: null, vouched: false }
  const { appendedAt, sentAt } = stamp
  const skew = sentAt === null ? 0 : sentAt - appendedAt
  const off = skew > skewMs || -skew > Math.max(skewMs, shippingMs)
  const corrected = off ? Math.max(0, claimed - skew) : claimed
  if (corrected > appendedAt + skewMs) return { time: appendedAt, skewMs: off ? skew : claimed - appendedAt, vouched: true }
  return { time: corrected, skewMs: off ? skew : null, vouched: true }
}
