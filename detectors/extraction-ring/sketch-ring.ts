import { z } from 'zod'
import { remainderDimensions } from '../statistics/sketch.ts'
import { float64Of, int16Of, textOf } from '../statistics/typed-array-text.ts'
import { Chains } from './chains.ts'

/** Coordinates compared first, all at once; nineteen in twenty sketches of the same answer are out after them. */
const headWidth = 16
/** After so many coordinates the rest is bounded by its lengths. */
const boundedFrom = 8

/** Answers that share a chain differ by a multiple of this. */
const labelBuckets = 64

/** Stands for all answers. */
export const anyLabel = 65_535

const Json = z
  .object({
    capacity: z.int().min(1).max(8_192),
    dimensions: z.int().min(0).max(4_096),
    next: z.int().min(0),
    size: z.int().min(0).max(8_192),
    /** Float64, base64: account numbers. */
    owners: z.string(),
    labels: z.array(z.int().min(0).max(anyLabel)).max(8_192),
    /** Int16, base64. */
    vectors: z.string(),
  })
  .refine(({ size, capacity, next }) => next < capacity && (size === capacity || next === size), 'beyond its capacity')
  .refine(({ size, dimensions, owners, vectors }) => {
    return Buffer.byteLength(owners, 'base64') === size * 8 && Buffer.byteLength(vectors, 'base64') === size * dimensions * 2
  }, 'sketches missing')
type Json = z.infer<typeof Json>

/** The nearest sketch of the account itself and that of another, in steps; infinite where none is within the radius. */
export interface Neighbours {
  own: number
  other: number
  /** The other's account number. */
  otherOwner: number
  /** How much longer the query's remainder is than the other's: a perturbation leaves the subspace, a copy comes back to it. */
  otherRise: number
  /** Share of the squared difference to the other's that lies outside the model's principal subspace. */
  otherOutside: number
  /** What both have in common outside it, against their mean squared length. */
  otherCommon: number
  /** Others' sketches within the radius. */
  others: number
  /** Whether the account sent exactly this before. */
  repeated: boolean
}

/** The last sketches of one model with the numbers of the accounts that sent them, oldest overwritten. */
export class SketchRing {
  readonly #capacity: number
  #dimensions: number
  #vectors: Int16Array
  /** The first coordinates, zeros where there are fewer; they lie together, so that a scan reads nothing else of most. */
  readonly #heads: Float32Array
  /** Lengths of the principal coordinates behind the first eight, and of the remainder's. */
  readonly #lengths: Float32Array
  readonly #labels: Uint16Array
  readonly #owners: Float64Array
  readonly #byOwner: Chains
  readonly #byLabel: Chains
  /** Slots in question; head and lengths of the query in hand. */
  readonly #slots: Int32Array
  readonly #head = new Float64Array(headWidth)
  #middleLength = 0
  #endLength = 0
  /** Sketches that were ever added. */
  #added = 0

  constructor(capacity: number, dimensions = 0) {
    this.#capacity = capacity
    this.#dimensions = dimensions
    this.#vectors = new Int16Array(capacity * dimensions)
    this.#heads = new Float32Array(capacity * headWidth)
    this.#lengths = new Float32Array(capacity * 2)
    this.#owners = new Float64Array(capacity)
    this.#labels = new Uint16Array(capacity)
    this.#byOwner = new Chains(capacity, 2 ** Math.ceil(Math.log2(capacity)))
    this.#byLabel = new Chains(capacity, labelBuckets)
    this.#slots = new Int32Array(capacity)
  }

  get #size(): number {
    return Math.min(this.#added, this.#capacity)
  }

  /** Where the remainder's coordinates begin. */
  get #middle(): number {
    return Math.max(boundedFrom, this.#dimensions - remainderDimensions)
  }

  /** False when the sketch has another length than those remembered: it cannot be compared. */
  accepts(vector: Int16Array): boolean {
    if (this.#dimensions === 0 && vector.length >= boundedFrom) {
      this.#dimensions = vector.length
      this.#vectors = new Int16Array(this.#capacity * vector.length)
    }
    return vector.length === this.#dimensions && vector.length > 0
  }

  add(vector: Int16Array, owner: number, label: number): void {
    const slot = this.#added % this.#capacity
    this.#vectors.set(vector, slot * this.#dimensions)
    this.#readHead(vector)
    this.#heads.set(this.#head, slot * headWidth)
    this.#lengths[2 * slot] = this.#middleLength
    this.#lengths[2 * slot + 1] = this.#endLength
    this.#owners[slot] = owner
    this.#labels[slot] = Math.min(label, anyLabel - 1)
    this.#added++
    this.#byOwner.add(this.#added, owner)
    this.#byLabel.add(this.#added, this.#labels[slot] as number)
  }

  #readHead(vector: Int16Array): void {
    const head = this.#head
    for (let i = 0; i < headWidth; i++) head[i] = vector[i] ?? 0
    this.#middleLength = lengthOf(vector, boundedFrom, this.#middle)
    this.#endLength = lengthOf(vector, this.#middle, vector.length)
  }

  /**
   * The nearest of both; sketches at distance 0 are the same input, and count for nothing.
   *
   * @param label only others' of this answer, and all of its own; or {@link anyLabel}
   * @param radius in steps
   * @param out overwritten, so that a query allocates nothing
   */
  nearest(vector: Int16Array, owner: number, label: number, radius: number, out: Neighbours): void {
    this.#readHead(vector)
    this.#nearestOwn(vector, owner, radius, out)
    out.other = Number.POSITIVE_INFINITY
    out.otherOwner = 0
    out.otherRise = 0
    out.otherOutside = 0
    out.otherCommon = 0
    out.others = 0
    const slots = this.#slots
    const bound = radius * radius
    const count = this.#others(owner, label, bound)
    let best = bound
    let found = -1
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const squared = this.#squared(vector, slot, bound)
      if (squared >= bound || squared === 0) continue
      out.others++
      if (squared >= best) continue
      best = squared
      found = slot
    }
    if (found < 0) return
    out.otherOwner = this.#owners[found] as number
    out.otherRise = this.#endLength - (this.#lengths[2 * found + 1] as number)
    out.other = Math.sqrt(best)
    this.#compare(vector, found, best, out)
  }

  /** Slots of others, of an answer or of all, whose heads lie within the bound; ascending, in `#slots`. @returns how many */
  #others(owner: number, label: number, bound: number): number {
    const all = label === anyLabel
    const chained = all ? this.#size : this.#byLabel.find(label, this.#added, this.#slots)
    const slots = this.#slots
    const owners = this.#owners
    const labels = this.#labels
    const heads = this.#heads
    const head = this.#head
    let count = 0
    for (let i = 0; i < chained; i++) {
      const slot = all ? i : (slots[i] as number)
      const at = slot * headWidth
      let sum = 0
      for (let j = 0; j < headWidth; j += 4) {
        const a = (head[j] as number) - (heads[at + j] as number)
        const b = (head[j + 1] as number) - (heads[at + j + 1] as number)
        const c = (head[j + 2] as number) - (heads[at + j + 2] as number)
        const d = (head[j + 3] as number) - (heads[at + j + 3] as number)
        sum += a * a + b * b + c * c + d * d
      }
      if (sum >= bound) continue
      if (owners[slot] !== owner && (all || labels[slot] === label)) slots[count++] = slot
    }
    return count
  }

  #nearestOwn(vector: Int16Array, owner: number, radius: number, out: Neighbours): void {
    const slots = this.#slots
    const count = this.#byOwner.find(owner, this.#added, slots)
    const bound = radius * radius
    let best = bound
    out.repeated = false
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      if (this.#owners[slot] !== owner) continue
      const squared = this.#squared(vector, slot, best)
      if (squared >= best) continue
      if (squared === 0) out.repeated = true
      else best = squared
    }
    out.own = best < bound ? Math.sqrt(best) : Number.POSITIVE_INFINITY
  }

  /** The squared distance of the query in hand to a sketch, or something beyond the bound. */
  #squared(vector: Int16Array, slot: number, bound: number): number {
    const heads = this.#heads
    const head = this.#head
    const at = slot * headWidth
    let sum = 0
    for (let i = 0; i < boundedFrom; i++) sum += ((head[i] as number) - (heads[at + i] as number)) ** 2
    // The difference of two lengths is at most the length of the difference.
    const middle = this.#middleLength - (this.#lengths[2 * slot] as number)
    const end = this.#endLength - (this.#lengths[2 * slot + 1] as number)
    if (sum + middle * middle + end * end >= bound) return Number.POSITIVE_INFINITY
    return this.#rest(vector, slot, sum, bound)
  }

  #compare(vector: Int16Array, slot: number, squared: number, out: Neighbours): void {
    const base = slot * this.#dimensions
    let [difference, common, lengths] = [0, 0, 0]
    for (let i = 0; i < this.#dimensions; i++) {
      const a = vector[i] as number
      const b = this.#vectors[base + i] as number
      lengths += a * a + b * b
      if (i < this.#middle) continue
      difference += (a - b) ** 2
      common += a * b
    }
    out.otherOutside = difference / squared
    out.otherCommon = (2 * common) / Math.max(lengths, 1)
  }

  /** The squared distance, or something beyond the bound. */
  #rest(vector: Int16Array, slot: number, head: number, bound: number): number {
    const vectors = this.#vectors
    const base = slot * this.#dimensions
    let sum = head
    for (let i = boundedFrom; i < this.#dimensions && sum < bound; i += 8) {
      for (let j = i; j < i + 8 && j < this.#dimensions; j++) {
        const difference = (vector[j] as number) - (vectors[base + j] as number)
        sum += difference * difference
      }
    }
    return sum
  }

  toJSON(): Json {
    return {
      capacity: this.#capacity,
      dimensions: this.#dimensions,
      next: this.#added % this.#capacity,
      size: this.#size,
      owners: textOf(this.#owners.subarray(0, this.#size)),
      labels: Array.from(this.#labels.subarray(0, this.#size)),
      vectors: textOf(this.#vectors.subarray(0, this.#size * this.#dimensions)),
    }
  }

  static from(json: Json): SketchRing {
    const { dimensions, size } = json
    const ring = new SketchRing(json.capacity, dimensions)
    const vectors = int16Of(json.vectors)
    const owners = float64Of(json.owners)
    // In the order in which they came; where the ring is full, the next to be overwritten is the oldest.
    ring.#added = size === json.capacity ? json.next : 0
    for (let n = 0; n < size; n++) {
      const slot = ring.#added % json.capacity
      ring.add(vectors.subarray(slot * dimensions, (slot + 1) * dimensions), owners[slot] ?? 0, json.labels[slot] ?? 0)
    }
    return ring
  }
}

function lengthOf(vector: Int16Array, from: number, until: number): number {
  let sum = 0
  for (let i = from; i < until; i++) sum += (vector[i] as number) * (vector[i] as number)
  return Math.sqrt(sum)
}

/** Guards snapshots: the live ring as it is, or its JSON, read back. */
export const SketchRingState = z.union([z.instanceof(SketchRing), Json.transform(SketchRing.from)])
