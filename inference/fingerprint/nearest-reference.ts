import type { ReferenceProfile } from './profile.ts'

/** Coordinates by which nine in ten of the references are out; they lie together, so that a scan reads nothing else of those. */
const headLength = 8

interface References {
  /** The first coordinates, `[count, headLength]`; zeros where there are fewer. */
  readonly heads: Float32Array
  /** The others, `[count, tailLength]`. */
  readonly tails: Float32Array
  readonly tailLength: number
  /** Squared residuals, ascending within a class. */
  readonly squares: Float64Array
}

/**
 * Distance to the nearest reference input. What two inputs have outside the principal subspace is close to
 * orthogonal unless one was made from the other, so d² = |coordinates' difference|² + residual² + residual².
 */
export function nearestReference(profile: ReferenceProfile): (coordinates: Float64Array, residual: number) => number {
  const { classStart, classes } = profile
  const references = referencesOf(profile)
  const means = classes.map(({ mean }) => mean)
  return (coordinates, residual) => {
    // The class in whose middle it is: its references are near, and a near one early prunes the rest.
    const first = nearestOf(means, coordinates)
    let best = scan(references, coordinates, classStart[first] ?? 0, classStart[first + 1] ?? 0, Number.POSITIVE_INFINITY)
    for (let other = 0; other + 1 < classStart.length; other++) {
      if (other !== first) best = scan(references, coordinates, classStart[other] ?? 0, classStart[other + 1] ?? 0, best)
    }
    return Number.isFinite(best) ? Math.sqrt(best + residual * residual) : 0
  }
}

function nearestOf(means: readonly Float32Array[], x: Float64Array): number {
  let [nearest, least] = [0, Number.POSITIVE_INFINITY]
  for (let label = 0; label < means.length; label++) {
    const mean = means[label] as Float32Array
    let sum = 0
    for (let i = 0; i < x.length && sum < least; i++) {
      const difference = (x[i] as number) - (mean[i] as number)
      sum += difference * difference
    }
    if (sum < least) [nearest, least] = [label, sum]
  }
  return nearest
}

/** The least squared distance of those from `from` on, or `bound` where none is nearer. */
function scan({ heads, tails, tailLength, squares }: References, x: Float64Array, from: number, until: number, bound: number): number {
  const x0 = x[0] ?? 0
  const x1 = x[1] ?? 0
  const x2 = x[2] ?? 0
  const x3 = x[3] ?? 0
  const x4 = x[4] ?? 0
  const x5 = x[5] ?? 0
  const x6 = x[6] ?? 0
  const x7 = x[7] ?? 0
  let best = bound
  for (let r = from; r < until; r++) {
    let sum = squares[r] as number
    // They ascend: none that follows is nearer.
    if (!(sum < best)) return best
    const base = r * headLength
    const a = x0 - (heads[base] as number)
    const b = x1 - (heads[base + 1] as number)
    const c = x2 - (heads[base + 2] as number)
    const d = x3 - (heads[base + 3] as number)
    sum += a * a + b * b + c * c + d * d
    const e = x4 - (heads[base + 4] as number)
    const f = x5 - (heads[base + 5] as number)
    const g = x6 - (heads[base + 6] as number)
    const h = x7 - (heads[base + 7] as number)
    sum += e * e + f * f + g * g + h * h
    if (sum < best) sum = addTail(tails, r * tailLength, tailLength, x, sum, best)
    if (sum < best) best = sum
  }
  return best
}

/** Partial sums, four coordinates at a time, against the best so far. */
function addTail(tails: Float32Array, base: number, length: number, x: Float64Array, head: number, best: number): number {
  let sum = head
  for (let i = 0; i < length && sum < best; i += 4) {
    const a = (x[headLength + i] as number) - (tails[base + i] as number)
    const b = (x[headLength + i + 1] as number) - (tails[base + i + 1] as number)
    const c = (x[headLength + i + 2] as number) - (tails[base + i + 2] as number)
    const d = (x[headLength + i + 3] as number) - (tails[base + i + 3] as number)
    sum += a * a + b * b + c * c + d * d
  }
  return sum
}

function referencesOf({ principal, classStart, referenceResidual, references, referenceScale }: ReferenceProfile): References {
  const count = referenceResidual.length
  const tailLength = Math.max(0, principal - headLength)
  const [heads, tails, squares] = [new Float32Array(count * headLength), new Float32Array(count * tailLength), new Float64Array(count)]
  const residual = (r: number) => referenceResidual[r] as number
  for (let label = 0; label + 1 < classStart.length; label++) {
    const start = classStart[label] as number
    const rows = Array.from({ length: (classStart[label + 1] as number) - start }, (_, i) => start + i)
    rows
      .sort((a, b) => residual(a) - residual(b))
      .forEach((row, i) => {
        const to = start + i
        squares[to] = residual(row) * residual(row)
        const own = Float32Array.from(references.subarray(row * principal, (row + 1) * principal), (value) => value * referenceScale)
        heads.set(own.subarray(0, headLength), to * headLength)
        tails.set(own.subarray(headLength), to * tailLength)
      })
  }
  return { heads, tails, tailLength, squares }
}
