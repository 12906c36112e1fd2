import { z } from 'zod'
import { float64Of, int16Of, textOf, uint32Of } from '../statistics/typed-array-text.ts'
import { BandIndex, bandCount, mostCandidates } from './band-index.ts'
import { MemoryJson, numbers, type Point, pointAt, type Seen } from './point.ts'
import { RecentQueries } from './recent-queries.ts'
import { SketchTable } from './sketch-table.ts'

/** What is looked for. */
export interface Sought {
  readonly vector: Int16Array
  readonly bands: Uint32Array
  readonly principal: string
  /** In steps. */
  readonly radius: number
}

export interface Neighbour {
  readonly point: Point
  /** Estimated L2 distance in steps. */
  readonly distance: number
}

/** How often a point of a cluster survives the eviction hand, so that heavy traffic does not wash a slow attack away. */
const lives = 3
/** The hand comes to a point once in `capacity` additions, and forgets it at the latest when it comes so often. */
const rounds = lives + 1

/**
 * The last queries of one model, whoever sent them, in a ring with a second chance for points of clusters
 * (the CLOCK policy). Nearest search is exact: a scan with partial distances.
 */
export class Memory {
  readonly #capacity: number
  readonly #points: Point[] = []
  readonly #entries: Seen[] = []
  readonly #spared: number[] = []
  /** Slots by sequence number modulo its length, which no two remembered points share: see {@link rounds}. */
  readonly #slotAt: Int32Array
  /** By slot; −1 for none. */
  readonly #seqs: Float64Array
  readonly #exact = new Map<string, number>()
  readonly #recent: RecentQueries
  readonly #sketches: SketchTable
  readonly #labels: Int32Array
  readonly #index: BandIndex
  readonly #candidates = new Int32Array(mostCandidates)
  /** Per slot, the last search that looked at it. */
  readonly #asked: Float64Array
  #query = 0
  #best = 0
  #found = -1
  #hand = 0
  #seq = 0

  constructor(capacity: number, dimensions = 0, recent = new RecentQueries()) {
    this.#capacity = capacity
    this.#recent = recent
    this.#sketches = new SketchTable(capacity, dimensions)
    this.#labels = new Int32Array(capacity)
    this.#slotAt = new Int32Array(2 ** Math.ceil(Math.log2(rounds * capacity + 1)))
    this.#seqs = new Float64Array(capacity).fill(-1)
    this.#index = new BandIndex(capacity)
    this.#asked = new Float64Array(capacity)
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
    const slot = this.#slot(seq)
    return slot < 0 ? undefined : this.#points[slot]
  }

  /** Sequence numbers of a principal's last queries, oldest first. */
  recent(principal: string): readonly number[] {
    return this.#recent.of(principal)
  }

  /** A remembered point with its sketch, or undefined when it is forgotten. */
  entry(seq: number): Seen | undefined {
    const slot = this.#slot(seq)
    return slot < 0 ? undefined : this.#entries[slot]
  }

  /** The sketch of a remembered point; a view, valid until the next `add`. */
  vector(seq: number): Int16Array | undefined {
    return this.entry(seq)?.vector
  }

  /** Where a point is; −1 when it is forgotten. */
  #slot(seq: number): number {
    const slot = this.#slotAt[seq & (this.#slotAt.length - 1)] as number
    return this.#seqs[slot] === seq ? slot : -1
  }

  /** False when the sketch has another length than those remembered: it cannot be compared. */
  accepts(vector: Int16Array): boolean {
    return this.#sketches.accepts(vector)
  }

  /**
   * The nearest of what is likely near: the principal's own last queries, those that share a band, the given
   * ones (where clusters grow), and the whole cluster of the nearest of these.
   *
   * @param near sequence numbers to look at as well
   * @param membersOf sequence numbers of a cluster
   * @param radius in steps; undefined when no point is nearer
   */
  nearest(
    { vector, bands, principal, radius }: Sought,
    near: readonly number[],
    membersOf: (cluster: number) => readonly number[],
  ): Neighbour | undefined {
    this.#query++
    this.#best = radius * radius
    this.#found = -1
    this.#compareAll(vector, this.recent(principal))
    this.#compareAll(vector, near)
    const count = this.#index.candidates(bands, this.#candidates)
    for (let i = 0; i < count; i++) this.#compare(vector, this.#candidates[i] as number)
    if (this.#found < 0) return undefined
    const cluster = this.#points[this.#found]?.cluster ?? 0
    if (cluster > 0) this.#compareAll(vector, membersOf(cluster))
    const point = this.#points[this.#found]
    return point === undefined ? undefined : { point, distance: Math.sqrt(this.#best) }
  }

  #compareAll(vector: Int16Array, seqs: readonly number[]): void {
    for (let i = 0; i < seqs.length; i++) this.#compare(vector, this.#slot(seqs[i] as number))
  }

  #compare(vector: Int16Array, slot: number): void {
    if (slot < 0 || this.#asked[slot] === this.#query) return
    this.#asked[slot] = this.#query
    const squared = this.#sketches.squaredBelow(this.#best, vector, slot)
    if (squared < 0) return
    this.#best = squared
    this.#found = slot
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
    const choice = { count: this.#points.length, labels: this.#labels, without: parent.label }
    const slot = this.#sketches.across(vector, from, choice, fit)
    return slot < 0 ? undefined : this.#points[slot]
  }

  /** Keeps a point, and gives it its number; returns the one that had to go. */
  add(added: Point, vector: Int16Array, bands: Uint32Array): { added: Point; evicted: Point | undefined } {
    const slot = this.#freeSlot()
    const evicted = this.#points[slot]
    if (evicted) {
      if (this.#exact.get(evicted.exact) === slot) this.#exact.delete(evicted.exact)
      this.#recent.remove(evicted.principal, evicted.seq)
    }
    added.seq = ++this.#seq
    this.#place(slot, added, vector, bands)
    this.#recent.add(added.principal, added.seq)
    return { added, evicted }
  }

  #place(slot: number, point: Point, vector: ArrayLike<number>, bands: Uint32Array): void {
    this.#points[slot] = point
    this.#spared[slot] = 0
    this.#sketches.set(slot, vector)
    // The view of whoever had the slot is the same, and making one takes long.
    const view = this.#entries[slot]?.vector ?? this.#sketches.view(slot)
    this.#entries[slot] = { point, vector: view, row: 0 }
    this.#labels[slot] = point.label
    this.#index.set(slot, bands)
    this.#seqs[slot] = point.seq
    this.#slotAt[point.seq & (this.#slotAt.length - 1)] = slot
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
      dimensions: this.#sketches.dimensions,
      hand: this.#hand,
      seq: this.#seq,
      events: points.map(({ event }) => event),
      principals: points.map(({ principal }) => principal),
      organizations: points.map(({ organization }) => organization),
      exacts: points.map(({ exact }) => exact),
      numbers: textOf(columns),
      recent: this.#recent.entries(),
      bands: textOf(this.#index.bandsOf(points.length)),
      vectors: textOf(this.#sketches.first(points.length)),
    }
  }

  static from(json: MemoryJson): Memory {
    const memory = new Memory(json.capacity, json.dimensions, new RecentQueries(json.recent))
    const vectors = int16Of(json.vectors)
    const bands = uint32Of(json.bands)
    const columns = float64Of(json.numbers)
    const size = json.events.length
    const points = json.events.map((_, slot) => pointAt(json, columns, slot))
    memory.#points.push(...points)
    // In the order in which they came: chains begin with the newest.
    const order = points.map((_, slot) => slot).sort((a, b) => (points[a]?.seq ?? 0) - (points[b]?.seq ?? 0))
    for (const slot of order) {
      const vector = vectors.subarray(slot * json.dimensions, (slot + 1) * json.dimensions)
      memory.#place(slot, points[slot] as Point, vector, bands.subarray(slot * bandCount, (slot + 1) * bandCount))
      memory.#spared[slot] = columns[numbers.length * size + slot] ?? 0
    }
    memory.#hand = json.hand % json.capacity
    memory.#seq = json.seq
    return memory
  }
}

/** Guards snapshots: the live memory as it is, or its JSON, read back. */
export const MemoryState = z.union([z.instanceof(Memory), MemoryJson.transform(Memory.from)])
