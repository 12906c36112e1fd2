import { z } from 'zod'
import { Instant } from '../../schemas/index.ts'

/** The largest ordinary value so far. Once settled it grows only slowly: raising it in steps ("boiling the frog") takes hours. */
export const Ceiling = z.object({ value: z.number().min(0), at: Instant })
export type Ceiling = z.infer<typeof Ceiling>

const hour = 3_600_000

/**
 * Lets the ceiling follow `x`, in place.
 *
 * @param growth factor by which it may rise in an hour, at most once an hour's worth at a time; Infinity before it is settled
 * @param free values up to here are taken at once: too small to matter
 */
export function raise(c: Ceiling, x: number, now: Instant, growth: number, free: number): void {
  if (x <= c.value) return
  const hours = Math.min(1, Math.max(0, now - c.at) / hour)
  const allowed = growth === Number.POSITIVE_INFINITY ? x : Math.max(free, c.value * growth ** hours)
  if (allowed <= c.value) return
  c.value = Math.min(x, allowed)
  c.at = Math.max(c.at, now)
}
