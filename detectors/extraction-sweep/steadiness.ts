import { type Memory, principalOf } from './memory.ts'

/**
 * Why odd queries of one principal need not be a thief's: `shift`, they are all unlike ordinary traffic in the same way
 * (white on black, dim, framed: take the common part away and they vary as ordinary inputs do); `grain`, only their residual is
 * odd, always by as much, as with a sensor's noise; `scene`, each is nearer to the one before than to the rest, as where a patch
 * moves over an image. `few`: too few to tell.
 */
export type Steadiness = 'few' | 'none' | 'shift' | 'grain' | 'scene'

const fewest = 6
/** The newest are judged by themselves, too: the older ones may be of ordinary days before a camera was changed. */
const newest = 6
/** Share of the squared length that is common and outside the model's principal subspace: 0.54 for a frame or inversion, 0.1 for letters. */
const shiftShare = 0.3
/** Share of the rest's variation outside it: 0.28 in ordinary traffic, half to all of it with what is no digit. */
const outsideShare = 0.45
/** −log₁₀ of the class distance's tail: below it nine in ten ordinary inputs, and one in six of what is none; so many of the odd ones must be. */
const classOrdinary = 1
const mostOfThem = 0.5
/** Deviation of −log₁₀ of the residual's tail against its mean. */
const evenGrain = 0.25
/** Noise on ordinary inputs leaves something of their variation in the subspace; pure noise has nothing there. */
const outsideGrain = 0.8
/** Upper quartile of the squared distances of consecutive queries against the median of all pairs: above 1 for queries of one's own. */
const serialShare = 0.75
const inScene = 8
const consecutive = new Float64Array(inScene - 1)
const pairs = new Float64Array((inScene * (inScene - 1)) / 2)

let sums = new Float64Array(0)

/**
 * @param oddities odd queries, none of which varies another
 * @param memory holds the last queries of any kind
 */
export function steadinessOf(oddities: Memory, memory: Memory): Steadiness {
  if (oddities.recent < fewest) return 'few'
  const lately = ofLast(oddities, Math.min(newest, oddities.recent))
  const found = lately === 'none' && oddities.recent > newest ? ofLast(oddities, oddities.recent) : lately
  return found === 'none' && isScene(memory) ? 'scene' : found
}

/**
 * Whether most of the last queries are nearer to the one before than queries are to each other. The upper quartile of the
 * consecutive distances decides: a scene may be cut, and a thief who sends each input twice is none.
 */
function isScene(memory: Memory): boolean {
  const count = Math.min(inScene, memory.recent)
  if (count < inScene) return false
  let [c, all] = [0, 0]
  for (let n = 1; n < count; n++)
    for (let m = n + 1; m <= count; m++) {
      const squared = memory.squaredBetween(memory.last(n), memory.last(m), Number.POSITIVE_INFINITY)
      if (m === n + 1) consecutive[c++] = squared
      pairs[all++] = squared
    }
  consecutive.sort()
  pairs.sort()
  return (consecutive[Math.floor(0.75 * c)] ?? 0) <= serialShare * (pairs[all >> 1] ?? 0)
}

function ofLast(oddities: Memory, count: number): Steadiness {
  const { cells, width } = oddities
  if (sums.length < width) sums = new Float64Array(width)
  sums.fill(0)
  const principal = principalOf(width)
  let [inside, outside, inClass, strange, strangeSquares] = [0, 0, 0, 0, 0]
  for (let n = count; n > 0; n--) {
    const row = oddities.last(n)
    if (oddities.read(row, 'classDoubt') <= classOrdinary) inClass++
    const strangeness = oddities.read(row, 'strangeness')
    strange += strangeness
    strangeSquares += strangeness * strangeness
    const step = oddities.read(row, 'step')
    for (let i = 0; i < width; i++) {
      const value = (cells[row * width + i] as number) * step
      sums[i] = (sums[i] as number) + value
      if (i < principal) inside += value * value
      else outside += value * value
    }
  }
  const { shift, variation } = split({ count, inside, outside, principal, width })
  if (shift >= shiftShare) return variation <= outsideShare ? 'shift' : 'none'
  const mean = strange / count
  const even = strangeSquares / count - mean * mean <= (evenGrain * mean) ** 2
  return even && inClass >= mostOfThem * count && variation <= outsideGrain ? 'grain' : 'none'
}

interface Sums {
  readonly count: number
  /** Squared lengths in the principal subspace and outside. */
  readonly inside: number
  readonly outside: number
  readonly principal: number
  readonly width: number
}

interface Split {
  /** Share of the mean squared length that is common and outside. */
  readonly shift: number
  /** Share of the rest that is outside. */
  readonly variation: number
}

/** Splits the mean squared length in what all have in common and what varies, by the products of different queries: unbiased for few. */
function split({ count, inside, outside, principal, width }: Sums): Split {
  let commonInside = 0
  let commonOutside = 0
  for (let i = 0; i < width; i++) {
    if (i < principal) commonInside += (sums[i] as number) ** 2
    else commonOutside += (sums[i] as number) ** 2
  }
  const pairs = count * (count - 1)
  const shiftOutside = (commonOutside - outside) / pairs
  const all = (inside + outside) / count
  const spread = Math.max(all - (commonInside - inside) / pairs - shiftOutside, 1e-9)
  return { shift: shiftOutside / Math.max(all, 1e-9), variation: (outside / count - shiftOutside) / spread }
}
