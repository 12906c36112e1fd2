import { z } from 'zod'
import type { EventOf } from '../../schemas/index.ts'
import { readSketch, remainderDimensions } from '../statistics/sketch.ts'

/**
 * Queries remembered for each principal, of some 90 bytes: the last ones, and a uniform sample of those before. The sample is
 * large while an account is young or under suspicion and small where it grew old without any, so that a million principals fit.
 */
export const capacity = { recent: 12, sample: 116, calmSample: 8 } as const
/** Coordinates of the remainder that are kept; with fewer, distances are too rough. */
const keptRemainder = 32
const mostCoordinates = 512
const rowsAtFirst = 4

type Data = EventOf<'fingerprint'>['data']

/** Numbers of a row beside its coordinates. */
const columns = { hash: 0, chain: 1, label: 2, returns: 3, strangeness: 4, classDoubt: 5, step: 6 } as const
const stride = 7

const MemoryJson = z
  .object({
    width: z.int().min(0).max(mostCoordinates),
    head: z
      .int()
      .min(0)
      .max(capacity.recent - 1),
    /** Int8 and Float32 little-endian, base64. */
    cells: z.string(),
    numbers: z.string(),
  })
  .refine(({ width, cells, numbers }) => {
    const rows = Buffer.byteLength(numbers, 'base64') / (4 * stride)
    return Number.isInteger(rows) && rows <= capacity.recent + capacity.sample && Buffer.byteLength(cells, 'base64') === rows * width
  }, 'columns of different lengths')
type MemoryJson = z.infer<typeof MemoryJson>

/** What is remembered of a query beside its coordinates. */
export interface Query {
  /** Of the exact input, keyed: equal inputs, equal number below 2²⁴; uniform, and nobody without the key chooses it. */
  readonly hash: number
  readonly label: number
  readonly chain: number
  /** How often a later query varied it or came back to it. */
  readonly returns: number
  /** −log₁₀ of the tails of its residual and of its distance from its class. */
  readonly strangeness: number
  readonly classDoubt: number
}

export interface Nearest {
  readonly row: number
  /** L2, input units. */
  readonly distance: number
}

/** The coordinates last made; used again for every event. */
const coordinates = new Float32Array(mostCoordinates)

/**
 * Coordinates in input units: the principal ones, and half of the projections of the remainder, scaled so that
 * lengths still estimate lengths. A view that the next call overwrites.
 */
export function coordinatesOf({ sketch, scale }: Data): Float32Array {
  const steps = readSketch(sketch)
  const count = steps.length
  const principal = Math.max(0, count - remainderDimensions)
  const width = Math.min(count, principal + keptRemainder, mostCoordinates)
  const remainder = scale * Math.sqrt(remainderDimensions / keptRemainder)
  for (let i = 0; i < width; i++) coordinates[i] = (steps[i] as number) * (i < principal ? scale : remainder)
  return coordinates.subarray(0, width)
}

/** Coordinates of {@link coordinatesOf} before the remainder's. */
export function principalOf(width: number): number {
  return Math.max(0, width - keptRemainder)
}

export function hashOf({ exact }: Data): number {
  return Number.parseInt(exact.slice(0, 6), 16) || 0
}

/** The queries of one principal: rows of int8 coordinates and a few numbers. The first rows are a ring of the last queries. */
export class Memory {
  #width = 0
  #rows = 0
  /** Where the ring's next query goes. */
  #head = 0
  #cells = new Int8Array(0)
  #numbers = new Float32Array(0)

  get size(): number {
    return this.#rows
  }

  get width(): number {
    return this.#width
  }

  get recent(): number {
    return Math.min(this.#rows, capacity.recent)
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#cells.byteLength + this.#numbers.byteLength
  }

  /** The row of the n-th last query, 1 being the last. Meaningful up to {@link recent}. */
  last(n: number): number {
    return this.#rows < capacity.recent ? this.#rows - n : (this.#head - n + capacity.recent) % capacity.recent
  }

  has(hash: number): boolean {
    for (let at = columns.hash; at < this.#rows * stride; at += stride) if (this.#numbers[at] === hash) return true
    return false
  }

  read(row: number, column: keyof typeof columns): number {
    return this.#numbers[row * stride + columns[column]] as number
  }

  /** Counts a return to a row, and says how many there were before. */
  comeBack(row: number): number {
    return (this.#numbers[row * stride + columns.returns] as number)++
  }

  /** Row after row; times a row's `step` they are in input units. */
  get cells(): Int8Array {
    return this.#cells
  }

  /** Gives up as soon as the sum exceeds `bound`. */
  squaredDistance(row: number, values: Float32Array, bound: number): number {
    const cells = this.#cells
    const base = row * this.#width
    const step = this.read(row, 'step')
    const count = values.length
    const whole = count - (count % 4)
    let sum = 0
    for (let i = 0; i < whole; i += 4) {
      const a = (values[i] as number) - (cells[base + i] as number) * step
      const b = (values[i + 1] as number) - (cells[base + i + 1] as number) * step
      const c = (values[i + 2] as number) - (cells[base + i + 2] as number) * step
      const d = (values[i + 3] as number) - (cells[base + i + 3] as number) * step
      sum += a * a + b * b + c * c + d * d
      if (sum >= bound) return sum
    }
    for (let i = whole; i < count; i++) {
      const difference = (values[i] as number) - (cells[base + i] as number) * step
      sum += difference * difference
    }
    return sum
  }

  /** Between two rows; gives up as soon as the sum exceeds `bound`. */
  squaredBetween(one: number, other: number, bound: number): number {
    const cells = this.#cells
    const width = this.#width
    const [step, otherStep] = [this.read(one, 'step'), this.read(other, 'step')]
    let sum = 0
    for (let i = 0; i < width && sum < bound; i++) {
      const difference = (cells[one * width + i] as number) * step - (cells[other * width + i] as number) * otherStep
      sum += difference * difference
    }
    return sum
  }

  /** The nearest of the sampled queries with the same answer, and how many have it. */
  nearestOlder(values: Float32Array, label: number): Nearest & { readonly among: number } {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    let among = 0
    for (let row = capacity.recent; row < this.#rows; row++) {
      if (this.#numbers[row * stride + columns.label] !== label) continue
      among++
      const squared = this.squaredDistance(row, values, least)
      if (squared >= least) continue
      least = squared
      best = row
    }
    return { row: best, distance: Math.sqrt(least), among }
  }

  /**
   * Remembers a query as the last; the one that leaves the ring may enter the sample.
   *
   * @param sample how many of those before are kept
   */
  remember(query: Query, values: Float32Array, sample: number): void {
    if (this.#width !== values.length) this.clear(values.length)
    const row = this.#place(sample)
    let top = 0
    for (let i = 0; i < values.length; i++) {
      const size = Math.abs(values[i] as number)
      if (size > top) top = size
    }
    const step = Math.fround(top / 127)
    const inverse = step > 0 ? 1 / step : 0
    const base = row * this.#width
    const cells = this.#cells
    for (let i = 0; i < values.length; i++) {
      const scaled = (values[i] as number) * inverse
      // Rounds, and faster than Math.round.
      cells[base + i] = scaled < 0 ? scaled - 0.5 : scaled + 0.5
    }
    const at = row * stride
    this.#numbers[at + columns.hash] = query.hash
    this.#numbers[at + columns.chain] = query.chain
    this.#numbers[at + columns.label] = query.label
    this.#numbers[at + columns.returns] = query.returns
    this.#numbers[at + columns.strangeness] = query.strangeness
    this.#numbers[at + columns.classDoubt] = query.classDoubt
    this.#numbers[at + columns.step] = step
  }

  clear(width: number): void {
    this.#width = width
    this.#rows = 0
    this.#head = 0
    this.#resize(0)
  }

  #place(sample: number): number {
    if (this.#rows < capacity.recent) {
      this.#reserve(this.#rows + 1)
      return this.#rows++
    }
    const row = this.#head
    this.#head = (row + 1) % capacity.recent
    if (sample > 0) this.#keep(row, capacity.recent + sample)
    return row
  }

  /** The rows with the smallest hashes: a uniform sample of all distinct queries that needs no random numbers. */
  #keep(row: number, bound: number): void {
    if (this.#rows > bound) {
      for (; this.#rows > bound; this.#rows--) this.#move(this.#rows - 1, this.#largest())
      this.#resize(bound)
    }
    if (this.#rows < bound) {
      this.#reserve(this.#rows + 1)
      this.#move(row, this.#rows++)
      return
    }
    const largest = this.#largest()
    if (this.read(row, 'hash') < this.read(largest, 'hash')) this.#move(row, largest)
  }

  #largest(): number {
    let largest: number = capacity.recent
    for (let row = largest + 1; row < this.#rows; row++) if (this.read(row, 'hash') > this.read(largest, 'hash')) largest = row
    return largest
  }

  #move(from: number, to: number): void {
    if (from === to) return
    this.#cells.copyWithin(to * this.#width, from * this.#width, (from + 1) * this.#width)
    this.#numbers.copyWithin(to * stride, from * stride, (from + 1) * stride)
  }

  #reserve(rows: number): void {
    const room = this.#numbers.length / stride
    if (rows > room) this.#resize(Math.min(Math.max(rowsAtFirst, 2 * room), capacity.recent + capacity.sample))
  }

  #resize(rows: number): void {
    const cells = new Int8Array(rows * this.#width)
    cells.set(this.#cells.subarray(0, cells.length))
    const numbers = new Float32Array(rows * stride)
    numbers.set(this.#numbers.subarray(0, numbers.length))
    this.#cells = cells
    this.#numbers = numbers
  }

  toJSON(): MemoryJson {
    const { buffer, byteOffset } = this.#cells
    return {
      width: this.#width,
      head: this.#head,
      cells: Buffer.from(buffer, byteOffset, this.#rows * this.#width).toString('base64'),
      numbers: Buffer.from(this.#numbers.buffer, this.#numbers.byteOffset, this.#rows * stride * 4).toString('base64'),
    }
  }

  static from(json: MemoryJson): Memory {
    const memory = new Memory()
    const numbers = bytesOf(json.numbers)
    memory.#width = json.width
    memory.#rows = numbers.length / (4 * stride)
    memory.#head = json.head
    memory.#cells = new Int8Array(bytesOf(json.cells).buffer)
    memory.#numbers = new Float32Array(numbers.buffer)
    return memory
  }
}

/** A copy: what a pool holds may lie anywhere, and a view must begin at a multiple of its size. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

/** In JSON an object of columns, in memory the class. */
export const MemoryState = z.union([z.instanceof(Memory), MemoryJson.transform(Memory.from)])
