import { unit } from './hopskipjump.ts'
import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface SignOptOptions {
  readonly random: Random
  readonly budget: number
  readonly starts?: readonly Float32Array[]
  readonly directions?: number
}

/**
 * Sign-OPT: decision-based; minimises the distance to the boundary over directions, with one query for the
 * sign of each directional derivative. Cheng et al., "Sign-OPT: a query-efficient hard-label adversarial
 * attack", ICLR 2020.
 */
export function signOpt(oracle: Oracle, target: Target, options: SignOptOptions): Promise<AttackResult> {
  const { random, directions = 40 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source } = target
  return attempt.run(async () => {
    let theta = source
    let reach = Number.POSITIVE_INFINITY
    const starts = options.starts ?? Array.from({ length: 10 }, () => source.map(() => random.normal()))
    for (const start of starts) {
      const direction = options.starts ? unit(start.map((value, i) => value - (source[i] ?? 0))) : unit(start)
      const found = await reachOf(attempt, direction, Math.min(reach, 28))
      if (found < reach) {
        reach = found
        theta = direction
      }
    }
    if (!Number.isFinite(reach)) return
    for (;;) {
      const gradient = new Float32Array(source.length)
      for (let k = 0; k < directions; k++) {
        const noise = unit(source.map(() => random.normal()))
        const turned = unit(theta.map((value, i) => value + 0.02 * (noise[i] ?? 0)))
        const sign = (await attempt.fools(step(source, turned, reach))) ? -1 : 1
        for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] ?? 0) + (sign * (noise[i] ?? 0)) / directions
      }
      const turned = unit(theta.map((value, i) => value - 0.2 * (gradient[i] ?? 0)))
      const found = await reachOf(attempt, turned, reach)
      if (found < reach) {
        reach = found
        theta = turned
      }
    }
  })
}

/** Distance to the boundary along a direction if it is below `limit`, else infinity; bisected to 0.01. */
async function reachOf(attempt: Attempt, direction: Float32Array, limit: number): Promise<number> {
  const { source } = attempt.target
  if (!(await attempt.fools(step(source, direction, limit)))) return Number.POSITIVE_INFINITY
  let low = 0
  let high = limit
  while (high - low > 0.01) {
    const middle = (low + high) / 2
    if (await attempt.fools(step(source, direction, middle))) high = middle
    else low = middle
  }
  return high
}
