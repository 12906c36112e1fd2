import { bisectToBoundary, noiseStart } from './boundary.ts'
import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import { onCircle, type Plane, planeOf } from './plane.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

export interface SurfreeOptions {
  readonly random: Random
  readonly budget: number
  readonly start?: Float32Array
  /** Widest angle tried first, in degrees; adapts. */
  readonly angle?: number
  /** Angles tried on each side of a direction. */
  readonly angles?: number
  readonly cut?: number
  readonly side?: number
}

/**
 * SurFree: decision-based without gradient estimates; in the plane of the source, the boundary point and a random
 * low-frequency direction it turns along the circle on which every point is nearer.
 * Maho, Furon and Le Merrer, "SurFree: a fast surrogate-free black-box attack", CVPR 2021.
 */
export function surfree(oracle: Oracle, target: Target, options: SurfreeOptions): Promise<AttackResult> {
  const { random, angles = 3, cut = 12, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const waves = new Waves(side, cut)
  return attempt.run(async () => {
    const begin = options.start ?? (await noiseStart(attempt, random))
    if (begin === null) return
    if (options.start !== undefined && !(await attempt.fools(begin))) return
    let current = await bisectToBoundary(attempt, begin, 0.01)
    let widest = options.angle ?? 30
    for (;;) {
      const plane = planeOf(target.source, current, waves.direction(random))
      const found = await firstMisread(attempt, plane, widest, angles)
      widest = Math.min(60, Math.max(2, widest * (found === null ? 0.9 : 1.1)))
      if (found !== null) current = await refined(attempt, plane, found, widest)
    }
  })
}

/** The widest of ± k/angles · widest that is misread, from wide to narrow; null if none. */
async function firstMisread(attempt: Attempt, plane: Plane, widest: number, angles: number): Promise<number | null> {
  for (let k = angles; k >= 1; k--) {
    for (const sign of [1, -1]) {
      const angle = (sign * k * widest) / angles
      if (await attempt.fools(tilted(plane, angle))) return angle
    }
  }
  return null
}

/** Bisects between a misread angle and one twice as wide. */
async function refined(attempt: Attempt, plane: Plane, angle: number, widest: number): Promise<Float32Array> {
  let good = angle
  let bad = Math.sign(angle) * Math.min(85, Math.abs(angle) + widest)
  for (let i = 0; i < 4; i++) {
    const middle = (good + bad) / 2
    if (await attempt.fools(tilted(plane, middle))) good = middle
    else bad = middle
  }
  return tilted(plane, good)
}

function tilted(plane: Plane, degrees: number): Float32Array {
  return onCircle(plane, (degrees * Math.PI) / 180)
}
