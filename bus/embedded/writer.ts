import type { Logger } from 'pino'
import type { Instant } from '../../schemas/index.ts'
import { BusError } from '../errors.ts'
import type { OutgoingRecord, Position } from '../port.ts'
import { commitBytes, type FrameItem, partHead } from './frame.ts'
import type { CommitWrite, IndexStore } from './index-store.ts'
import type { Journal } from './journal.ts'
import { decodeRun, type EncodedRun, encodeRun } from './layout.ts'
import type { Partition } from './partition.ts'

/** Records of one publish that go to one partition, in order; `places` are their indices in the publish. */
interface Part {
  readonly partition: Partition
  readonly run: EncodedRun
  readonly places: readonly number[]
}

interface Job {
  readonly parts: readonly Part[]
  readonly commits: readonly CommitWrite[]
  readonly bytes: number
  readonly positions: Position[]
  readonly resolve: (positions: readonly Position[]) => void
  readonly reject: (error: unknown) => void
}

export interface WriterOptions {
  readonly journal: Journal
  readonly index: IndexStore
  readonly log: Logger | undefined
  readonly clock: () => Instant
  /** Longest that a record stays in the journal alone. Default 250 ms. */
  readonly indexMs?: number
}

/** Bytes of one frame, and of one run in it. */
const frameBytes = 8_388_608
const runBytes = 131_072
/** Unindexed bytes that start indexing at once, that delay acknowledgements, and that refuse records. */
const indexBytes = 4_194_304
const delayBytes = 67_108_864
const fullBytes = 268_435_456
const rotateBytes = 67_108_864
/** Before indexing is tried again after it failed. */
const retryMs = 1_000

/**
 * The one place that appends. What arrives within a turn of the event loop becomes one frame of the journal: then
 * readers in this process see it, and when one sync has it on disk all its publishers are told. Some time later the
 * index takes it over, many frames in one transaction.
 *
 * So a reader can see a record a moment before it is on disk (as with Kafka): a power cut, never the death of the
 * process, can take such a record back, and then nobody was told that it was published.
 */
export class Writer {
  readonly #journal: Journal
  readonly #index: IndexStore
  readonly #log: Logger | undefined
  readonly #clock: () => Instant
  readonly #indexMs: number
  readonly #dirty = new Set<Partition>()
  #queue: Job[] = []
  #queuedBytes = 0
  #unindexedBytes = 0
  #scheduled = false
  #commits = new Map<string, CommitWrite>()
  #timer: NodeJS.Timeout | undefined
  #indexing: Promise<void> | null = null
  #indexFailed = false
  /** Set for good when a sync failed: what is on disk is unknown then. */
  #failure: BusError | null = null

  constructor(options: WriterOptions) {
    this.#journal = options.journal
    this.#index = options.index
    this.#log = options.log
    this.#clock = options.clock
    this.#indexMs = options.indexMs ?? 250
  }

  publish(records: readonly OutgoingRecord[], partitionOf: (record: OutgoingRecord) => Partition): Promise<readonly Position[]> {
    const byPartition = new Map<Partition, number[]>()
    records.forEach((record, place) => {
      const partition = partitionOf(record)
      const places = byPartition.get(partition)
      if (places === undefined) byPartition.set(partition, [place])
      else places.push(place)
    })
    const parts = [...byPartition].flatMap(([partition, places]) => cut(partition, places, records, this.#clock()))
    return this.#enqueue(parts, [])
  }

  /** Resolves when the offset is on disk. */
  async commit(write: CommitWrite): Promise<void> {
    await this.#enqueue([], [write])
  }

  /** Takes over a frame of the journal that the index does not have. */
  restore(items: readonly FrameItem[], partitionAt: (topicId: number, partition: number) => Partition): void {
    for (const { topicId, partition: number, offset, run, group } of items) {
      const partition = partitionAt(topicId, number)
      if (run !== undefined) this.#append(partition, run, offset)
      if (group !== undefined) this.#keepCommit({ group, topic: partition.topic, partition: number, offset })
    }
  }

  #enqueue(parts: readonly Part[], commits: readonly CommitWrite[]): Promise<readonly Position[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const bytes = parts.reduce((sum, part) => sum + part.run.bytes.length, 0)
    if (this.#queuedBytes + this.#unindexedBytes + bytes > fullBytes) {
      return Promise.reject(new BusError('BUS_FULL', `publishing: ${fullBytes} bytes wait for the disk; publish again later`))
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>()
    this.#queue.push({ parts, commits, bytes, positions: [], resolve, reject })
    this.#queuedBytes += bytes
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.#flush())
    }
    return promise
  }

  #flush(): void {
    this.#scheduled = false
    while (this.#queue.length > 0) {
      let bytes = 0
      let count = 0
      while (count < this.#queue.length && (count === 0 || bytes < frameBytes)) bytes += this.#queue[count++]?.bytes ?? 0
      const jobs = this.#queue.splice(0, count)
      this.#queuedBytes -= bytes
      try {
        this.#writeFrame(jobs)
      } catch (error) {
        for (const job of jobs) job.reject(error)
        continue
      }
      void this.#acknowledge(jobs)
    }
  }

  #writeFrame(jobs: readonly Job[]): void {
    const ends = new Map<Partition, number>()
    const pieces: Buffer[] = []
    const bases: number[] = []
    for (const job of jobs) {
      for (const { partition, run } of job.parts) {
        const base = ends.get(partition) ?? partition.end
        ends.set(partition, base + run.count)
        bases.push(base)
        pieces.push(partHead(partition, base, run), run.bytes)
      }
      for (const write of job.commits) pieces.push(commitBytes(write))
    }
    this.#journal.append(pieces)
    let next = 0
    for (const job of jobs) {
      for (const { partition, run, places } of job.parts) {
        const base = bases[next++] ?? 0
        this.#append(partition, run, base)
        places.forEach((place, index) => {
          job.positions[place] = { topic: partition.topic.name, partition: partition.number, offset: base + index }
        })
      }
      for (const write of job.commits) this.#keepCommit(write)
    }
    for (const partition of ends.keys()) partition.wake()
    this.#indexSoon()
  }

  #append(partition: Partition, run: EncodedRun, base: number): void {
    if (base !== partition.end) {
      throw new BusError(
        'CORRUPT_LOG',
        `restoring ${partition.topic.name}/${partition.number}: offset ${base} follows ${partition.end}; restore the data directory from a copy`,
      )
    }
    partition.append(
      decodeRun(partition.topic.name, partition.number, run.bytes, run.count, (index) => base + index),
      run.bytes,
    )
    this.#dirty.add(partition)
    this.#unindexedBytes += run.bytes.length
  }

  #keepCommit(write: CommitWrite): void {
    this.#commits.set(`${write.topic.id}/${write.partition}/${write.group}`, write)
  }

  async #acknowledge(jobs: readonly Job[]): Promise<void> {
    try {
      await this.#journal.sync()
      // Publishers that outrun the index wait for it here, where they wait anyway.
      while (this.#unindexedBytes > delayBytes && this.#indexing !== null) await this.#indexing
      for (const job of jobs) job.resolve(job.positions)
    } catch (cause) {
      this.#failure = new BusError(
        'BUS_UNAVAILABLE',
        'syncing the journal failed, and what is on disk is unknown; mend the disk and start again',
        { cause },
      )
      this.#log?.error({ err: this.#failure }, 'bus stopped')
      for (const job of jobs) job.reject(this.#failure)
    }
  }

  #indexSoon(): void {
    if (this.#indexing !== null) return
    if (this.#unindexedBytes >= indexBytes && !this.#indexFailed) void this.index()
    else this.#timer ??= setTimeout(() => void this.index(), this.#indexFailed ? retryMs : this.#indexMs).unref()
  }

  /** Moves what the journal holds into the index; never rejects, since it is tried again. */
  index(): Promise<void> {
    this.#indexing ??= this.#indexNow()
      .catch((error: unknown) => this.#log?.error({ err: error }, 'indexing the journal failed; trying again'))
      .finally(() => {
        this.#indexing = null
        if (this.#dirty.size > 0 || this.#commits.size > 0) this.#indexSoon()
      })
    return this.#indexing
  }

  async #indexNow(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const position = this.#journal.position
    const partitions = [...this.#dirty]
    const commits = this.#commits
    const bytes = this.#unindexedBytes
    if (partitions.length === 0 && commits.size === 0) return
    const writes = partitions.map((partition) => partition.chunks(this.#clock()))
    this.#dirty.clear()
    this.#commits = new Map()
    try {
      await this.#index.apply(writes.flat(), [...commits.values()], position)
      this.#indexFailed = false
    } catch (error) {
      this.#indexFailed = true
      for (const partition of partitions) this.#dirty.add(partition)
      this.#commits = new Map([...commits, ...this.#commits])
      throw error
    }
    partitions.forEach((partition, index) => partition.indexed(writes[index] ?? []))
    this.#unindexedBytes -= bytes
    this.#journal.discardBefore(position.generation)
    if (this.#journal.position.position > rotateBytes) this.#journal.rotate()
  }

  /** Writes and indexes all that was given. */
  async close(): Promise<void> {
    this.#flush()
    await this.#indexing
    await this.index()
    clearTimeout(this.#timer)
    await this.#journal.close()
  }
}

/** Cuts a partition's records into runs of about 128 KiB, since a run is the least that is read. */
function cut(partition: Partition, places: readonly number[], records: readonly OutgoingRecord[], now: Instant): Part[] {
  const at = partition.topic.timestamps === 'append' ? now : null
  const parts: Part[] = []
  let from = 0
  let bytes = 0
  places.forEach((place, index) => {
    bytes += 512 + (records[place]?.value?.length ?? 0)
    if (bytes < runBytes && index < places.length - 1) return
    const taken = places.slice(from, index + 1)
    const run = encodeRun(
      taken.flatMap((place) => records[place] ?? []),
      at,
    )
    parts.push({ partition, run, places: taken })
    from = index + 1
    bytes = 0
  })
  return parts
}
