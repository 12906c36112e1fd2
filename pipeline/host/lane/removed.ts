import type { Applier } from './applier.ts'
import type { Extent } from './hosting.ts'
import type { LogBounds } from './log-bounds.ts'
import type { Unseen } from './unseen.ts'

/**
 * Has what retention took before anybody applied it stated; null where it took nothing.
 *
 * @throws BusError of the bus
 */
export async function oweRemoved(
  work: Applier,
  { start, committed }: Pick<Extent, 'start' | 'committed'>,
  bounds: LogBounds,
): Promise<Unseen | null> {
  const { host, forgotten } = work
  // What was forgotten was applied once.
  const applied = Math.max(host.next, committed, forgotten === null ? 0 : forgotten.lastOffset + 1)
  if (applied >= start) return null
  const until = await bounds.firstTime(work, start)
  const from = Math.min(host.watermark ?? 0, until)
  const gap = { kind: 'retention', firstOffset: applied, lastOffset: start - 1, from, until, worstMs: null } as const
  work.oweUnseen(gap)
  return gap
}
