import { bisectToBoundary, noiseStart } from './boundary.ts'
import { type AttackResult, Attempt, l2, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface HopSkipJumpOptions {
  readonly random: Random
  readonly budget: number
  readonly start?: Float32Array
  /** Directions in the first gradient estimate; grows with √iteration. */
  readonly directions?: number
  /** Draws a probe of unit length; without it, Gaussian in every pixel. */
  readonly direction?: () => Float32Array
}

/**
 * HopSkipJump: decision-based; bisects to the boundary, estimates its normal from labels of random
 * neighbours, jumps along it. Chen, Jordan and Wainwright, "HopSkipJumpAttack: a query-efficient
 * decision-based attack", IEEE S&P 2020 (L2 variant).
 */
export function hopSkipJump(oracle: Oracle, target: Target, options: HopSkipJumpOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, options.budget)
  const width = target.source.length
  const { random } = options
  const direction = options.direction ?? (() => unit(Float32Array.from(target.source, () => random.normal())))
  const theta = 1 / (Math.sqrt(width) * width)
  return attempt.run(async () => {
    const begin = options.start ?? (await noiseStart(attempt, options.random))
    if (begin === null) return
    if (options.start !== undefined && !(await attempt.fools(begin))) return
    let current = await bisectToBoundary(attempt, begin, Math.max(theta, 1e-3))
    for (let iteration = 1; ; iteration++) {
      const distance = l2(current, target.source)
      const radius = iteration === 1 ? 0.1 * Math.sqrt(width) * 0.1 : Math.max(0.02, Math.sqrt(width) * theta * distance)
      const count = Math.round((options.directions ?? 100) * Math.sqrt(iteration))
      const normal = await estimateNormal(attempt, current, radius, count, direction)
      let jump = distance / Math.sqrt(iteration)
      while (jump > 1e-3 && !(await attempt.fools(step(current, normal, jump)))) jump /= 2
      current = await bisectToBoundary(attempt, step(current, normal, jump), Math.max(theta, 1e-3))
    }
  })
}

/** Unit normal of the boundary at `at`, from the labels of `count` neighbours at distance `radius`. */
async function estimateNormal(
  attempt: Attempt,
  at: Float32Array,
  radius: number,
  count: number,
  draw: () => Float32Array,
): Promise<Float32Array> {
  const directions: Float32Array[] = []
  const signs: number[] = []
  for (let i = 0; i < count; i++) {
    const direction = draw()
    directions.push(direction)
    signs.push((await attempt.fools(step(at, direction, radius))) ? 1 : -1)
  }
  const mean = signs.reduce((sum, sign) => sum + sign, 0) / count
  const total = new Float32Array(at.length)
  directions.forEach((direction, k) => {
    const weight = Math.abs(mean) === 1 ? mean : (signs[k] ?? 0) - mean
    for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + weight * (direction[i] ?? 0)
  })
  return unit(total)
}

export function unit(x: Float32Array): Float32Array {
  const length = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) || 1
  return x.map((value) => value / length)
}
