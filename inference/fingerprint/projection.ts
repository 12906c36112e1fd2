/** Rows that are gone through at once: the additions of one row wait for each other. */
const abreast = 8

/**
 * Scalar products of a vector with the rows of a matrix. Eight rows lie side by side, so that what is read lies in one line; each
 * row's products are added in their order, as one row at a time would have them.
 */
export class Projection {
  readonly #count: number
  readonly #width: number
  /** `[blocks, width, 8]`, the last block filled with zeros. */
  readonly #blocks: Float64Array
  /** What each sum begins with, and sums where the last block is not whole. */
  readonly #start: Float64Array
  readonly #sums: Float64Array

  /**
   * @param rows `[count, width]`
   * @param start `[count]`; zeros by default
   */
  constructor(rows: ArrayLike<number>, width: number, start: ArrayLike<number> = []) {
    const count = rows.length / width
    const padded = abreast * Math.ceil(count / abreast)
    this.#count = count
    this.#width = width
    this.#blocks = new Float64Array(padded * width)
    for (let r = 0; r < count; r++) {
      const first = (r - (r % abreast)) * width + (r % abreast)
      for (let i = 0; i < width; i++) this.#blocks[first + i * abreast] = rows[r * width + i] as number
    }
    this.#start = Float64Array.from({ length: padded }, (_, r) => start[r] ?? 0)
    this.#sums = new Float64Array(padded)
  }

  /**
   * @param x `[width]`
   * @param out `[count]`
   */
  apply(x: Float64Array, out: Float64Array): void {
    const blocks = this.#blocks
    const start = this.#start
    const width = this.#width
    const sums = start.length === this.#count ? out : this.#sums
    for (let r = 0, at = 0; r < start.length; r += abreast) {
      let a = start[r] as number
      let b = start[r + 1] as number
      let c = start[r + 2] as number
      let d = start[r + 3] as number
      let e = start[r + 4] as number
      let f = start[r + 5] as number
      let g = start[r + 6] as number
      let h = start[r + 7] as number
      for (let i = 0; i < width; i++, at += abreast) {
        const value = x[i] as number
        a += (blocks[at] as number) * value
        b += (blocks[at + 1] as number) * value
        c += (blocks[at + 2] as number) * value
        d += (blocks[at + 3] as number) * value
        e += (blocks[at + 4] as number) * value
        f += (blocks[at + 5] as number) * value
        g += (blocks[at + 6] as number) * value
        h += (blocks[at + 7] as number) * value
      }
      sums[r] = a
      sums[r + 1] = b
      sums[r + 2] = c
      sums[r + 3] = d
      sums[r + 4] = e
      sums[r + 5] = f
      sums[r + 6] = g
      sums[r + 7] = h
    }
    if (sums !== out) for (let r = 0; r < this.#count; r++) out[r] = sums[r] as number
  }
}
