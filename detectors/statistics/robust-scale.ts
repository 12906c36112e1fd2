import { z } from 'zod'

/**
 * Running location and scale of a stream, in constant space. A Huber step: each value moves the estimates by at
 * most three scales times the rate, so one outlier (or one attacker) cannot drag the baseline.
 */
export const RobustScale = z.object({ n: z.int().min(0), location: z.number(), scale: z.number().min(0) })
export type RobustScale = z.infer<typeof RobustScale>

/** The slowest rate: about the last hundred values count. */
const rate = 0.01
/** E|x − mean| of a Gaussian is 0.798 σ. */
const gaussian = 1.2533
const clip = 3

/** @param scale what to assume before anything was seen, in the units of the values */
export function robustScale(scale: number): RobustScale {
  return { n: 0, location: 0, scale }
}

/** Learns `x`, in place. The scale never falls below `floor`. */
export function learn(r: RobustScale, x: number, floor: number): void {
  r.n++
  if (r.n === 1) {
    r.location = x
    return
  }
  const bound = clip * r.scale
  const d = Math.min(bound, Math.max(-bound, x - r.location))
  r.location += Math.max(1 / r.n, rate) * d
  // Four prior observations of the assumed scale: two equal values do not make a certain baseline.
  r.scale = Math.max(floor, r.scale + Math.max(1 / (r.n + 4), rate) * (gaussian * Math.abs(d) - r.scale))
}
