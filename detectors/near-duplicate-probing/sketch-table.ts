/** What cannot be compared is shorter than this. */
const leastDimensions = 8
/** Coordinates after which most sketches are off a given line; they lie together, so that a scan reads little. */
const earlyDimensions = 8
/** The square of 2.5: with one end so many times as far as the other, nothing is in the middle of both. */
const furthestShare = 6.25

/** Of whom {@link SketchTable.across} chooses: the first `count`, without those of a label. */
export interface Choice {
  readonly count: number
  readonly labels: Int32Array
  readonly without: number
}

/** The sketches of remembered points, by slot; all have the length of the first one. */
export class SketchTable {
  readonly #capacity: number
  #dimensions: number
  #vectors: Int16Array
  readonly #early: Int16Array
  #way = new Float64Array(0)

  constructor(capacity: number, dimensions: number) {
    this.#capacity = capacity
    this.#dimensions = dimensions
    this.#vectors = new Int16Array(capacity * dimensions)
    this.#early = new Int16Array(capacity * earlyDimensions)
  }

  /** Length of each; 0 while there is none. */
  get dimensions(): number {
    return this.#dimensions
  }

  /** False when the sketch has another length than those remembered: it cannot be compared. */
  accepts(vector: Int16Array): boolean {
    if (this.#dimensions === 0 && vector.length >= leastDimensions) {
      this.#dimensions = vector.length
      this.#vectors = new Int16Array(this.#capacity * vector.length)
    }
    return vector.length === this.#dimensions
  }

  set(slot: number, vector: ArrayLike<number>): void {
    this.#vectors.set(vector, slot * this.#dimensions)
    for (let i = 0; i < earlyDimensions; i++) this.#early[slot * earlyDimensions + i] = vector[i] as number
  }

  /** A view of what the slot holds, now and later. */
  view(slot: number): Int16Array {
    return this.#vectors.subarray(slot * this.#dimensions, (slot + 1) * this.#dimensions)
  }

  /** Those of the first slots, one after the other. */
  first(count: number): Int16Array {
    return this.#vectors.subarray(0, count * this.#dimensions)
  }

  /** The squared distance where it is less than `bound`, else −1. It is partial: most sketches are out after the first coordinates. */
  squaredBelow(bound: number, vector: Int16Array, slot: number): number {
    const early = this.#early
    const from = slot * earlyDimensions
    let sum = 0
    for (let i = 0; i < earlyDimensions; i++) {
      const difference = (vector[i] as number) - (early[from + i] as number)
      sum += difference * difference
    }
    if (sum >= bound) return -1
    const vectors = this.#vectors
    const dimensions = this.#dimensions
    const base = slot * dimensions
    for (let i = earlyDimensions; i < dimensions; i++) {
      const difference = (vector[i] as number) - (vectors[base + i] as number)
      sum += difference * difference
      if ((i & 7) === 7 && sum >= bound) return -1
    }
    return sum < bound ? sum : -1
  }

  /**
   * The slot that lies straight across `vector` from `from`, and about as far. It goes through everything.
   *
   * @param fit least −cos of the angle at `vector`
   * @returns −1 where there is none
   */
  across(vector: Int16Array, from: Int16Array, { count, labels, without }: Choice, fit: number): number {
    const near = this.#wayFrom(from, vector)
    const dimensions = this.#dimensions
    const vectors = this.#vectors
    const way = this.#way
    let wayEarly = 1e-9
    for (let i = 0; i < earlyDimensions; i++) wayEarly += (way[i] as number) ** 2
    const furthest = furthestShare * near
    const aside = (1 - fit * fit) * furthest
    let best = Number.POSITIVE_INFINITY
    let found = -1
    for (let slot = 0; slot < count; slot++) {
      if (labels[slot] === without || this.#aside(vector, slot, wayEarly) > aside) continue
      const base = slot * dimensions
      let along = 0
      let squared = 0
      for (let i = 0; i < dimensions && squared <= furthest; i++) {
        const other = (vectors[base + i] as number) - (vector[i] as number)
        along += other * (way[i] as number)
        squared += other * other
      }
      const imbalance = Math.abs(squared - near)
      if (squared > furthest || imbalance >= best || along <= fit * Math.sqrt(near * squared)) continue
      best = imbalance
      found = slot
    }
    return found
  }

  /** How far, squared, a sketch leaves the line in the first coordinates: it stays off it. */
  #aside(vector: Int16Array, slot: number, wayEarly: number): number {
    const early = this.#early
    const way = this.#way
    const base = slot * earlyDimensions
    let along = 0
    let squared = 0
    for (let i = 0; i < earlyDimensions; i++) {
      const other = (early[base + i] as number) - (vector[i] as number)
      along += other * (way[i] as number)
      squared += other * other
    }
    return squared - (along * along) / wayEarly
  }

  /** Keeps the way from one sketch to another in `#way`. @returns its squared length */
  #wayFrom(from: Int16Array, to: Int16Array): number {
    if (this.#way.length !== from.length) this.#way = new Float64Array(from.length)
    let squared = 0
    for (let i = 0; i < from.length; i++) {
      const value = (to[i] as number) - (from[i] as number)
      this.#way[i] = value
      squared += value * value
    }
    return squared
  }
}
