import type { Instant } from '../../schemas/index.ts'
import type { BusRecord } from '../port.ts'
import type { Bounds, ChunkWrite, IndexStore, StoredTopic } from './index-store.ts'
import { encodeChunk } from './layout.ts'

/** Records that are in the journal and not yet in the index. */
interface Segment {
  readonly base: number
  readonly records: readonly BusRecord[]
  readonly bytes: Buffer
  readonly newest: number
}

/** Aimed size of a chunk: small enough to read for one record, large enough that the index stays small. */
const chunkBytes = 131_072
/** Most bytes of values handed out at a time. */
const readBytes = 4_194_304

/** One partition: the indexed part on disk, then a tail in memory. */
export class Partition {
  /** Replaced when the topic's settings change. */
  topic: StoredTopic
  readonly number: number
  readonly #index: IndexStore
  readonly #waiting = new Set<() => void>()
  #tail: Segment[] = []
  #start: number
  #indexedEnd: number
  #end: number
  /** Newest timestamp in the indexed part. */
  #newest: number
  /** Bytes appended since the last compaction, and left by it. */
  dirtyBytes = 0
  cleanBytes = 0
  /** The chunk that was read last: readers that follow each other, or take less than a chunk, find it here. */
  #cached: { readonly base: number; readonly last: number; readonly records: readonly BusRecord[] } | null = null

  constructor(topic: StoredTopic, number: number, index: IndexStore) {
    this.topic = topic
    this.number = number
    this.#index = index
    const bounds = index.bounds(topic, number)
    this.#start = bounds.start
    this.#indexedEnd = bounds.end
    this.#end = bounds.end
    this.#newest = bounds.newest
    // Nobody counted while the bus was closed: let the first compaction look.
    if (bounds.end > bounds.start) this.dirtyBytes = Number.POSITIVE_INFINITY
  }

  get start(): number {
    return this.#start
  }

  /** One past the newest record. */
  get end(): number {
    return this.#end
  }

  /** One past the newest record that is in the index. */
  get indexedEnd(): number {
    return this.#indexedEnd
  }

  get bounds(): Bounds {
    return { start: this.#start, end: this.#indexedEnd, newest: this.#newest }
  }

  append(records: readonly BusRecord[], bytes: Buffer): void {
    let newest = 0
    for (const record of records) newest = Math.max(newest, record.timestamp)
    this.#tail.push({ base: this.#end, records, bytes, newest })
    this.#end += records.length
  }

  wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Resolves when there is something at `offset`, or `signal` aborts. */
  async wait(offset: number, signal: AbortSignal): Promise<void> {
    if (offset < this.#end || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    signal.addEventListener('abort', resolve as () => void)
    await promise
    signal.removeEventListener('abort', resolve as () => void)
    this.#waiting.delete(resolve)
  }

  /** The records from `offset` on, at most `limit` and some 4 MiB of them, ascending; offsets that are gone are skipped. */
  read(offset: number, limit: number): BusRecord[] {
    const found: BusRecord[] = []
    let bytes = 0
    const take = (records: readonly BusRecord[]): boolean => {
      for (const record of records) {
        if (record.offset < offset) continue
        if (found.length >= limit || (bytes > readBytes && found.length > 0)) return false
        found.push(record)
        bytes += record.value?.length ?? 0
      }
      return true
    }
    let at = Math.max(offset, this.#start)
    while (at < this.#indexedEnd) {
      const chunk = this.#chunkAt(at)
      if (chunk === null) break
      if (!take(chunk.records)) return found
      at = chunk.last + 1
    }
    for (let i = this.#segmentAt(Math.max(offset, this.#indexedEnd)); i < this.#tail.length; i++) {
      if (!take(this.#tail[i]?.records ?? [])) break
    }
    return found
  }

  #chunkAt(offset: number): { readonly last: number; readonly records: readonly BusRecord[] } | null {
    const cached = this.#cached
    if (cached !== null && cached.base <= offset && offset <= cached.last) return cached
    const read = this.#index.readChunk(this.topic, this.number, offset)
    if (read === null) return null
    this.#cached = { base: read.entry.base, last: read.entry.last, records: read.records }
    return this.#cached
  }

  #segmentAt(offset: number): number {
    let low = 0
    let high = this.#tail.length
    while (low < high) {
      const middle = (low + high) >> 1
      const segment = this.#tail[middle]
      if (segment !== undefined && segment.base + segment.records.length <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The tail as chunks to index, which came about `now`; {@link indexed} says when they are. */
  chunks(now: Instant): ChunkWrite[] {
    const writes: ChunkWrite[] = []
    let newestSoFar = this.#newest
    let group: Segment[] = []
    let bytes = 0
    const flush = (): void => {
      const first = group[0]
      if (first === undefined) return
      const count = group.reduce((sum, segment) => sum + segment.records.length, 0)
      const newest = Math.max(...group.map((segment) => segment.newest))
      newestSoFar = Math.max(newestSoFar, newest)
      const runs = group.map((segment) => segment.bytes)
      const chunk = encodeChunk(runs, count, null)
      const { topic, number: partition } = this
      writes.push({
        topic,
        partition,
        base: first.base,
        last: first.base + count - 1,
        arrived: now,
        newestSoFar,
        bytes: chunk.length,
        count,
        chunk,
      })
      group = []
      bytes = 0
    }
    for (const segment of this.#tail) {
      if (bytes + segment.bytes.length > chunkBytes) flush()
      group.push(segment)
      bytes += segment.bytes.length
    }
    flush()
    return writes
  }

  /** The chunks are in the index: the tail needs not hold them any longer. */
  indexed(writes: readonly ChunkWrite[]): void {
    for (const write of writes) {
      this.#indexedEnd = write.last + 1
      this.#newest = write.newestSoFar
      this.dirtyBytes += write.bytes
    }
    this.#tail = this.#tail.slice(this.#segmentAt(this.#indexedEnd))
  }

  /** Everything before `start` is gone. */
  startAt(start: number): void {
    this.#start = start
    this.#cached = null
  }

  /** Chunks were rewritten. */
  forget(): void {
    this.#cached = null
  }

  /** The first offset whose timestamp is at or after `at`; the end where there is none. */
  offsetAt(at: number): number {
    let low = this.#start
    let high = this.#indexedEnd
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const entry = this.#index.floor(this.topic, this.number, middle)
      // Before the first chunk that compaction left, there is nothing to find.
      if (entry === null || entry.newestSoFar < at) low = Math.max(middle, entry?.last ?? middle) + 1
      else high = Math.max(low, Math.min(entry.base, middle))
    }
    // From here on a chunk may only look right because of an older, newer-stamped record that is gone.
    for (let from = low; from < this.#end; ) {
      const records = this.read(from, 1_000)
      const found = records.find((record) => record.timestamp >= at)
      if (found !== undefined) return found.offset
      const last = records.at(-1)
      if (last === undefined) break
      from = last.offset + 1
    }
    return this.#end
  }
}
