import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface RaysOptions {
  readonly random: Random
  readonly budget: number
  /** Begin with random signs in place of all brighter. */
  readonly shuffle?: boolean
}

/**
 * RayS: decision-based; searches the corners of the L∞ cube for the direction with the nearest boundary, flipping the
 * signs of ever smaller blocks. Chen and Gu, "RayS: a ray searching method for hard-label adversarial attack", KDD 2020.
 */
export function rays(oracle: Oracle, target: Target, options: RaysOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, options.budget)
  const { source } = target
  return attempt.run(async () => {
    let signs = source.map(() => (options.shuffle && options.random.next() < 0.5 ? -1 : 1))
    let radius = await nearer(attempt, signs, 1)
    for (let blocks = 1; ; blocks = blocks * 2 > source.length ? 1 : blocks * 2) {
      const width = Math.ceil(source.length / blocks)
      for (let from = 0; from < source.length; from += width) {
        const flipped = signs.map((sign, i) => (i >= from && i < from + width ? -sign : sign))
        const found = await nearer(attempt, flipped, radius)
        if (found >= radius) continue
        radius = found
        signs = flipped
      }
    }
  })
}

/** The radius at which this direction is misread, bisected to 0.01, if that is nearer than `limit`; else `limit`. */
async function nearer(attempt: Attempt, signs: Float32Array, limit: number): Promise<number> {
  const { source } = attempt.target
  if (!(await attempt.fools(step(source, signs, limit)))) return limit
  let low = 0
  let high = limit
  while (high - low > 0.01) {
    const middle = (low + high) / 2
    if (await attempt.fools(step(source, signs, middle))) high = middle
    else low = middle
  }
  return high
}
