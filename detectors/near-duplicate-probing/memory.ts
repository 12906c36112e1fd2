import { z } from 'zod'
import { float64Of, int16Of, textOf } from '../statistics/typed-array-text.ts'

/** One query as the detector remembers it. Lengths are in steps of the sketch. */
export interface Point {
  /** Counts the queries of this memory. */
  seq: number
  event: string
  at: number
  principal: string
  organization: string | null
  exact: string
  label: number
  confidence: number
  margin: number
  /** −ln of the confidence's tail probability: 1 on average for ordinary queries. */
  doubt: number
  /** −ln of the residual's tail probability. */
  strangeness: number
  residual: number
  /** Distance to the nearest reference input. */
  reference: number
  /** The cluster it belongs to, or 0. */
  cluster: number
  /** The point that it was linked to, or 0, and how far away that was. */
  parent: number
  step: number
  /** Share of that change inside the principal subspace. */
  share: number
  /** Queries that were linked to it. */
  children: number
}

/** The numbers of a point in the order in which a snapshot has them, column by column; after them, how often it was spared. */
const numbers = [
  'seq',
  'at',
  'label',
  'confidence',
  'margin',
  'doubt',
  'strangeness',
  'residual',
  'reference',
  'cluster',
  'parent',
  'step',
  'share',
  'children',
] as const satisfies readonly (keyof Point)[]

/** Columns, since an object for each of thousands of points takes ten times as long to write. */
const MemoryJson = z
  .object({
    capacity: z.int().min(1).max(65_536),
    dimensions: z.int().min(0).max(4_096),
    hand: z.int().min(0),
    seq: z.int().min(0),
    events: z.array(z.string()).max(65_536),
    principals: z.array(z.string()),
    organizations: z.array(z.string().nullable()),
    exacts: z.array(z.string()),
    /** Float64, base64. */
    numbers: z.string(),
    recent: z.array(z.tuple([z.string(), z.array(z.number())])),
    /** Int16, base64. */
    vectors: z.string(),
  })
  .refine(({ capacity, events, principals, organizations, exacts }) => {
    return events.length <= capacity && [principals, organizations, exacts].every((column) => column.length === events.length)
  }, 'columns of different lengths')
  .refine(({ events, numbers: text, dimensions, vectors }) => {
    const bytes = (base64: string) => Buffer.byteLength(base64, 'base64')
    return bytes(text) === events.length * (numbers.length + 1) * 8 && bytes(vectors) === events.length * dimensions * 2
  }, 'numbers missing')
type MemoryJson = z.infer<typeof MemoryJson>

export interface Neighbour {
  readonly point: Point
  /** Estimated L2 distance in steps. */
  readonly distance: number
}

/** Coordinates compared first; most points are out after them. */
const headDimensions = 8
/** How often a point of a cluster survives the eviction hand, so that heavy traffic does not wash a slow attack away. */
const lives = 3
/** Queries kept in order for each principal: an attack's path begins far from where it ends. */
const recentPerPrincipal = 12

/**
 * The last queries of one model, whoever sent them, in a ring with a second chance for points of clusters
 * (the CLOCK policy). Nearest search is exact: a scan with partial distances.
 */
export class Memory {
  readonly #capacity: number
  readonly #points: Point[] = []
  readonly #spared: number[] = []
  readonly #slotOf = new Map<number, number>()
  readonly #exact = new Map<string, number>()
  readonly #recent = new Map<string, number[]>()
  #dimensions: number
  #vectors: Int16Array
  /** Per slot: the first coordinates, then the residual: |difference of residuals| bounds the remainder's distance from below. */
  #heads: Float32Array
  #hand = 0
  #seq = 0

  constructor(capacity: number, dimensions = 0) {
    this.#capacity = capacity
    this.#dimensions = dimensions
    this.#vectors = new Int16Array(capacity * dimensions)
    this.#heads = new Float32Array(capacity * (headDimensions + 1))
  }

  get size(): number {
    return this.#points.length
  }

  /** The sequence number that the next point will get. */
  get nextSeq(): number {
    return this.#seq + 1
  }

  seen(exact: string): Point | undefined {
    const slot = this.#exact.get(exact)
    return slot === undefined ? undefined : this.#points[slot]
  }

  get(seq: number): Point | undefined {
    const slot = this.#slotOf.get(seq)
    return slot === undefined ? undefined : this.#points[slot]
  }

  /** Sequence numbers of a principal's last queries, oldest first. */
  recent(principal: string): readonly number[] {
    return this.#recent.get(principal) ?? []
  }

  /** The sketch of a remembered point; a view, valid until the next `add`. */
  vector(seq: number): Int16Array | undefined {
    const slot = this.#slotOf.get(seq)
    return slot === undefined ? undefined : this.#vectors.subarray(slot * this.#dimensions, (slot + 1) * this.#dimensions)
  }

  /** False when the sketch has another length than those remembered: it cannot be compared. */
  accepts(vector: Int16Array): boolean {
    if (this.#dimensions === 0 && vector.length >= headDimensions) {
      this.#dimensions = vector.length
      this.#vectors = new Int16Array(this.#capacity * vector.length)
    }
    return vector.length === this.#dimensions
  }

  /** @param radius in steps; undefined when no point is nearer */
  nearest(vector: Int16Array, residual: number, radius: number): Neighbour | undefined {
    const dimensions = this.#dimensions
    const heads = this.#heads
    const vectors = this.#vectors
    const width = headDimensions + 1
    const a = vector[0] as number
    const b = vector[1] as number
    const c = vector[2] as number
    const d = vector[3] as number
    const e = vector[4] as number
    const f = vector[5] as number
    const g = vector[6] as number
    const h = vector[7] as number
    let best = radius * radius
    let found = -1
    for (let slot = 0, at = 0; slot < this.#points.length; slot++, at += width) {
      const da = a - (heads[at] as number)
      const db = b - (heads[at + 1] as number)
      const dc = c - (heads[at + 2] as number)
      const dd = d - (heads[at + 3] as number)
      const first = da * da + db * db + dc * dc + dd * dd
      if (first >= best) continue
      const de = e - (heads[at + 4] as number)
      const df = f - (heads[at + 5] as number)
      const dg = g - (heads[at + 6] as number)
      const dh = h - (heads[at + 7] as number)
      const head = first + de * de + df * df + dg * dg + dh * dh
      // The bound on the remainder holds for true lengths; half of it leaves room for the estimate's error.
      const rest = residual - (heads[at + 8] as number)
      if (head + 0.5 * rest * rest >= best) continue
      let sum = head
      const base = slot * dimensions
      for (let i = headDimensions; i < dimensions && sum < best; i += 8) {
        for (let j = i; j < i + 8 && j < dimensions; j++) {
          const difference = (vector[j] as number) - (vectors[base + j] as number)
          sum += difference * difference
        }
      }
      if (sum < best) {
        best = sum
        found = slot
      }
    }
    const point = this.#points[found]
    return point === undefined ? undefined : { point, distance: Math.sqrt(best) }
  }

  /**
   * The point, read differently from `parent`, that lies straight across the query from it and about as far: the
   * other end of a segment that somebody bisects. A scan of everything, so for linked queries only.
   *
   * @param fit least −cos of the angle at the query
   */
  across(vector: Int16Array, parent: Point, fit: number): Point | undefined {
    const from = this.vector(parent.seq)
    if (!from) return undefined
    const dimensions = this.#dimensions
    const vectors = this.#vectors
    const way = Float64Array.from(from, (value, i) => (vector[i] as number) - value)
    const near = way.reduce((sum, value) => sum + value * value, 0)
    let best = Number.POSITIVE_INFINITY
    let found: Point | undefined
    for (let slot = 0; slot < this.#points.length; slot++) {
      const point = this.#points[slot] as Point
      if (point.label === parent.label) continue
      const base = slot * dimensions
      let along = 0
      let squared = 0
      for (let i = 0; i < dimensions; i++) {
        const other = (vectors[base + i] as number) - (vector[i] as number)
        along += other * (way[i] as number)
        squared += other * other
        // Beyond two and a half times the distance the query is in no middle.
        if (squared > 6.25 * near) break
      }
      const imbalance = Math.abs(squared - near)
      if (imbalance >= best || along <= fit * Math.sqrt(near * squared)) continue
      best = imbalance
      found = point
    }
    return found
  }

  /** Remembers a point; returns the one that had to go. */
  add(point: Omit<Point, 'seq'>, vector: Int16Array): { added: Point; evicted: Point | undefined } {
    const slot = this.#freeSlot()
    const evicted = this.#points[slot]
    if (evicted) {
      this.#slotOf.delete(evicted.seq)
      if (this.#exact.get(evicted.exact) === slot) this.#exact.delete(evicted.exact)
      this.#keepRecent(
        evicted.principal,
        this.recent(evicted.principal).filter((seq) => seq !== evicted.seq),
      )
    }
    const added = { ...point, seq: ++this.#seq }
    this.#place(slot, added, vector)
    this.#keepRecent(added.principal, [...this.recent(added.principal), added.seq].slice(-recentPerPrincipal))
    return { added, evicted }
  }

  #keepRecent(principal: string, seqs: number[]): void {
    if (seqs.length > 0) this.#recent.set(principal, seqs)
    else this.#recent.delete(principal)
  }

  #place(slot: number, point: Point, vector: ArrayLike<number>): void {
    this.#points[slot] = point
    this.#spared[slot] = 0
    this.#vectors.set(vector, slot * this.#dimensions)
    const at = slot * (headDimensions + 1)
    for (let i = 0; i < headDimensions; i++) this.#heads[at + i] = vector[i] as number
    this.#heads[at + headDimensions] = point.residual
    this.#slotOf.set(point.seq, slot)
    this.#exact.set(point.exact, slot)
  }

  #freeSlot(): number {
    if (this.#points.length < this.#capacity) return this.#points.length
    for (;;) {
      const slot = this.#hand
      this.#hand = (this.#hand + 1) % this.#capacity
      const spared = this.#spared[slot] ?? 0
      if (this.#points[slot]?.cluster === 0 || spared >= lives) return slot
      this.#spared[slot] = spared + 1
    }
  }

  toJSON(): MemoryJson {
    const points = this.#points
    const columns = new Float64Array(points.length * (numbers.length + 1))
    for (const [column, name] of numbers.entries()) {
      const from = column * points.length
      for (let slot = 0; slot < points.length; slot++) columns[from + slot] = (points[slot] as Point)[name]
    }
    columns.set(this.#spared.slice(0, points.length), numbers.length * points.length)
    return {
      capacity: this.#capacity,
      dimensions: this.#dimensions,
      hand: this.#hand,
      seq: this.#seq,
      events: points.map(({ event }) => event),
      principals: points.map(({ principal }) => principal),
      organizations: points.map(({ organization }) => organization),
      exacts: points.map(({ exact }) => exact),
      numbers: textOf(columns),
      recent: [...this.#recent],
      vectors: textOf(this.#vectors.subarray(0, points.length * this.#dimensions)),
    }
  }

  static from(json: MemoryJson): Memory {
    const memory = new Memory(json.capacity, json.dimensions)
    const vectors = int16Of(json.vectors)
    const columns = float64Of(json.numbers)
    const size = json.events.length
    for (const [slot, event] of json.events.entries()) {
      const named = Object.fromEntries(numbers.map((name, column) => [name, columns[column * size + slot] ?? 0])) as Pick<
        Point,
        (typeof numbers)[number]
      >
      const point = {
        ...named,
        event,
        principal: json.principals[slot] ?? '',
        organization: json.organizations[slot] ?? null,
        exact: json.exacts[slot] ?? '',
      }
      memory.#place(slot, point, vectors.subarray(slot * json.dimensions, (slot + 1) * json.dimensions))
      memory.#spared[slot] = columns[numbers.length * size + slot] ?? 0
    }
    for (const [principal, seqs] of json.recent) memory.#recent.set(principal, seqs)
    memory.#hand = json.hand % json.capacity
    memory.#seq = json.seq
    return memory
  }
}

/** Guards snapshots: the live memory as it is, or its JSON, read back. */
export const MemoryState = z.union([z.instanceof(Memory), MemoryJson.transform(Memory.from)])
