import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface ZooOptions {
  readonly random: Random
  readonly budget: number
  /** Finite-difference step, and the step of the descent, in pixel values. */
  readonly difference?: number
  readonly rate?: number
}

/**
 * ZOO: score-based coordinate descent by symmetric finite differences of single pixels.
 * Chen et al., "ZOO: zeroth order optimization based black-box attacks to deep neural networks without
 * training substitute models", AISec 2017 (plain coordinate descent).
 */
export function zoo(oracle: Oracle, target: Target, options: ZooOptions): Promise<AttackResult> {
  const { random, difference = 0.05, rate = 0.3 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const clip = (value: number) => Math.min(1, Math.max(0, value))
  return attempt.run(async () => {
    const current = target.source.slice()
    if (await attempt.fools(current)) return
    for (;;) {
      const at = random.below(current.length)
      const probe = async (offset: number) => {
        const image = current.slice()
        image[at] = clip((image[at] ?? 0) + offset)
        return attempt.ask(image)
      }
      const up = await probe(difference)
      const down = await probe(-difference)
      const slope = lead(up.probabilities, target.label) - lead(down.probabilities, target.label)
      if (up.label !== target.label || down.label !== target.label) return
      if (slope !== 0) current[at] = clip((current[at] ?? 0) - rate * Math.sign(slope))
    }
  })
}
