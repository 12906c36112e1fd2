import { bisectToBoundary } from './boundary.ts'
import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import { planeOf } from './plane.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

export interface TriangleOptions {
  readonly random: Random
  readonly budget: number
  /** An image that the model reads as something else. */
  readonly start: Float32Array
  /** Angles tried in one plane after the first. */
  readonly tries?: number
  readonly cut?: number
  readonly side?: number
}

/** How far from a right angle the learnt one may be, and what a success and a failure change of it; radians, as in the paper. */
const [slack, learning, forgetting] = [0.1, 0.01, 0.05]

/**
 * Triangle attack: decision-based; source, the last misread image and the next one are the corners of a triangle in a random plane of
 * low frequencies, and the law of sines says which angles bring the next one nearer. After the start it halves angles, not lines.
 * Wang, Zhang, Wei and others, "Triangle attack: a query-efficient decision-based adversarial attack", ECCV 2022.
 */
export function triangle(oracle: Oracle, target: Target, options: TriangleOptions): Promise<AttackResult> {
  const { random, start, tries = 2, cut = 8, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const waves = new Waves(side, cut)
  const { source } = target
  return attempt.run(async () => {
    if (!(await attempt.fools(start))) return
    let current = await bisectToBoundary(attempt, start, 0.02)
    let alpha = Math.PI / 2
    const misread = async (corner: (alpha: number, beta: number, sign: number) => Float32Array, beta: number) => {
      for (const sign of [1, -1]) {
        const image = corner(alpha, beta, sign)
        const fooled = await attempt.fools(image)
        alpha += fooled ? learning : -forgetting * learning
        alpha = Math.min(Math.PI / 2 + slack, Math.max(Math.PI / 2 - slack, alpha))
        if (fooled) return image
      }
      return null
    }
    for (;;) {
      const corner = cornersOf(source, current, waves.direction(random))
      let [low, high] = [Math.max(Math.PI - 2 * alpha, 0) + Math.PI / 16, Math.PI / 2]
      let found = await misread(corner, low)
      for (let tried = 0; found !== null && tried < tries; tried++) {
        current = found
        const middle = (low + high) / 2
        found = await misread(corner, middle)
        if (found === null) high = middle
        else low = middle
      }
      if (found !== null) current = found
    }
  })
}

/** Third corners over source and current image, `beta` radians at the source and `alpha` at the third, on one side or the other. */
function cornersOf(source: Float32Array, current: Float32Array, direction: Float32Array) {
  const { distance, at } = planeOf(source, current, direction)
  return (alpha: number, beta: number, sign: number): Float32Array => {
    const reach = (distance * Math.sin(alpha + beta)) / Math.sin(alpha)
    return at(reach * Math.cos(beta), sign * reach * Math.sin(beta))
  }
}
