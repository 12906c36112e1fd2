import { z } from 'zod'
import { Instant } from '../../schemas/index.ts'

/** A sum that forgets: an amount counts 1/e after `tau`. No window edges to hide behind, and two numbers of state. */
export const LeakySum = z.object({ value: z.number().min(0), at: Instant })
export type LeakySum = z.infer<typeof LeakySum>

/** Adds `amount` at `now`, in place, and returns the sum. An earlier `now` than the last counts as the last. */
export function pour(sum: LeakySum, amount: number, now: Instant, tau: number): number {
  const elapsed = now - sum.at
  if (elapsed > 0) {
    sum.value *= Math.exp(-elapsed / tau)
    sum.at = now
  }
  sum.value += amount
  return sum.value
}
