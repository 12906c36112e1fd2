import { z } from 'zod'
import { remainderDimensions } from '../statistics/sketch.ts'

/**
 * What the odd queries of a group have in common, and how they vary: sums that forget. Many accounts behind one new kind of camera,
 * or that all frame or invert what they send, are odd alike, and no ring.
 */
export const Portrait = z.object({
  count: z.number().min(0),
  /** By coordinate, input units. */
  sums: z.array(z.number()).max(4_096),
  /** Squared lengths in the model's principal subspace and outside, and the squares of what each query weighs. */
  inside: z.number().min(0),
  outside: z.number().min(0),
  squares: z.number().min(0),
  /** As near to their class as nine in ten ordinary inputs. */
  inClass: z.number().min(0),
})
export type Portrait = z.infer<typeof Portrait>

export function emptyPortrait(): Portrait {
  return { count: 0, sums: [], inside: 0, outside: 0, squares: 0, inClass: 0 }
}

/** What a query counts after one more: half of it is left after 44. */
const kept = 1 - 1 / 64
const fewest = 12
/** As extraction-sweep has them, of one account: see its `steadiness.ts`. */
const shiftShare = 0.3
const outsideShare = 0.45
const mostOfThem = 0.4
const outsideGrain = 0.8

interface Tails {
  /** Input units a step of the sketch. */
  readonly scale: number
  readonly classTail: number
}

export function portray(portrait: Portrait, vector: Int16Array, { scale, classTail }: Tails): void {
  if (portrait.sums.length !== vector.length) Object.assign(portrait, emptyPortrait(), { sums: Array.from(vector, () => 0) })
  const principal = Math.max(0, vector.length - remainderDimensions)
  let [inside, outside] = [0, 0]
  for (let i = 0; i < vector.length; i++) {
    const value = (vector[i] as number) * scale
    portrait.sums[i] = kept * (portrait.sums[i] as number) + value
    if (i < principal) inside += value * value
    else outside += value * value
  }
  portrait.count = kept * portrait.count + 1
  portrait.squares = kept * kept * portrait.squares + 1
  portrait.inside = kept * portrait.inside + inside
  portrait.outside = kept * portrait.outside + outside
  portrait.inClass = kept * portrait.inClass + (classTail > 0.1 ? 1 : 0)
}

/** Whether a constant shift, or a sensor's noise, explains why its queries are odd. */
export function isExplained(portrait: Portrait): boolean {
  const { count, sums, squares, inside, outside } = portrait
  if (count < fewest) return false
  const principal = Math.max(0, sums.length - remainderDimensions)
  const mean = (sum: number) => sum / count
  let [commonInside, commonOutside] = [0, 0]
  for (let i = 0; i < sums.length; i++) {
    if (i < principal) commonInside += (sums[i] as number) ** 2
    else commonOutside += (sums[i] as number) ** 2
  }
  // A squared mean holds a share of the variation, that of one over the effective number of queries.
  const own = squares / (count * count)
  const unbiased = (common: number, lengths: number) => Math.max(0, (common / (count * count) - own * mean(lengths)) / (1 - own))
  const [shiftInside, shift] = [unbiased(commonInside, inside), unbiased(commonOutside, outside)]
  const all = mean(inside) + mean(outside)
  const varies = Math.max(all - shiftInside - shift, 1e-9)
  const variation = (mean(outside) - shift) / varies
  if (shift >= shiftShare * all) return variation <= outsideShare
  return portrait.inClass >= mostOfThem * count && variation <= outsideGrain
}
