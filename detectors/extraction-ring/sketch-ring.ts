import { z } from 'zod'
import { remainderDimensions } from '../statistics/sketch.ts'
import { float64Of, int16Of, textOf } from '../statistics/typed-array-text.ts'

/** Coordinates compared first; most sketches are out after them. */
const headDimensions = 8
/** After them, the lengths of the other principal coordinates and of the remainder's. */
const headWidth = headDimensions + 2

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
  .refine(({ size, capacity, next }) => size <= capacity && next < capacity, 'beyond its capacity')
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
  readonly #heads: Float32Array
  readonly #labels: Uint16Array
  readonly #owners: Float64Array
  #next = 0
  #size = 0

  constructor(capacity: number, dimensions = 0) {
    this.#capacity = capacity
    this.#dimensions = dimensions
    this.#vectors = new Int16Array(capacity * dimensions)
    this.#heads = new Float32Array(capacity * headWidth)
    this.#owners = new Float64Array(capacity)
    this.#labels = new Uint16Array(capacity)
  }

  /** Where the remainder's coordinates begin. */
  get #middle(): number {
    return Math.max(headDimensions, this.#dimensions - remainderDimensions)
  }

  /** False when the sketch has another length than those remembered: it cannot be compared. */
  accepts(vector: Int16Array): boolean {
    if (this.#dimensions === 0 && vector.length >= headDimensions) {
      this.#dimensions = vector.length
      this.#vectors = new Int16Array(this.#capacity * vector.length)
    }
    return vector.length === this.#dimensions && vector.length > 0
  }

  add(vector: Int16Array, owner: number, label: number): void {
    this.#place(this.#next, vector, owner, label)
    this.#next = (this.#next + 1) % this.#capacity
    this.#size = Math.min(this.#size + 1, this.#capacity)
  }

  #place(slot: number, vector: Int16Array, owner: number, label: number): void {
    this.#vectors.set(vector, slot * this.#dimensions)
    const at = slot * headWidth
    for (let i = 0; i < headDimensions; i++) this.#heads[at + i] = vector[i] as number
    this.#heads[at + headDimensions] = lengthOf(vector, headDimensions, this.#middle)
    this.#heads[at + headDimensions + 1] = lengthOf(vector, this.#middle, vector.length)
    this.#owners[slot] = owner
    this.#labels[slot] = Math.min(label, anyLabel - 1)
  }

  /**
   * One pass for both; sketches at distance 0 are the same input, and count for nothing.
   *
   * @param label only others' of this answer, and all of its own; or {@link anyLabel}
   * @param radius in steps
   * @param out overwritten, so that a query allocates nothing
   */
  nearest(vector: Int16Array, owner: number, label: number, radius: number, out: Neighbours): void {
    const heads = this.#heads
    const owners = this.#owners
    const labels = this.#labels
    let own = radius * radius
    let other = own
    let otherSlot = -1
    out.own = Number.POSITIVE_INFINITY
    out.other = Number.POSITIVE_INFINITY
    out.otherOwner = 0
    out.otherRise = 0
    out.otherOutside = 0
    out.otherCommon = 0
    out.others = 0
    out.repeated = false
    const a = vector[0] as number
    const b = vector[1] as number
    const c = vector[2] as number
    const d = vector[3] as number
    const e = vector[4] as number
    const f = vector[5] as number
    const g = vector[6] as number
    const h = vector[7] as number
    const middle = lengthOf(vector, headDimensions, this.#middle)
    const end = lengthOf(vector, this.#middle, vector.length)
    for (let slot = 0, at = 0; slot < this.#size; slot++, at += headWidth) {
      const mine = owners[slot] === owner
      if (!mine && label !== anyLabel && labels[slot] !== label) continue
      const bound = mine ? own : radius * radius
      // The difference of two lengths is at most the length of the difference.
      const dm = middle - (heads[at + headDimensions] as number)
      const dn = end - (heads[at + headDimensions + 1] as number)
      const da = a - (heads[at] as number)
      const db = b - (heads[at + 1] as number)
      const dc = c - (heads[at + 2] as number)
      const dd = d - (heads[at + 3] as number)
      let sum = da * da + db * db + dc * dc + dd * dd
      if (sum + dm * dm + dn * dn >= bound) continue
      const de = e - (heads[at + 4] as number)
      const df = f - (heads[at + 5] as number)
      const dg = g - (heads[at + 6] as number)
      const dh = h - (heads[at + 7] as number)
      sum += de * de + df * df + dg * dg + dh * dh
      if (sum + dm * dm + dn * dn >= bound) continue
      sum = this.#rest(vector, slot, sum, bound)
      if (sum >= bound) continue
      if (sum === 0) out.repeated ||= mine
      else if (mine) own = sum
      else {
        out.others++
        if (sum >= other) continue
        other = sum
        out.otherOwner = this.#owners[slot] as number
        out.otherRise = dn
        otherSlot = slot
      }
    }
    if (own < radius * radius) out.own = Math.sqrt(own)
    if (otherSlot < 0) return
    out.other = Math.sqrt(other)
    this.#compare(vector, otherSlot, other, out)
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
    for (let i = headDimensions; i < this.#dimensions && sum < bound; i += 8) {
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
      next: this.#next,
      size: this.#size,
      owners: textOf(this.#owners.subarray(0, this.#size)),
      labels: Array.from(this.#labels.subarray(0, this.#size)),
      vectors: textOf(this.#vectors.subarray(0, this.#size * this.#dimensions)),
    }
  }

  static from(json: Json): SketchRing {
    const ring = new SketchRing(json.capacity, json.dimensions)
    const vectors = int16Of(json.vectors)
    const owners = float64Of(json.owners)
    for (let slot = 0; slot < json.size; slot++) {
      ring.#place(slot, vectors.subarray(slot * json.dimensions, (slot + 1) * json.dimensions), owners[slot] ?? 0, json.labels[slot] ?? 0)
    }
    ring.#next = json.next
    ring.#size = json.size
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
