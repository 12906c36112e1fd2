import type { Random } from './random.ts'

/**
 * The low frequencies of square images: sums of the first `cut × cut` waves of the discrete cosine transform, in which
 * attacks search because models listen there. Orthonormal, so a coefficient's size is an L2 length.
 */
export class Waves {
  readonly side: number
  readonly cut: number
  readonly #rows: readonly Float32Array[]

  constructor(side: number, cut: number) {
    this.side = side
    this.cut = cut
    const scale = (k: number) => Math.sqrt((k === 0 ? 1 : 2) / side)
    this.#rows = Array.from({ length: cut }, (_, k) =>
      Float32Array.from({ length: side }, (__, x) => scale(k) * Math.cos((Math.PI * (2 * x + 1) * k) / (2 * side))),
    )
  }

  get size(): number {
    return this.cut ** 2
  }

  /** The image of `[cut, cut]` coefficients, vertical frequency first. */
  image(coefficients: ArrayLike<number>): Float32Array {
    const { side, cut } = this
    const out = new Float32Array(side * side)
    const line = new Float32Array(side)
    for (let v = 0; v < cut; v++) {
      line.fill(0)
      for (let u = 0; u < cut; u++) {
        const weight = coefficients[v * cut + u] ?? 0
        const wave = this.#rows[u] as Float32Array
        for (let x = 0; x < side; x++) line[x] = (line[x] as number) + weight * (wave[x] as number)
      }
      const rise = this.#rows[v] as Float32Array
      for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + (rise[Math.floor(i / side)] as number) * (line[i % side] as number)
    }
    return out
  }

  /** A random direction of unit length. */
  direction(random: Random): Float32Array {
    const coefficients = Float32Array.from({ length: this.size }, () => random.normal())
    const length = Math.hypot(...coefficients)
    return this.image(coefficients.map((value) => value / length))
  }
}
