import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { decode } from '../bus/codec.ts'
import { Pause } from '../bus/pause.ts'
import type { Batch, BusRecord, Consumer, EventBus, PartitionControl } from '../bus/port.ts'
import { type Assignment, type EventOf, type Instant, type Kind, topics } from '../schemas/index.ts'
import { rowOf, type Store, type StoredKind, type TableName, tableOf } from '../store/index.ts'
import { Fences } from './fences.ts'
import { type SinkMetrics, sinkMetrics } from './sink-metrics.ts'
import { type Blocked, StoreTrouble } from './store-trouble.ts'
import { type Entry, TableWriter } from './table-writer.ts'
import { letterOf } from './unreadable.ts'

export interface SinkOptions {
  readonly bus: EventBus
  readonly store: Pick<Store, 'insert' | 'known' | 'settled' | 'lateMs' | 'engine'>
  readonly log: Logger
  readonly registry: Registry
  readonly clock: () => Instant
  /** Consumer group. Default `sink`. */
  readonly group?: string
  /** Most rows of one insert. Default 10,000 in process, 50,000 on a server. */
  readonly maxRows?: number
  /** Least time from one insert of a table to the next while nothing is behind. Default 200 ms in process, 1 s on a server. */
  readonly maxWaitMs?: number
}

export interface SinkState {
  /** As known when the last batch of each partition came. */
  readonly assignments: readonly Assignment[]
  /** Since this sink began. */
  readonly rowsWritten: number
  readonly duplicates: number
  readonly deadLetters: number
  /** The store refuses or is away: what is waited for, and since when. Null when all is well. */
  readonly blocked: Blocked | null
}

export interface Sink {
  state(): SinkState
  /** Stores what has been read and commits it; what the store does not take is read again by the next sink. */
  close(): Promise<void>
}

/** Records decoded in a row, some 2 ms: in one process with a node, requests are answered in between. */
const yieldEvery = 200

/** Every topic whose kind has a table: all but control state (keys, models). */
export const sinkTopics: readonly string[] = Object.values(topics)
  .filter(({ kind }) => tableOf(kind) !== null)
  .map(({ name }) => name)

/**
 * Moves every event from the bus into the store, exactly once by event id, whatever restarts. It never drops: while
 * the store is away it stops reading, and goes on by itself.
 */
export async function startSink(options: SinkOptions): Promise<Sink> {
  const sink = new BusSink(options)
  await sink.start()
  return sink
}

class BusSink implements Sink {
  readonly #options: SinkOptions
  readonly #metrics: SinkMetrics
  readonly #writers = new Map<TableName, TableWriter>()
  /** Where each partition stands, and when the log took what is being stored; null when nothing is. */
  readonly #places = new Map<string, Omit<Assignment, 'lagMs' | 'standby'> & { readonly oldest: Instant | null }>()
  readonly #trouble: StoreTrouble
  readonly #closing = new AbortController()
  /** Partitions that were given to this sink, and how many of them had been when it last saw that nothing else writes. */
  #assigned = 0
  #settled = 0
  #settling: Promise<void> | undefined
  readonly #counts = { rows: 0, duplicates: 0, letters: 0 }
  readonly #fences: Fences
  #consumer: Consumer | undefined

  constructor(options: SinkOptions) {
    this.#options = options
    this.#fences = new Fences(options.bus)
    this.#trouble = new StoreTrouble(options.clock, options.store.lateMs)
    this.#metrics = sinkMetrics(options.registry, () => (this.#trouble.blocked?.sinceMs ?? 0) / 1_000)
  }

  async start(): Promise<void> {
    const { bus, log } = this.#options
    this.#consumer = await bus.consume({
      group: this.#options.group ?? 'sink',
      topics: sinkTopics,
      maxBatch: Math.min(5_000, this.#options.maxRows ?? 5_000),
      onAssigned: async () => {
        this.#assigned++
        return undefined
      },
      onRevoked: async (topic, partition) => {
        this.#fences.forget(topic, partition)
        this.#places.delete(`${topic}/${partition}`)
        this.#metrics.lag.remove({ topic, partition: String(partition) })
      },
      onBatch: (batch, control) => this.#handle(batch, control),
      onError: (error) => log.warn({ err: error }, 'the bus failed the sink; it tries again'),
    })
  }

  state(): SinkState {
    return {
      assignments: [...this.#places.values()].map(({ oldest, ...place }) => ({
        ...place,
        standby: false,
        lagMs: oldest === null ? 0 : Math.max(0, this.#options.clock() - oldest),
      })),
      rowsWritten: this.#counts.rows,
      duplicates: this.#counts.duplicates,
      deadLetters: this.#counts.letters,
      blocked: this.#trouble.blocked,
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#consumer?.close()
    this.#trouble.clear()
  }

  async #handle(batch: Batch, control: PartitionControl): Promise<void> {
    const last = batch.records.at(-1)
    if (last === undefined) return
    const behind = batch.end - last.offset - 1
    this.#notePlace(batch, 0)
    let loads: Map<TableName, Entry[]>
    try {
      loads = await this.#read(batch, control.signal)
      await this.#undisturbed(control.signal)
      await Promise.all([...loads].map(([table, entries]) => this.#writer(table).add(entries, behind > 0, control)))
    } catch (error) {
      // Told to stop while the store was away: whoever reads the partition next starts at this batch again.
      if (control.signal.aborted) return
      throw error
    }
    await control.commit(last.offset + 1)
    this.#notePlace(batch, batch.records.length)
    if (behind <= 0) await Promise.all([...loads.keys()].map((table) => this.#writer(table).rest(control.signal)))
  }

  /**
   * Waits, after a partition was given to this sink, until what others left running on the server has ended: a member
   * that died may have left an insert there, and its rows are not to be seen until it ends.
   *
   * @throws the signal's reason
   */
  async #undisturbed(signal: AbortSignal): Promise<void> {
    while (this.#settled < this.#assigned) {
      signal.throwIfAborted()
      this.#settling ??= this.#settle().finally(() => {
        this.#settling = undefined
      })
      const waited = new AbortController()
      await Promise.race([this.#settling, once(signal, 'abort', { signal: waited.signal }).catch(() => {})])
      waited.abort()
    }
  }

  async #settle(): Promise<void> {
    const pause = new Pause()
    for (;;) {
      const assigned = this.#assigned
      this.#trouble.ask(null)
      try {
        await this.#options.store.settled()
        this.#noteTrouble(null, null)
        this.#settled = assigned
        return
      } catch (error) {
        this.#noteTrouble(null, error)
        if (this.#closing.signal.aborted) return
        await pause.wait(this.#closing.signal)
      }
    }
  }

  /** Rows by table. What cannot be read is on `dead-letters` when it resolves. */
  async #read(batch: Batch, signal: AbortSignal): Promise<Map<TableName, Entry[]>> {
    const loads = new Map<TableName, Entry[]>()
    const fenced = await this.#fences.fenced(batch.topic, batch.partition, batch.records)
    for (const [index, record] of batch.records.entries()) {
      if (index % yieldEvery === yieldEvery - 1) await nextTurn()
      if (fenced.has(record)) {
        this.#noteFenced(record)
        continue
      }
      // A tombstone ends a key of a compacted topic; there is no event in it.
      if (record.value === null) continue
      let event: EventOf<Kind>
      try {
        event = decode(record)
      } catch (error) {
        await this.#giveUp(record, error, signal)
        continue
      }
      const table = tableOf(event.kind)
      if (table === null) continue
      const entry = { id: event.id, row: rowOf(event as EventOf<StoredKind>, record), record }
      const load = loads.get(table)
      if (load === undefined) loads.set(table, [entry])
      else load.push(entry)
    }
    return loads
  }

  /** @throws the signal's reason */
  async #giveUp(record: BusRecord, error: unknown, signal: AbortSignal): Promise<void> {
    const { bus, clock, log } = this.#options
    const letter = letterOf(record, error, clock(), 'sink')
    const pause = new Pause()
    for (;;) {
      signal.throwIfAborted()
      try {
        await bus.publish([letter])
        break
      } catch (failure) {
        log.warn({ err: failure }, 'a dead letter could not be published; trying again')
        await pause.wait(signal)
      }
    }
    this.#noteGivenUp(record, error)
  }

  #noteGivenUp({ topic, partition, offset }: BusRecord, error: unknown): void {
    this.#counts.letters++
    this.#metrics.deadLetters.inc({ topic })
    this.#options.log.warn({ err: error, topic, partition, offset }, 'record given up')
  }

  #noteFenced({ topic, partition, offset }: BusRecord): void {
    this.#metrics.fenced.inc({ topic })
    this.#options.log.warn({ topic, partition, offset }, 'the word of a writer that was replaced before is not stored')
  }

  #writer(table: TableName): TableWriter {
    const existing = this.#writers.get(table)
    if (existing !== undefined) return existing
    const embedded = this.#options.store.engine === 'chdb'
    const writer = new TableWriter({
      table,
      store: this.#options.store,
      log: this.#options.log,
      maxRows: this.#options.maxRows ?? (embedded ? 10_000 : 50_000),
      maxBytes: 32 << 20,
      maxWaitMs: this.#options.maxWaitMs ?? (embedded ? 200 : 1_000),
      onStored: (rows, duplicates, seconds) => this.#noteStored(table, rows, duplicates, seconds),
      onTrouble: (error) => this.#noteTrouble(table, error),
      onAttempt: () => this.#trouble.ask(table),
      onLetGo: () => this.#trouble.end(table),
      // A dead letter that cannot be stored stands on its topic already; a letter of it would be the next that cannot.
      onRejected: async ({ record }, error, signal) =>
        table === 'dead_letters' ? this.#noteGivenUp(record, error) : this.#giveUp(record, error, signal),
    })
    this.#writers.set(table, writer)
    return writer
  }

  #noteStored(table: TableName, rows: number, duplicates: number, seconds: number): void {
    this.#counts.rows += rows
    this.#counts.duplicates += duplicates
    this.#metrics.rows.inc({ table }, rows)
    this.#metrics.duplicates.inc({ table }, duplicates)
    this.#metrics.insertSeconds.observe({ table }, seconds)
  }

  #noteTrouble(table: TableName | null, error: unknown): void {
    if (error !== null) {
      this.#metrics.failures.inc({ table: table ?? '' })
      this.#trouble.fail(table, error)
    } else if (this.#trouble.end(table)) this.#options.log.info({ table }, 'the store takes rows again')
  }

  /** @param stored how many records of the batch are */
  #notePlace({ topic, partition, records, end }: Batch, stored: number): void {
    const last = records.at(-1)?.offset ?? end - 1
    const offset = records[stored]?.offset ?? last + 1
    // What stands after the batch was not read: it is younger than the batch's last.
    const waiting = records[stored] ?? (last + 1 < end ? records.at(-1) : undefined)
    this.#places.set(`${topic}/${partition}`, { topic, partition, offset, end, oldest: waiting?.timestamp ?? null })
    this.#metrics.lag.set({ topic, partition: String(partition) }, Math.max(0, end - offset))
  }
}
