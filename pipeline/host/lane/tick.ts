import { encodeTick, newEvent } from '../../../bus/codec.ts'
import type { Instant } from '../../../schemas/index.ts'
import type { HostContext } from '../context.ts'
import type { Applier } from './applier.ts'

/** Shares of `aheadMs` behind the clock: where event time has fallen so far that it is moved, and to where. */
const staleShare = 0.9
const freshShare = 0.8

/**
 * Puts the time on the log of an idle partition where something waits for it.
 *
 * @param patienceMs how much longer than the owner somebody waits who stands in for it
 */
export async function tickWhereDue(work: Applier, context: HostContext, patienceMs = 0): Promise<void> {
  const until = tickDue(work, context, patienceMs)
  if (until === null) return
  const event = newEvent('tick', { until }, context.source, until)
  const [at] = await context.bus.publish([encodeTick(work.topic, work.partition, event)])
  work.tickedTo = at?.offset ?? -1
}

/**
 * The event time to put on the log, null for none. Only for a partition that is read to its end, and only once
 * until it was read back.
 */
function tickDue({ host, end, tickedTo, fedAt }: Applier, { clock, tickMs, aheadMs }: HostContext, patienceMs: number): Instant | null {
  const { watermark, nextWake, next } = host
  if (watermark === null || next < end || next <= tickedTo) return null
  const now = clock()
  if (nextWake !== null && nextWake <= now - patienceMs && now - fedAt >= tickMs + patienceMs) return now
  // Event time follows the clock at a distance, or the first event after a quiet night would seem to come from a broken clock.
  return watermark < now - patienceMs - staleShare * aheadMs ? Math.floor(now - freshShare * aheadMs) : null
}
