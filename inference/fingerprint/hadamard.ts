/**
 * Unnormalised fast Walsh–Hadamard transform in place, n log2 n additions. Behind random signs it spreads any
 * input evenly over all coordinates, so that a few of them estimate its length (Ailon and Chazelle, "The fast
 * Johnson–Lindenstrauss transform", 2009).
 *
 * @param x length a power of two
 * @param block values that are transformed together, a power of two; default all
 */
export function hadamard(x: Float64Array, block = x.length): void {
  const { length } = x
  let half = 1
  // Two stages at once: every value is read and written half as often.
  for (; 4 * half <= block; half *= 4) {
    for (let from = 0; from < length; from += 4 * half) {
      for (let i = from; i < from + half; i++) {
        const a = x[i] as number
        const b = x[i + half] as number
        const c = x[i + 2 * half] as number
        const d = x[i + 3 * half] as number
        const ab = a + b
        const cd = c + d
        const aLessB = a - b
        const cLessD = c - d
        x[i] = ab + cd
        x[i + half] = aLessB + cLessD
        x[i + 2 * half] = ab - cd
        x[i + 3 * half] = aLessB - cLessD
      }
    }
  }
  if (half === block) return
  for (let from = 0; from < length; from += 2 * half) {
    for (let i = from; i < from + half; i++) {
      const a = x[i] as number
      const b = x[i + half] as number
      x[i] = a + b
      x[i + half] = a - b
    }
  }
}

/**
 * A few coordinates of the transform, as {@link hadamard} would have them: of the last three stages only what they need.
 *
 * @param x length a power of two, at least 8; overwritten
 * @param rows which coordinates
 * @param out `[rows.length]`
 */
export function hadamardAt(x: Float64Array, rows: Int32Array, out: Float64Array): void {
  const part = x.length / 8
  hadamard(x, part)
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r] as number
    const at = row & (part - 1)
    const s = row & part ? -1 : 1
    const t = row & (2 * part) ? -1 : 1
    const u = row & (4 * part) ? -1 : 1
    const ab = (x[at] as number) + s * (x[at + part] as number)
    const cd = (x[at + 2 * part] as number) + s * (x[at + 3 * part] as number)
    const ef = (x[at + 4 * part] as number) + s * (x[at + 5 * part] as number)
    const gh = (x[at + 6 * part] as number) + s * (x[at + 7 * part] as number)
    out[r] = ab + t * cd + u * (ef + t * gh)
  }
}
