import { bisectToBoundary } from './boundary.ts'
import { normalAt } from './normal.ts'
import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import { onCircle, planeOf } from './plane.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

export interface CgbaOptions {
  readonly random: Random
  readonly budget: number
  /** An image that the model reads as something else. */
  readonly start: Float32Array
  /** Queries for the first normal; later ones take more, with the root of their number. */
  readonly directions?: number
  /** L2 length of the probes around the boundary point. */
  readonly sigma?: number
  readonly cut?: number
  readonly side?: number
}

/**
 * CGBA: decision-based; in the plane of the source, the boundary point and the boundary's normal it searches the half-circle over both for
 * where it crosses the boundary. Reza, Rahmati, Wu and Dai, "CGBA: curvature-aware geometric black-box attack", ICCV 2023.
 */
export function cgba(oracle: Oracle, target: Target, options: CgbaOptions): Promise<AttackResult> {
  const { random, start, directions = 30, sigma = 0.4, cut = 10, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const waves = new Waves(side, cut)
  return attempt.run(async () => {
    if (!(await attempt.fools(start))) return
    let current = await bisectToBoundary(attempt, start, 0.01)
    for (let iteration = 1; ; iteration++) {
      const count = Math.round(directions * Math.sqrt(iteration))
      const normal = await normalAt(attempt, current, () => waves.direction(random), count, sigma)
      current = await alongCircle(attempt, current, normal)
    }
  })
}

/** The last misread point of the half-circle over source and `current`, towards `normal`; `current` itself where none is nearer. */
async function alongCircle(attempt: Attempt, current: Float32Array, normal: Float32Array): Promise<Float32Array> {
  const plane = planeOf(attempt.target.source, current, normal)
  let [low, high] = [0, Math.PI / 2]
  let found = current
  for (let tried = 0; tried < 6; tried++) {
    const middle = (low + high) / 2
    const image = onCircle(plane, middle)
    if (await attempt.fools(image)) {
      found = image
      low = middle
    } else high = middle
  }
  return found
}
