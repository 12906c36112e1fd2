import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface SquareOptions {
  readonly random: Random
  readonly budget: number
  /** Bound of the change in any pixel. */
  readonly epsilon?: number
  /** Share of pixels in the first square. */
  readonly share?: number
  readonly side?: number
  /** A change to begin with; without it, the paper's stripes. */
  readonly start?: Float32Array
}

/**
 * Square attack: score-based random search over squares of ±epsilon.
 * Andriushchenko, Croce, Flammarion and Hein, "Square attack: a query-efficient black-box adversarial attack
 * via random search", ECCV 2020 (L∞ variant, with its schedule for the square's size).
 */
export function squareAttack(oracle: Oracle, target: Target, options: SquareOptions): Promise<AttackResult> {
  const { random, epsilon = 0.3, share = 0.3, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const bounded = (delta: Float32Array) => target.source.map((value, i) => Math.min(1, Math.max(0, value + (delta[i] ?? 0))))
  return attempt.run(async () => {
    let delta = options.start ?? stripes(target.source.length, side, epsilon, random)
    let best = lead((await attempt.ask(bounded(delta))).probabilities, target.label)
    for (let iteration = 0; best > 0; iteration++) {
      const candidate = withSquare(delta, side, squareSide(share, iteration, options.budget, side), epsilon, random)
      const score = lead((await attempt.ask(bounded(candidate))).probabilities, target.label)
      if (score < best) {
        best = score
        delta = candidate
      }
    }
  })
}

/** Probability of the right label less the best other one: below 0 the image is misread. */
export function lead(probabilities: Float32Array, label: number): number {
  let other = 0
  probabilities.forEach((p, i) => {
    if (i !== label && p > other) other = p
  })
  return (probabilities[label] ?? 0) - other
}

function stripes(width: number, side: number, epsilon: number, random: Random): Float32Array {
  const columns = Float32Array.from({ length: side }, () => (random.next() < 0.5 ? -epsilon : epsilon))
  return Float32Array.from({ length: width }, (_, i) => columns[i % side] ?? 0)
}

function withSquare(delta: Float32Array, side: number, size: number, epsilon: number, random: Random): Float32Array {
  const out = delta.slice()
  const top = random.below(side - size + 1)
  const left = random.below(side - size + 1)
  const value = random.next() < 0.5 ? -epsilon : epsilon
  for (let row = top; row < top + size; row++) out.fill(value, row * side + left, row * side + left + size)
  return out
}

/** The paper's schedule (for 10,000 iterations, scaled to the budget): the share halves at fixed points. */
function squareSide(share: number, iteration: number, budget: number, side: number): number {
  const at = (iteration / budget) * 10_000
  const halvings = [10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000].filter((point) => at > point).length
  return Math.max(1, Math.min(side, Math.round(Math.sqrt((share / 2 ** halvings) * side * side))))
}
