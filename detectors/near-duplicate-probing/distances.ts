import { remainderDimensions } from '../statistics/sketch.ts'
import type { Seen } from './point.ts'

/** Members that a new one is compared with. */
export const trailLength = 16
/** Theirs, the query's, and the parent's where it is older than all of them. */
const rows = trailLength + 2
const parentRow = rows - 1
const unknown = -1

/**
 * Squared distances between a cluster's last members, each computed when it is first asked for and kept as long as both are
 * there: all angles, centres and spreads follow from them. They are whole numbers, so that it makes no difference
 * to any finding when they were computed; after a snapshot they are computed again.
 */
export class Distances {
  readonly #seqs = new Float64Array(rows)
  readonly #total = new Float64Array(rows * rows)
  readonly #inside = new Float64Array(rows * rows)

  /** Gives a member its row. @param order how many members the cluster had before it */
  place(seen: Seen, order: number): void {
    this.#put(seen, order % parentRow)
  }

  /** For a parent that is not among the last members. */
  placeParent(seen: Seen): void {
    this.#put(seen, parentRow)
  }

  #put(seen: Seen, row: number): void {
    seen.row = row
    if (this.#seqs[row] === seen.point.seq) return
    this.#seqs[row] = seen.point.seq
    for (let other = 0; other < rows; other++) {
      this.#total[row * rows + other] = unknown
      this.#total[other * rows + row] = unknown
    }
  }

  /** Steps². */
  squared(a: Seen, b: Seen): number {
    const at = a.row * rows + b.row
    const known = this.#total[at] as number
    return known === unknown ? this.#compute(a, b) : known
  }

  /** The part of it inside the principal subspace. */
  inside(a: Seen, b: Seen): number {
    const at = a.row * rows + b.row
    if (this.#total[at] === unknown) this.#compute(a, b)
    return this.#inside[at] as number
  }

  #compute(a: Seen, b: Seen): number {
    const x = a.vector
    const y = b.vector
    const split = Math.max(0, x.length - remainderDimensions)
    let sum = 0
    let i = 0
    for (; i < split; i++) {
      const difference = (x[i] as number) - (y[i] as number)
      sum += difference * difference
    }
    const inside = sum
    for (; i < x.length; i++) {
      const difference = (x[i] as number) - (y[i] as number)
      sum += difference * difference
    }
    const at = a.row * rows + b.row
    const back = b.row * rows + a.row
    this.#total[at] = sum
    this.#total[back] = sum
    this.#inside[at] = inside
    this.#inside[back] = inside
    return sum
  }

  /** Scalar product of the ways from b to a and from d to c. */
  product(a: Seen, b: Seen, c: Seen, d: Seen): number {
    return (this.squared(a, d) + this.squared(b, c) - this.squared(a, c) - this.squared(b, d)) / 2
  }

  /** Cosine of the ways from b to a and from d to c; 0 when one of them is nothing. */
  cosine(a: Seen, b: Seen, c: Seen, d: Seen): number {
    const lengths = this.squared(a, b) * this.squared(c, d)
    return lengths === 0 ? 0 : this.product(a, b, c, d) / Math.sqrt(lengths)
  }

  /** Share of the squared way between two inside the principal subspace: isotropic noise has principal/width, natural change far more. */
  share(a: Seen, b: Seen): number {
    const squared = this.squared(a, b)
    return squared > 0 ? this.inside(a, b) / squared : 0
  }
}

/** The middle of some members, known by its distances. */
export class Middle {
  readonly #points: readonly Seen[]
  readonly #distances: Distances
  /** Mean squared distance of the points from their middle, and its part inside the principal subspace. */
  readonly scatter: number
  readonly scatterInside: number

  constructor(points: readonly Seen[], distances: Distances) {
    this.#points = points
    this.#distances = distances
    let total = 0
    let inside = 0
    for (let i = 1; i < points.length; i++) {
      for (let j = 0; j < i; j++) {
        total += distances.squared(points[i] as Seen, points[j] as Seen)
        inside += distances.inside(points[i] as Seen, points[j] as Seen)
      }
    }
    const pairs = points.length * points.length
    this.scatter = total / pairs
    this.scatterInside = inside / pairs
  }

  /** Squared distance of a member from here. */
  squared(from: Seen): number {
    let sum = 0
    for (const each of this.#points) sum += this.#distances.squared(from, each)
    return Math.max(0, sum / this.#points.length - this.scatter)
  }

  share(from: Seen): number {
    let sum = 0
    for (const each of this.#points) sum += this.#distances.inside(from, each)
    const squared = this.squared(from)
    return squared > 0 ? Math.max(0, sum / this.#points.length - this.scatterInside) / squared : 0
  }

  /** Cosine of the ways from here to two members. */
  cosine(a: Seen, b: Seen): number {
    const toA = this.squared(a)
    const toB = this.squared(b)
    return toA * toB === 0 ? 0 : (toA + toB - this.#distances.squared(a, b)) / (2 * Math.sqrt(toA * toB))
  }
}
