import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface NesOptions {
  readonly random: Random
  readonly budget: number
  /** Standard deviation of the search noise. */
  readonly sigma?: number
  /** Queries for each gradient estimate, even: they come in antithetic pairs. */
  readonly samples?: number
  readonly rate?: number
  /** L∞ bound. */
  readonly epsilon?: number
}

/**
 * NES: score-based; estimates the gradient from antithetic Gaussian pairs, then takes signed steps.
 * Ilyas, Engstrom, Athalye and Lin, "Black-box adversarial attacks with limited queries and information", ICML 2018.
 */
export function nes(oracle: Oracle, target: Target, options: NesOptions): Promise<AttackResult> {
  const { random, sigma = 0.01, samples = 20, rate = 0.02, epsilon = 0.3 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source, label } = target
  const clip = (value: number) => Math.min(1, Math.max(0, value))
  return attempt.run(async () => {
    let current = source
    for (;;) {
      const gradient = new Float32Array(source.length)
      for (let pair = 0; pair < samples / 2; pair++) {
        const noise = Float32Array.from(source, () => random.normal())
        for (const sign of [1, -1]) {
          const probe = current.map((value, i) => clip(value + sign * sigma * (noise[i] ?? 0)))
          const score = lead((await attempt.ask(probe)).probabilities, label)
          for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] ?? 0) + sign * score * (noise[i] ?? 0)
        }
      }
      current = current.map((value, i) => {
        const moved = value - rate * Math.sign(gradient[i] ?? 0)
        const original = source[i] ?? 0
        return clip(Math.min(original + epsilon, Math.max(original - epsilon, moved)))
      })
      if (await attempt.fools(current)) return
    }
  })
}
