import { type AttackResult, Attempt, type Oracle, step, type Target } from './oracle.ts'
import { lead } from './square.ts'

export interface SignHunterOptions {
  readonly budget: number
  /** L∞ bound. */
  readonly epsilon?: number
}

/**
 * SignHunter: score-based; begins with one sign for every pixel, flips the signs of ever smaller parts of the image and keeps what
 * lowers the lead. Al-Dujaili and O'Reilly, "Sign bits are all you need for black-box attacks", ICLR 2020. It draws nothing.
 */
export function signHunter(oracle: Oracle, target: Target, { budget, epsilon = 0.3 }: SignHunterOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, budget)
  const { source, label } = target
  return attempt.run(async () => {
    const scoreOf = async (signs: Float32Array) => lead((await attempt.ask(step(source, signs, epsilon))).probabilities, label)
    let signs = source.map(() => 1)
    let best = await scoreOf(signs)
    for (let parts = 1; best > 0; parts = Math.min(source.length, parts * 2)) {
      const width = Math.ceil(source.length / parts)
      for (let from = 0; from < source.length && best > 0; from += width) {
        const flipped = signs.map((sign, i) => (i >= from && i < from + width ? -sign : sign))
        const score = await scoreOf(flipped)
        if (score >= best) continue
        best = score
        signs = flipped
      }
    }
  })
}
