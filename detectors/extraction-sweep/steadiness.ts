import { capacity, type Memory, principalOf } from './memory.ts'

/**
 * Why odd queries of one principal need not be a thief's: `shift`, they are all unlike ordinary traffic in the same way
 * (white on black, dim, framed: take the common part away and they vary as ordinary inputs do); `grain`, only their residual is
 * odd, always by as much, as with a sensor's noise; `base`, they vary one ordinary input, as explanations and votes do.
 */
export type Steadiness = 'none' | 'shift' | 'grain' | 'base'

/** Fewer odd queries tell nothing. */
const fewest = 4
/** Share of the squared length that a common part explains. */
const shiftShare = 0.35
const baseShare = 0.25
/** Mean squared distance to the nearest of the earlier ones against the mean squared length: 0.9 and more for inputs of their own, 0.55 for pure noise. */
const sameInput = 0.4
const sameOrigin = 0.8
/** Share of the rest's variation outside the model's principal subspace: a quarter in ordinary traffic, half to all of it with what is no digit. */
const outsideShare = 0.41
/** −log₁₀ of the class distance's tail: below it nine in ten ordinary inputs, and one in six of what is none; so many of the odd ones must be. */
const classOrdinary = 1
const mostOfThem = 0.65
/** Deviation of −log₁₀ of the residual's tail against its mean. */
const evenGrain = 0.4
/** Squared distance of the common part from its nearest reference input against its squared length: 0.75 for ordinary inputs, more for what is none. */
const ordinaryShift = 0.9
const ordinaryOrigin = 1
/** Odd queries from which on one may be left out. */
const enoughToTrim = 8

let sums = new Float64Array(0)
/** Rows of odd queries, oldest first. */
const odd = new Int32Array(capacity.recent)

/** Judges the odd ones among the last queries. */
export function steadinessOf(memory: Memory): Steadiness {
  const { cells, width } = memory
  if (sums.length < width) sums = new Float64Array(width)
  sums.fill(0)
  const principal = principalOf(width)
  let [count, inside, outside, inClass, strange, strangeSquares, reference] = [0, 0, 0, 0, 0, 0, 0]
  for (let n = memory.recent; n > 0; n--) {
    const row = memory.last(n)
    const distance = memory.read(row, 'oddReference')
    if (distance === 0) continue
    odd[count++] = row
    reference += distance * distance
    if (memory.read(row, 'classDoubt') <= classOrdinary) inClass++
    const strangeness = memory.read(row, 'strangeness')
    strange += strangeness
    strangeSquares += strangeness * strangeness
    const step = memory.read(row, 'step')
    for (let i = 0; i < width; i++) {
      const value = (cells[row * width + i] as number) * step
      sums[i] = (sums[i] as number) + value
      if (i < principal) inside += value * value
      else outside += value * value
    }
  }
  if (count < fewest) return 'none'
  const mean = strange / count
  const even = strangeSquares / count - mean * mean <= (evenGrain * mean) ** 2
  if (even && inClass >= mostOfThem * count) return 'grain'
  return ofVariation(memory, { count, inside, outside, principal, width, reference: reference / count })
}

interface Sums {
  readonly count: number
  /** Squared lengths in the principal subspace and outside. */
  readonly inside: number
  readonly outside: number
  readonly principal: number
  readonly width: number
  /** Mean squared distance to the nearest reference input. */
  readonly reference: number
}

/** Splits the mean squared length in what all have in common and what varies, by the products of different queries: unbiased for few. */
function ofVariation(memory: Memory, { count, inside, outside, principal, width, reference }: Sums): Steadiness {
  let commonInside = 0
  let commonOutside = 0
  for (let i = 0; i < width; i++) {
    if (i < principal) commonInside += (sums[i] as number) ** 2
    else commonOutside += (sums[i] as number) ** 2
  }
  const pairs = count * (count - 1)
  const shiftOutside = (commonOutside - outside) / pairs
  const shift = (commonInside - inside) / pairs + shiftOutside
  const all = (inside + outside) / count
  const spread = Math.max(all - shift, 1e-9)
  const origin = reference - spread
  if (shift >= shiftShare * all && outside / count - shiftOutside <= outsideShare * spread)
    return origin <= ordinaryShift * shift ? 'base' : 'shift'
  const near = meanNearest(memory, count)
  if (near <= sameInput * all) return 'base'
  return near <= sameOrigin * all && shift >= baseShare * all && origin <= ordinaryOrigin * shift ? 'base' : 'none'
}

/** Mean squared distance of the odd queries to the nearest of the odd ones before, the farthest left out: it may be another input's first. */
function meanNearest(memory: Memory, count: number): number {
  let sum = 0
  let most = 0
  for (let i = 1; i < count; i++) {
    let least = Number.POSITIVE_INFINITY
    for (let j = 0; j < i; j++) least = Math.min(least, memory.squaredBetween(odd[i] as number, odd[j] as number, least))
    sum += least
    most = Math.max(most, least)
  }
  return count < enoughToTrim ? sum / (count - 1) : (sum - most) / (count - 2)
}
