import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import { lead } from './square.ts'

export interface ParsimoniousOptions {
  readonly budget: number
  /** L∞ bound. */
  readonly epsilon?: number
  /** Side of the first blocks; halves once none of them gains. */
  readonly block?: number
  readonly side?: number
}

/**
 * Parsimonious attack: score-based; every block of the image is darker or brighter by the bound, and a lazy greedy search chooses which:
 * what a block gained when it was last tried says in which order they are tried again. Moon, An and Song, "Parsimonious
 * black-box adversarial attacks via efficient combinatorial optimization", ICML 2019 (insertions and deletions in one pass).
 */
export function parsimonious(oracle: Oracle, target: Target, options: ParsimoniousOptions): Promise<AttackResult> {
  const { epsilon = 0.3, side = 28 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const { source, label } = target
  return attempt.run(async () => {
    const scoreOf = async (signs: Float32Array) => lead((await attempt.ask(step(source, signs, epsilon))).probabilities, label)
    let signs = source.map(() => -1)
    let best = await scoreOf(signs)
    for (let block = options.block ?? 4; ; block = Math.max(1, block >> 1)) {
      const flipped = ({ row, column }: Block) =>
        signs.map((sign, i) => (Math.floor(i / side / block) === row && Math.floor((i % side) / block) === column ? -sign : sign))
      const gained: (Block & { gain: number })[] = []
      for (const one of blocksOf(side, block)) {
        const score = await scoreOf(flipped(one))
        if (score <= 0) return
        gained.push({ ...one, gain: best - score })
      }
      for (let left = gained.filter(({ gain }) => gain > 0); left.length > 0; ) {
        left.sort((a, b) => b.gain - a.gain)
        const [first, second] = left
        if (first === undefined) break
        const candidate = flipped(first)
        const score = await scoreOf(candidate)
        if (score <= 0) return
        const gain = best - score
        left = left.slice(1)
        // Taken where it still gains the most; else tried again when its turn comes.
        if (gain >= (second?.gain ?? 0) && gain > 0) {
          signs = candidate
          best = score
        } else if (gain > 0) left.push({ ...first, gain })
      }
    }
  })
}

interface Block {
  readonly row: number
  readonly column: number
}

function blocksOf(side: number, block: number): readonly Block[] {
  const across = Math.ceil(side / block)
  return Array.from({ length: across * across }, (_, i) => ({ row: Math.floor(i / across), column: i % across }))
}
