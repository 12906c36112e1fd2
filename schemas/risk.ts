import { z } from 'zod'
import { Instant, Name, Unit } from './primitives.ts'

/** What the findings of late say of a principal. Compacted topic `risks`, keyed by principal; it fades by itself, see {@link riskAt}. */
export const Risk = z.object({
  principal: Name,
  /** Confidence of the finding that stands out most, as it was at `at`. */
  score: Unit,
  /** The detector that raised it. */
  kind: Name,
  at: Instant,
  /** From here on there is none. */
  until: Instant,
  /** In which it halves. All fade alike, so that what is less now stays less. */
  halfLifeMs: z.int().min(1),
})
export type Risk = z.infer<typeof Risk>

/** @returns 0 to 1; before `at`, as it was there */
export function riskAt({ score, at, until, halfLifeMs }: Risk, now: Instant): number {
  if (now >= until) return 0
  return score * 2 ** -(Math.max(0, now - at) / halfLifeMs)
}
