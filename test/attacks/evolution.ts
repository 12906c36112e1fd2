import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'
import { Waves } from './waves.ts'

export interface EvolutionOptions {
  readonly random: Random
  readonly budget: number
  /** L∞ bound. */
  readonly epsilon?: number
  /** First step size, in L2 lengths of a wave. */
  readonly sigma?: number
  readonly population?: number
  /** Frequencies a side that are searched. */
  readonly cut?: number
  readonly side?: number
}

/**
 * Evolution strategy over low-frequency coefficients, with a variance of its own for each: CMA-ES with a diagonal
 * covariance (Ros and Hansen, "A simple modification in CMA-ES achieving linear time and space complexity", PPSN 2008),
 * as used against image models by Meunier, Atif and Teytaud, "Yet another but more efficient black-box adversarial
 * attack: tiling and evolution strategies", 2019.
 */
export function evolution(oracle: Oracle, target: Target, options: EvolutionOptions): Promise<AttackResult> {
  const { random, epsilon = 0.35, population = 12, cut = 7, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const waves = new Waves(side, cut)
  const parents = population >> 1
  const weights = logWeights(parents)
  return attempt.run(async () => {
    const mean = new Float32Array(waves.size)
    const deviation = new Float32Array(waves.size).fill(options.sigma ?? 0.8)
    const path = new Float32Array(waves.size)
    for (;;) {
      const members: { steps: Float32Array; score: number }[] = []
      for (let k = 0; k < population; k++) {
        const steps = mean.map(() => random.normal())
        const change = waves.image(mean.map((value, i) => value + (deviation[i] ?? 0) * (steps[i] ?? 0)))
        const image = target.source.map((value, i) => {
          const bounded = Math.min(epsilon, Math.max(-epsilon, change[i] ?? 0))
          return Math.min(1, Math.max(0, value + bounded))
        })
        const score = lead((await attempt.ask(image)).probabilities, target.label)
        if (score < 0) return
        members.push({ steps, score })
      }
      members.sort((a, b) => a.score - b.score)
      for (let i = 0; i < mean.length; i++) {
        let shift = 0
        let spread = 0
        for (const [k, weight] of weights.entries()) {
          const taken = members[k]?.steps[i] ?? 0
          shift += weight * taken
          spread += weight * taken * taken
        }
        path[i] = 0.7 * (path[i] ?? 0) + shift
        // Widen where the best agree on a direction or lie far out, narrow where they do not.
        const widening = 0.2 * (spread - 1) + 0.05 * ((path[i] ?? 0) ** 2 - 0.5)
        mean[i] = (mean[i] ?? 0) + (deviation[i] ?? 0) * shift
        deviation[i] = (deviation[i] ?? 0) * Math.exp(Math.min(0.2, Math.max(-0.2, widening)))
      }
    }
  })
}

/** The usual weights of recombination, falling with the logarithm of the rank; they sum to 1. */
function logWeights(parents: number): number[] {
  const raw = Array.from({ length: parents }, (_, k) => Math.log(parents + 0.5) - Math.log(k + 1))
  const total = raw.reduce((a, b) => a + b, 0)
  return raw.map((value) => value / total)
}
