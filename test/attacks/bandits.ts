import { unit } from './hopskipjump.ts'
import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface BanditsOptions {
  readonly random: Random
  readonly budget: number
  /** L∞ bound. */
  readonly epsilon?: number
  /** L2 length of a probe. */
  readonly probe?: number
  /** How far probes turn away from what is believed of the gradient. */
  readonly exploration?: number
  /** How much one pair of probes changes that belief, and one step the image. */
  readonly learning?: number
  readonly rate?: number
  /** The belief is of tiles of so many pixels a side. */
  readonly tile?: number
  readonly side?: number
}

/**
 * Bandits with time and data priors: score-based; keeps a belief of the gradient from step to step, coarser than the image, and
 * corrects it by one antithetic pair a step. Ilyas, Engstrom and Madry, "Prior convictions: black-box adversarial attacks with
 * bandits and priors", ICLR 2019 (L∞ steps).
 */
export function bandits(oracle: Oracle, target: Target, options: BanditsOptions): Promise<AttackResult> {
  const { random, epsilon = 0.3, probe = 1, exploration = 1, learning = 2, rate = 0.05, tile = 4, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source, label } = target
  const across = Math.ceil(side / tile)
  const enlarged = (tiles: Float32Array) =>
    source.map((_, i) => tiles[Math.floor(i / side / tile) * across + Math.floor((i % side) / tile)] ?? 0)
  return attempt.run(async () => {
    let current = source
    let belief = new Float32Array(across * across)
    for (;;) {
      const away = Float32Array.from(belief, () => random.normal() / across)
      const scores: number[] = []
      for (const sign of [1, -1]) {
        const asked = unit(enlarged(belief.map((value, i) => value + sign * exploration * (away[i] ?? 0))))
        const answer = await attempt.ask(step(current, asked, probe))
        if (answer.label !== label) return
        scores.push(lead(answer.probabilities, label))
      }
      const slope = ((scores[0] ?? 0) - (scores[1] ?? 0)) / (exploration * probe)
      belief = belief.map((value, i) => value - learning * slope * (away[i] ?? 0))
      const towards = enlarged(belief)
      current = current.map((value, i) => {
        const moved = value + rate * Math.sign(towards[i] ?? 0)
        const original = source[i] ?? 0
        return Math.min(1, Math.max(0, original - epsilon, Math.min(original + epsilon, moved)))
      })
    }
  })
}
