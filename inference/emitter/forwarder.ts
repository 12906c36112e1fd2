import { setTimeout as delay } from 'node:timers/promises'
import type { BusErrorCode } from '../../bus/errors.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import { CordonError, type Instant, sentHeader } from '../../schemas/index.ts'
import type { Place } from './cursor.ts'
import type { Spool, SpooledRecord } from './spool.ts'

const batchRecords = 1_000
const batchBytes = 1_048_576
const firstPauseMs = 50
const longestPauseMs = 2_000

/** The record itself is refused, whenever it is sent: repeating it would hold up everything behind it for ever. */
const hopeless: ReadonlySet<string> = new Set<BusErrorCode>(['INVALID_RECORD', 'TOO_LARGE', 'UNKNOWN_PARTITION'])

export interface ForwarderOptions {
  readonly bus: EventBus
  readonly spool: Spool
  readonly clock: () => Instant
  /** Bytes of records kept in memory on their way; what is beyond is read back from the spool. */
  readonly memoryBytes: number
  readonly onShipped: (records: number) => void
  readonly onRefused: (record: OutgoingRecord, error: unknown) => void
  /** Called when the bus goes away, and when it is back (undefined). */
  readonly onBus: (error: unknown) => void
  /** Called each time that the spool cannot be read; it is read again after a pause. */
  readonly onUnreadable: (error: unknown) => void
}

/** A record on its way; `end` is null where the disk refused it, so that it is in memory alone. */
interface Shipment {
  readonly record: OutgoingRecord
  readonly size: number
  readonly end: Place | null
}

/**
 * Ships the spool to the bus in order, one batch in flight: while one is on its way the next one gathers, so
 * that batches are as large as the bus is slow. A batch that fails is sent again until it is through.
 */
export class Forwarder {
  readonly #options: ForwarderOptions
  /** The records right after the shipped ones, as far as they are in memory. */
  #memory: Shipment[] = []
  #memoryBytes = 0
  /** There are spooled records after those in memory. */
  #behind: boolean
  #inFlight: readonly Shipment[] = []
  #wake = Promise.withResolvers<void>()
  #idle: PromiseWithResolvers<void> | undefined
  #away = false
  /** How many of the next records go one by one, to find the one that is refused. */
  #singly = 0
  readonly #stop = new AbortController()
  readonly #running: Promise<void>

  constructor(options: ForwarderOptions) {
    this.#options = options
    this.#behind = options.spool.pending > 0
    this.#running = this.#run()
  }

  get away(): boolean {
    return this.#away
  }

  /** Timestamp of the oldest record that is not shipped, as far as it is in memory. */
  get oldest(): number | undefined {
    return (this.#inFlight[0] ?? this.#memory[0])?.record.timestamp
  }

  /** Takes records that were just appended to the spool. */
  take(records: readonly SpooledRecord[]): void {
    for (const record of records) if (!this.#keep(record)) this.#behind = true
    this.#wake.resolve()
  }

  /**
   * Takes records that the spool could not, as far as there is memory for them.
   *
   * @returns how many of them, from the first on
   */
  takeUnspooled(records: readonly Omit<Shipment, 'end'>[]): number {
    const refused = records.findIndex((record) => !this.#keep({ ...record, end: null }))
    this.#wake.resolve()
    return refused === -1 ? records.length : refused
  }

  #keep(shipment: Shipment): boolean {
    if (this.#behind || this.#memoryBytes + shipment.size > this.#options.memoryBytes) return false
    this.#memory.push(shipment)
    this.#memoryBytes += shipment.size
    return true
  }

  /** Resolves when everything taken is on the bus. */
  drained(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    this.#idle ??= Promise.withResolvers()
    return this.#idle.promise
  }

  /**
   * Stops after the batch in flight; what is left stays in the spool.
   *
   * @returns how many records were in memory alone, and are lost
   */
  async close(): Promise<number> {
    this.#stop.abort()
    this.#wake.resolve()
    await this.#running
    return [...this.#inFlight, ...this.#memory].filter(({ end }) => end === null).length
  }

  get #isIdle(): boolean {
    return this.#inFlight.length === 0 && this.#memory.length === 0 && !this.#behind
  }

  async #run(): Promise<void> {
    for (let pause = firstPauseMs; !this.#stop.signal.aborted; ) {
      const wentOn = (await this.#load()) && (await this.#send())
      if (wentOn) pause = firstPauseMs
      else {
        // Aborted only by close: then the loop ends.
        await delay(pause, undefined, { signal: this.#stop.signal }).catch(() => {})
        pause = Math.min(pause * 2, longestPauseMs)
      }
    }
  }

  /** Whether there is a batch in flight, or nothing to send. */
  async #load(): Promise<boolean> {
    try {
      await this.#nextBatch()
      return true
    } catch (error) {
      this.#options.onUnreadable(error)
      return false
    }
  }

  /** Whether the bus took what was in flight. */
  async #send(): Promise<boolean> {
    if (this.#inFlight.length === 0) return this.#rest()
    try {
      await this.#ship(this.#inFlight)
      return true
    } catch (error) {
      this.#sayAway(error)
      return false
    }
  }

  /** Puts in flight the batch that failed, or what is in memory, or what is spooled behind it. */
  async #nextBatch(): Promise<void> {
    if (this.#inFlight.length > 0) return
    if (this.#memory.length === 0 && this.#behind) {
      const { spool } = this.#options
      const read = await spool.read()
      this.#memory = [...read]
      this.#memoryBytes = sizeOf(read)
      const last = read.at(-1)
      // What was appended during the read was not kept in memory: then it is still behind.
      this.#behind = last === undefined ? spool.pending > 0 : !spool.isEnd(last.end)
    }
    const limit = this.#singly > 0 ? 1 : batchRecords
    this.#singly = Math.max(0, this.#singly - 1)
    let count = 0
    for (let bytes = 0; count < limit && count < this.#memory.length; count++) {
      bytes += this.#memory[count]?.size ?? 0
      if (count > 0 && bytes > batchBytes) break
    }
    this.#inFlight = this.#memory.splice(0, count)
    this.#memoryBytes -= sizeOf(this.#inFlight)
  }

  async #ship(batch: readonly Shipment[]): Promise<void> {
    const { bus, clock, onShipped } = this.#options
    try {
      const sent = String(clock())
      await bus.publish(batch.map(({ record }) => stamped(record, sent)))
    } catch (error) {
      if (!(error instanceof CordonError) || !hopeless.has(error.code)) throw error
      this.#refused(batch, error)
      return
    }
    this.#done(batch)
    onShipped(batch.length)
    if (this.#away) {
      this.#away = false
      this.#options.onBus(undefined)
    }
  }

  /** One bad record fails its whole batch: send them singly, and leave out the one that fails alone. */
  #refused(batch: readonly Shipment[], error: unknown): void {
    if (batch.length === 1 && batch[0] !== undefined) {
      this.#options.onRefused(batch[0].record, error)
      this.#done(batch)
      return
    }
    this.#memory = [...batch, ...this.#memory]
    this.#memoryBytes += sizeOf(batch)
    this.#inFlight = []
    this.#singly = batch.length
  }

  #done(batch: readonly Shipment[]): void {
    const spooled = batch.flatMap(({ end, size }) => (end === null ? [] : [{ end, size }]))
    const last = spooled.at(-1)
    this.#inFlight = []
    if (last !== undefined) this.#options.spool.shipped(last.end, sizeOf(spooled))
  }

  async #rest(): Promise<true> {
    if (this.#isIdle) {
      this.#idle?.resolve()
      this.#idle = undefined
    }
    await this.#wake.promise
    this.#wake = Promise.withResolvers()
    return true
  }

  #sayAway(error: unknown): void {
    if (this.#away) return
    this.#away = true
    this.#options.onBus(error)
  }
}

/** Not in the spool, where a record may lie for hours before it is sent. */
function stamped(record: OutgoingRecord, sent: string): OutgoingRecord {
  return { ...record, headers: { ...record.headers, [sentHeader]: sent } }
}

function sizeOf(records: readonly { readonly size: number }[]): number {
  return records.reduce((sum, { size }) => sum + size, 0)
}
