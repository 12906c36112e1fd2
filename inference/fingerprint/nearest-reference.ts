import { kernelOf, memoryOf } from '../kernels/kernel.ts'
import type { ReferenceProfile } from './profile.ts'

/** Coordinates between one comparison with the least and the next: by the first ones nine in ten of the references are out. */
const octet = 8
/** An octet of two references as float32: one line, so that a scan reads nothing else of those that are out. */
const pairBytes = 2 * 4 * octet
/** Where the least lies, and the place to hold two sums against each other. */
const headerBytes = 64

/** Adds four squares, from the first to the last, and then all to the sum: in another order they would have other bits. */
const addFour = (first: number) =>
  [0, 1, 2, 3]
    .map((i) => {
      const offset = `offset=${8 * (first + i)}`
      return `
      (local.set $apart (f64x2.sub (v128.load64_splat ${offset} $at) (f64x2.promote_low_f32x4 (v128.load64_zero ${offset} $octet))))
      (local.set $four ${i === 0 ? '(f64x2.mul $apart $apart)' : '(f64x2.add $four (f64x2.mul $apart $apart))'})`
    })
    .join('') + '(local.set $sum (f64x2.add $sum $four))'

/** Goes through a class, two references abreast, and leaves the least sum at 0 where it is less than what lies there. */
const openScan = kernelOf(`
  (func scan (param $pair i32 $pairEnd i32 $squares i32 $x i32 $xEnd i32 $stride i32)
    (local $least v128 $sum v128 $apart v128 $four v128 $octet i32 $at i32)
    (local.set $least (v128.load64_splat 0))
    (block $done
      (loop $next
        ;; They ascend: none that follows is nearer.
        (local.set $sum (v128.load $squares))
        (br_if $done (i32.eqz (v128.any_true (f64x2.lt $sum $least))))
        (local.set $octet $pair)
        (local.set $at $x)
        (block $out
          (loop $more
            ${addFour(0)}
            ${addFour(4)}
            (br_if $out (i32.eqz (v128.any_true (f64x2.lt $sum $least))))
            (local.set $octet (i32.add $octet $stride))
            (br_if $more (i32.lt_u (local.tee $at (i32.add $at ${8 * octet})) $xEnd)))
          (v128.store offset=16 0 $sum)
          (local.set $least (f64x2.min $least (v128.load64_splat offset=16 0)))
          (local.set $least (f64x2.min $least (v128.load64_splat offset=24 0))))
        (local.set $squares (i32.add $squares 16))
        (br_if $next (i32.lt_u (local.tee $pair (i32.add $pair ${pairBytes})) $pairEnd))))
    (v128.store 0 $least))`)

/**
 * Distance to the nearest reference input. What two inputs have outside the principal subspace is close to
 * orthogonal unless one was made from the other, so d² = |coordinates' difference|² + residual² + residual².
 */
export function nearestReference(profile: ReferenceProfile): (coordinates: Float64Array, residual: number) => number {
  const means = profile.classes.map(({ mean }) => mean)
  const { least, x, scan } = openReferences(profile)
  return (coordinates, residual) => {
    x.set(coordinates)
    least[0] = Number.POSITIVE_INFINITY
    // The class in whose middle it is: its references are near, and a near one early prunes the rest.
    const first = nearestOf(means, coordinates)
    scan(first)
    for (let other = 0; other < means.length; other++) if (other !== first) scan(other)
    const nearest = least[0] as number
    return Number.isFinite(nearest) ? Math.sqrt(nearest + residual * residual) : 0
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

interface References {
  /** `[1]`: the least squared distance so far, but for the residual of the input. */
  readonly least: Float64Array
  /** What distances are from. */
  readonly x: Float64Array
  readonly scan: (label: number) => void
}

/** In memory: the least, the pairs' first octets, second ones and so on, the input, the squared residuals. */
function openReferences({ principal, classStart, referenceResidual, references, referenceScale }: ReferenceProfile): References {
  const pairStart = [0]
  for (let label = 0; label + 1 < classStart.length; label++) {
    const count = (classStart[label + 1] as number) - (classStart[label] as number)
    pairStart.push((pairStart[label] as number) + Math.ceil(count / 2))
  }
  const octets = Math.ceil(principal / octet)
  const pairs = pairStart.at(-1) ?? 0
  const stride = pairs * pairBytes
  const x = headerBytes + octets * stride
  const squares = x + 8 * octet * octets
  const memory = memoryOf(squares + 16 * pairs)
  const { buffer } = memory
  const kernel = openScan(memory)
  const values = new Float32Array(buffer, headerBytes, (octets * stride) / 4)
  // The last of an odd number has nobody beside it: what is infinitely far.
  const squared = new Float64Array(buffer, squares, 2 * pairs).fill(Number.POSITIVE_INFINITY)
  const residual = (row: number) => referenceResidual[row] as number
  for (let label = 0; label + 1 < classStart.length; label++) {
    const start = classStart[label] as number
    const rows = Array.from({ length: (classStart[label + 1] as number) - start }, (_, i) => start + i)
    rows.sort((a, b) => residual(a) - residual(b))
    rows.forEach((row, i) => {
      const to = 2 * (pairStart[label] as number) + i
      squared[to] = residual(row) * residual(row)
      for (let c = 0; c < principal; c++) {
        const line = ((c - (c % octet)) / octet) * pairs + (to >> 1)
        values[line * 2 * octet + 2 * (c % octet) + (to & 1)] = (references[row * principal + c] as number) * referenceScale
      }
    })
  }
  const scan = (label: number) => {
    const from = pairStart[label] ?? 0
    const until = pairStart[label + 1] ?? from
    if (from === until) return
    const [first, end] = [headerBytes + from * pairBytes, headerBytes + until * pairBytes]
    kernel(first, end, squares + 16 * from, x, x + 8 * octet * octets, stride)
  }
  return { least: new Float64Array(buffer, 0, 1), x: new Float64Array(buffer, x, principal), scan }
}
