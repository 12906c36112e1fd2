import { binomialTail } from './binomial.ts'
import type { Bearer, Marker } from './marker.ts'

/** Inputs with what two models say of them. */
export interface Trial {
  readonly count: number
  /** One input; it need not outlive the next call. */
  readonly at: (index: number) => Float32Array
  readonly shape: readonly number[]
  readonly classes: number
  /** What the owner's model says, and what the suspect says. */
  readonly own: ArrayLike<number>
  readonly suspect: ArrayLike<number>
}

export interface Verdict {
  /** Inputs that would have been marked, and those of them on which the suspect gives the wrong answer that they got. */
  readonly marked: number
  readonly hits: number
  /** The others, and those of them on which it gives the wrong answer that they would have got: how often chance does that. */
  readonly unmarked: number
  readonly coincidences: number
  /** The rate of these, as if there had been one more. */
  readonly baseRate: number
  /** Probability of as many hits or more by a model that never saw the marks. */
  readonly p: number
}

/**
 * Whether a suspect model learned the answers that a principal was given: an exact binomial test of its hits on marked inputs
 * against the rate at which it errs in the same way on inputs that nobody marked.
 *
 * @param share of the inputs that was marked then
 */
export function verifyWatermark(marker: Marker, bearer: Bearer, share: number, trial: Trial): Verdict {
  const { count, at, shape, classes, own, suspect } = trial
  let [marked, hits, unmarked, coincidences] = [0, 0, 0, 0]
  for (let index = 0; index < count; index++) {
    const input = at(index)
    const top = own[index] as number
    const mark = marker.mark(bearer, input, shape, top, classes, share)
    const wrong = mark ?? marker.wrong(bearer, input, shape, top, classes)
    const same = suspect[index] === wrong ? 1 : 0
    if (mark === null) {
      unmarked++
      coincidences += same
    } else {
      marked++
      hits += same
    }
  }
  // One more than there were: a rate of zero would make one coincidence a proof.
  const baseRate = (coincidences + 1) / (unmarked + 1)
  return { marked, hits, unmarked, coincidences, baseRate, p: binomialTail(marked, hits, baseRate) }
}
