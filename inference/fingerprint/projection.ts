import { type Kernel, kernelOf, memoryOf } from '../kernels/kernel.ts'

/** Rows that are gone through at once: the additions of one row wait for each other. */
const abreast = 8
const blockBytes = 8 * abreast

/**
 * Two rows lie in each of four registers, so each row's products are added one after the other: no sum is another
 * than one row at a time would have. Without SIMD it takes five times as long.
 */
const openProducts = kernelOf(`
  (func products (param $x i32 $xEnd i32 $start i32 $startEnd i32 $sums i32 $rows i32)
    (local $at i32 $value v128 $ab v128 $cd v128 $ef v128 $gh v128)
    (loop $block
      (local.set $ab (v128.load $start))
      (local.set $cd (v128.load offset=16 $start))
      (local.set $ef (v128.load offset=32 $start))
      (local.set $gh (v128.load offset=48 $start))
      (local.set $at $x)
      (loop $column
        (local.set $value (v128.load64_splat $at))
        (local.set $ab (f64x2.add $ab (f64x2.mul (v128.load $rows) $value)))
        (local.set $cd (f64x2.add $cd (f64x2.mul (v128.load offset=16 $rows) $value)))
        (local.set $ef (f64x2.add $ef (f64x2.mul (v128.load offset=32 $rows) $value)))
        (local.set $gh (f64x2.add $gh (f64x2.mul (v128.load offset=48 $rows) $value)))
        (local.set $rows (i32.add $rows ${blockBytes}))
        (br_if $column (i32.lt_u (local.tee $at (i32.add $at 8)) $xEnd)))
      (v128.store $sums $ab)
      (v128.store offset=16 $sums $cd)
      (v128.store offset=32 $sums $ef)
      (v128.store offset=48 $sums $gh)
      (local.set $sums (i32.add $sums ${blockBytes}))
      (br_if $block (i32.lt_u (local.tee $start (i32.add $start ${blockBytes})) $startEnd))))`)

/**
 * Scalar products of a vector with the rows of a matrix. Eight rows lie side by side, so that what is read lies in one line; each
 * row's products are added in their order, as one row at a time would have them.
 */
export class Projection {
  readonly #products: Kernel
  /** Where sums begin, sums, and the vector; in bytes. */
  readonly #layout: { readonly start: number; readonly sums: number; readonly x: number; readonly rows: number }
  readonly #x: Float64Array
  readonly #sums: Float64Array

  /**
   * @param rows `[count, width]`, at least one
   * @param start what each sum begins with, `[count]`; zeros by default
   */
  constructor(rows: ArrayLike<number>, width: number, start: ArrayLike<number> = []) {
    const count = rows.length / width
    const blocks = Math.ceil(count / abreast)
    // What is read in whole blocks comes first, so that it lies in whole lines of the cache.
    const sums = blocks * blockBytes
    const matrix = 2 * sums
    const x = matrix + blocks * width * blockBytes
    const memory = memoryOf(x + 8 * width)
    const { buffer } = memory
    const values = new Float64Array(buffer, matrix, blocks * width * abreast)
    for (let r = 0; r < count; r++) {
      const first = (r - (r % abreast)) * width + (r % abreast)
      for (let i = 0; i < width; i++) values[first + i * abreast] = rows[r * width + i] as number
    }
    new Float64Array(buffer, 0, count).set(start)
    this.#products = openProducts(memory)
    this.#layout = { start: 0, sums, x, rows: matrix }
    this.#x = new Float64Array(buffer, x, width)
    this.#sums = new Float64Array(buffer, sums, count)
  }

  /**
   * @param x `[width]`
   * @param out `[count]`
   */
  apply(x: Float64Array, out: Float64Array): void {
    const { start, sums, rows, x: from } = this.#layout
    this.#x.set(x)
    this.#products(from, from + this.#x.byteLength, start, sums, sums, rows)
    out.set(this.#sums)
  }
}
