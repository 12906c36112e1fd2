import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface FewPixelsOptions {
  readonly random: Random
  readonly budget: number
  /** Pixels that one candidate changes. */
  readonly count?: number
  readonly population?: number
  /** How much of the difference of two candidates is added to a third. */
  readonly factor?: number
  readonly side?: number
}

/**
 * One pixel attack, with more than one: score-based; differential evolution of where pixels are changed and to what.
 * Su, Vargas and Sakurai, "One pixel attack for fooling deep neural networks", IEEE Transactions on Evolutionary Computation 2019
 * (no crossover, each child against its own parent, as there).
 */
export function fewPixels(oracle: Oracle, target: Target, options: FewPixelsOptions): Promise<AttackResult> {
  const { random, count = 20, population = 20, factor = 0.5, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source, label } = target
  // Row, column and value of each pixel in turn.
  const bounds = [side - 1, side - 1, 1]
  const boundOf = (gene: number) => bounds[gene % 3] ?? 1
  const image = (genes: Float32Array) => {
    const changed = source.slice()
    for (let at = 0; at < genes.length; at += 3) {
      const [row = 0, column = 0, value = 0] = genes.subarray(at, at + 3)
      changed[Math.round(row) * side + Math.round(column)] = value
    }
    return changed
  }
  const scoreOf = async (genes: Float32Array) => lead((await attempt.ask(image(genes))).probabilities, label)
  return attempt.run(async () => {
    const all: { genes: Float32Array; score: number }[] = []
    for (let k = 0; k < population; k++) {
      const genes = Float32Array.from({ length: 3 * count }, (_, gene) => random.between(0, boundOf(gene)))
      const score = await scoreOf(genes)
      if (score <= 0) return
      all.push({ genes, score })
    }
    for (;;) {
      for (const parent of all) {
        const [a, b, c] = [random.pick(all), random.pick(all), random.pick(all)]
        const genes = a.genes.map((value, i) => {
          const moved = value + factor * ((b.genes[i] ?? 0) - (c.genes[i] ?? 0))
          return Math.min(boundOf(i), Math.max(0, moved))
        })
        const score = await scoreOf(genes)
        if (score <= 0) return
        if (score < parent.score) Object.assign(parent, { genes, score })
      }
    }
  })
}
