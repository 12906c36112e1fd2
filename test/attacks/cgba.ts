import { bisectToBoundary } from './boundary.ts'
import { unit } from './hopskipjump.ts'
import { type AttackResult, Attempt, l2, type Oracle, step, type Target } from './oracle.ts'
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
  const { source } = target
  return attempt.run(async () => {
    if (!(await attempt.fools(start))) return
    let current = await bisectToBoundary(attempt, start, 0.01)
    for (let iteration = 1; ; iteration++) {
      const total = new Float32Array(source.length)
      for (let k = 0; k < Math.round(directions * Math.sqrt(iteration)); k++) {
        const probe = waves.direction(random)
        const sign = (await attempt.fools(step(current, probe, sigma))) ? 1 : -1
        for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + sign * (probe[i] ?? 0)
      }
      current = await alongCircle(attempt, current, unit(total))
    }
  })
}

/** The last misread point of the half-circle over source and `current`, towards `normal`; `current` itself where none is nearer. */
async function alongCircle(attempt: Attempt, current: Float32Array, normal: Float32Array): Promise<Float32Array> {
  const { source } = attempt.target
  const distance = l2(current, source)
  const towards = unit(current.map((value, i) => value - (source[i] ?? 0)))
  const along = towards.reduce((sum, value, i) => sum + value * (normal[i] ?? 0), 0)
  const across = unit(normal.map((value, i) => value - along * (towards[i] ?? 0)))
  const at = (angle: number) => {
    const [forth, aside] = [distance * Math.cos(angle) ** 2, distance * Math.cos(angle) * Math.sin(angle)]
    return source.map((value, i) => Math.min(1, Math.max(0, value + forth * (towards[i] ?? 0) + aside * (across[i] ?? 0))))
  }
  let [low, high] = [0, Math.PI / 2]
  let found = current
  for (let tried = 0; tried < 6; tried++) {
    const middle = (low + high) / 2
    const image = at(middle)
    if (await attempt.fools(image)) {
      found = image
      low = middle
    } else high = middle
  }
  return found
}
