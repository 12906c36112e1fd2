import { setImmediate as nextTurn } from 'node:timers/promises'
import { BusError } from '../errors.ts'
import { Pause } from '../pause.ts'
import type { ConsumerOptions, PartitionControl } from '../port.ts'
import type { Partition } from './partition.ts'

export interface GroupOffsets {
  committed(partition: Partition): number | undefined
  commit(partition: Partition, offset: number): Promise<void>
}

/** One partition in the hands of one member of a group, from `onAssigned` to `onRevoked`. */
export class Assignment {
  readonly partition: Partition
  readonly #options: ConsumerOptions
  readonly #offsets: GroupOffsets
  readonly #abort = new AbortController()
  readonly #control: PartitionControl
  readonly #ready = Promise.withResolvers<void>()
  #running: Promise<void> = Promise.resolve()
  #assigned = false
  #over = false

  constructor(partition: Partition, options: ConsumerOptions, offsets: GroupOffsets) {
    this.partition = partition
    this.#options = options
    this.#offsets = offsets
    // In process nothing but a revocation takes a partition.
    this.#control = { commit: (offset) => this.#commit(offset), signal: this.#abort.signal, held: () => !this.#over }
  }

  /** Resolves when `onAssigned` has been heard, or has failed once. */
  start(): Promise<void> {
    this.#running = this.#run()
    return this.#ready.promise
  }

  /** Waits for the running handler, then for `onRevoked`. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#running
    if (this.#assigned) {
      await this.#options.onRevoked?.(this.partition.topic.name, this.partition.number).catch((error: unknown) => this.#report(error))
    }
    this.#over = true
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    let position = await this.#begin(signal)
    const pause = new Pause()
    while (!signal.aborted) {
      await this.partition.wait(position, signal)
      if (signal.aborted) return
      const next = await this.#deliver(position, signal, pause)
      if (next !== null) position = next
      // A handler that only computes would otherwise keep the event loop to itself for the whole backlog.
      await nextTurn()
    }
  }

  async #begin(signal: AbortSignal): Promise<number> {
    const pause = new Pause()
    while (!signal.aborted) {
      try {
        const given = await this.#options.onAssigned?.(this.partition.topic.name, this.partition.number, this.#control)
        this.#assigned = true
        this.#ready.resolve()
        const fallback = this.#options.from === 'latest' ? this.partition.end : this.partition.start
        // An offset beyond the end would pass over what is appended next.
        return Math.min(given ?? this.#offsets.committed(this.partition) ?? fallback, this.partition.end)
      } catch (error) {
        this.#ready.resolve()
        this.#report(error)
        await pause.wait(signal)
      }
    }
    this.#ready.resolve()
    return 0
  }

  /** Hands over the next batch until the handler takes it; returns where the one after begins, null where it was revoked first. */
  async #deliver(position: number, signal: AbortSignal, pause: Pause): Promise<number | null> {
    const { topic, number: partition } = this.partition
    let records: ReturnType<Partition['read']> | undefined
    while (!signal.aborted) {
      try {
        records ??= this.partition.read(position, this.#options.maxBatch ?? 1_000)
        const last = records.at(-1)
        // Compaction or retention took all that there was.
        if (last === undefined) return this.partition.end
        await this.#options.onBatch({ topic: topic.name, partition, records, end: this.partition.end }, this.#control)
        pause.reset()
        return last.offset + 1
      } catch (error) {
        this.#report(error)
        await pause.wait(signal)
      }
    }
    return null
  }

  async #commit(offset: number): Promise<void> {
    const { topic, number } = this.partition
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new BusError('INVALID_RECORD', `committing ${topic.name}/${number}: ${offset} is not an offset`)
    if (this.#over) throw new BusError('PARTITION_LOST', `committing ${topic.name}/${number}@${offset}: another member has the partition`)
    await this.#offsets.commit(this.partition, offset)
  }

  #report(error: unknown): void {
    this.#options.onError?.(error)
  }
}
