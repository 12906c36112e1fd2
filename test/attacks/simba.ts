import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface SimbaOptions {
  readonly random: Random
  readonly budget: number
  /** L2 length of every step. */
  readonly epsilon?: number
  /** Single pixels, or low-frequency cosine waves. */
  readonly basis?: 'pixel' | 'dct'
  readonly side?: number
}

/**
 * SimBA: score-based; tries ± one basis vector at a time and keeps what lowers the right label's probability.
 * Guo et al., "Simple black-box adversarial attacks", ICML 2019.
 */
export function simba(oracle: Oracle, target: Target, options: SimbaOptions): Promise<AttackResult> {
  const { random, epsilon = 0.2, basis = 'pixel', side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  return attempt.run(async () => {
    let current = target.source
    const first = await attempt.ask(current)
    let best = first.probabilities[target.label] ?? 0
    let label = first.label
    for (const index of order(basis === 'pixel' ? side * side : 14 * 14, random)) {
      if (label !== target.label) return
      const direction = basis === 'pixel' ? pixel(side, index) : wave(side, index % 14, Math.floor(index / 14))
      for (const sign of [1, -1]) {
        const candidate = step(current, direction, sign * epsilon)
        const answer = await attempt.ask(candidate)
        const score = answer.probabilities[target.label] ?? 0
        if (score >= best) continue
        best = score
        label = answer.label
        current = candidate
        break
      }
    }
  })
}

function order(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const kept = all[i] ?? 0
    all[i] = all[j] ?? 0
    all[j] = kept
  }
  return all
}

function pixel(side: number, index: number): Float32Array {
  const direction = new Float32Array(side * side)
  direction[index] = 1
  return direction
}

/** A unit-length cosine wave of the discrete cosine transform, frequencies (u, v). */
function wave(side: number, u: number, v: number): Float32Array {
  const scale = (k: number) => Math.sqrt((k === 0 ? 1 : 2) / side)
  const cosine = (k: number, x: number) => scale(k) * Math.cos((Math.PI * (2 * x + 1) * k) / (2 * side))
  return Float32Array.from({ length: side * side }, (_, i) => cosine(u, i % side) * cosine(v, Math.floor(i / side)))
}
