import { bisectToBoundary, noiseStart } from './boundary.ts'
import { unit } from './hopskipjump.ts'
import { type AttackResult, Attempt, l2, type Oracle, type Target } from './oracle.ts'
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

type Plane = (degrees: number) => Float32Array

/** Points of the circle over source and boundary point, tilted towards `direction`; 0° is the boundary point. */
function planeOf(source: Float32Array, current: Float32Array, direction: Float32Array): Plane {
  const distance = l2(current, source)
  const towards = unit(current.map((value, i) => value - (source[i] ?? 0)))
  let along = 0
  for (let i = 0; i < towards.length; i++) along += (towards[i] ?? 0) * (direction[i] ?? 0)
  const across = unit(direction.map((value, i) => value - along * (towards[i] ?? 0)))
  return (degrees) => {
    const radians = (degrees * Math.PI) / 180
    const [forth, aside] = [distance * Math.cos(radians) ** 2, distance * Math.cos(radians) * Math.sin(radians)]
    return source.map((value, i) => Math.min(1, Math.max(0, value + forth * (towards[i] ?? 0) + aside * (across[i] ?? 0))))
  }
}

/** The widest of ± k/angles · widest that is misread, from wide to narrow; null if none. */
async function firstMisread(attempt: Attempt, plane: Plane, widest: number, angles: number): Promise<number | null> {
  for (let k = angles; k >= 1; k--) {
    for (const sign of [1, -1]) {
      const angle = (sign * k * widest) / angles
      if (await attempt.fools(plane(angle))) return angle
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
    if (await attempt.fools(plane(middle))) good = middle
    else bad = middle
  }
  return plane(good)
}
