import { bisectToBoundary, noiseStart } from './boundary.ts'
import { normalAt } from './normal.ts'
import { type AttackResult, Attempt, blend, l2, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

export interface GeodaOptions {
  readonly random: Random
  readonly budget: number
  /** An image that the model reads as something else; without it, noise until one is found. */
  readonly start?: Float32Array
  /** Queries for the first normal; each later one takes `growth` times as many. */
  readonly directions?: number
  readonly growth?: number
  /** L2 length of the probes around the boundary point. */
  readonly sigma?: number
  /** Frequencies a side that probes are made of. */
  readonly cut?: number
  readonly side?: number
}

/**
 * GeoDA: decision-based; takes the boundary for a plane, estimates its normal from labels of low-frequency probes,
 * and walks from the source itself along that normal. Rahmati, Moosavi-Dezfooli, Frossard and Dai, "GeoDA: a geometric
 * framework for black-box adversarial attacks", CVPR 2020 (L2 variant).
 */
export function geoda(oracle: Oracle, target: Target, options: GeodaOptions): Promise<AttackResult> {
  const { random, directions = 20, growth = 1.5, sigma = 0.4, cut = 10, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const waves = new Waves(side, cut)
  const { source } = target
  return attempt.run(async () => {
    const begin = options.start ?? (await noiseStart(attempt, random))
    if (begin === null) return
    if (options.start !== undefined && !(await attempt.fools(begin))) return
    let current = await bisectToBoundary(attempt, begin, 0.01)
    for (let count = directions; ; count = Math.ceil(count * growth)) {
      const normal = await normalAt(attempt, current, () => waves.direction(random), count, sigma)
      const found = await along(attempt, normal, l2(current, source))
      if (found !== null) current = found
    }
  })
}

/** The first misread image from the source along a direction, at most 1.5 times as far as the one known; null if none. */
async function along(attempt: Attempt, direction: Float32Array, known: number): Promise<Float32Array | null> {
  const { source } = attempt.target
  for (let reach = 0.4 * known; reach < 1.5 * known; reach *= 1.25) {
    const end = step(source, direction, reach)
    if (await attempt.fools(end)) return bisectToBoundary(attempt, blend(source, end, 1), 0.02)
  }
  return null
}
