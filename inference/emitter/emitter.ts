import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import { encode, type TopicKind } from '../../bus/codec.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import type { CordonEvent, Instant, TopicName } from '../../schemas/index.ts'
import { Forwarder } from './forwarder.ts'
import { encodeFrame } from './frame.ts'
import { Spool } from './spool.ts'

export interface EmitterOptions {
  readonly bus: EventBus
  /** Directory of the spool; one process a directory. */
  readonly dir: string
  /** Most bytes on disk; events beyond it are dropped and counted. Default 256 MiB. */
  readonly maxBytes?: number
  readonly clock: () => Instant
  readonly log: Logger
  readonly registry: Registry
}

export interface EmitterState {
  /** Bytes that wait for the bus. */
  readonly spoolBytes: number
  /** Events taken since the process began, without the dropped ones. */
  readonly emitted: number
  /** Events lost since then: spool full, disk refused, bus refused the record. Each is a gap in what is known. */
  readonly dropped: number
  /** Age of the oldest event that waits; null when none does or it is not in memory. */
  readonly oldestMs: number | null
  readonly bus: 'ok' | 'away'
  /** Since when the bus is as it is. */
  readonly since: Instant
}

/**
 * Takes events without ever waiting for the bus.
 *
 * `emit` encodes an event and puts it on a buffer; `flush` writes the buffer to a write-ahead spool with one
 * synchronous write (measured: microseconds, since it ends in the page cache). A forwarder ships the spool
 * to the bus in order. So an event whose flush came before the answer survives kill -9 of the process, and
 * a bus that is away for hours costs disk and no answers. The trade-off: the write is on the path of the
 * answer, and it is not synced, so a power cut may lose the last instants unless the bus had them.
 * Delivery is at least once: after a crash the batch that was in flight is sent again, with the same ids.
 */
export interface Emitter {
  /** Never waits and never throws. Flushed at the end of this turn of the event loop unless `flush` comes first. */
  emit<T extends TopicName>(topic: T, event: CordonEvent<TopicKind<T>>): void
  /** Everything emitted so far is in the page cache when it returns, or counted as dropped. Never throws. */
  flush(): void
  state(): EmitterState
  /** Resolves when everything emitted so far is on the bus: true, or false when `timeoutMs` passed before. */
  drain(timeoutMs?: number): Promise<boolean>
  /** Flushes and stops; what the bus does not have yet waits in the spool for the next process. */
  close(): Promise<void>
}

/** @throws EmitterError `SPOOL_UNUSABLE` */
export async function openEmitter(options: EmitterOptions): Promise<Emitter> {
  return new SpoolingEmitter(options)
}

class SpoolingEmitter implements Emitter {
  readonly #log: Logger
  readonly #clock: () => Instant
  readonly #maxBytes: number
  readonly #spool: Spool
  readonly #forwarder: Forwarder
  readonly #metrics: ReturnType<typeof metricsOf>
  #frames: Buffer[] = []
  #records: OutgoingRecord[] = []
  #buffered = 0
  #flushing: NodeJS.Immediate | undefined
  #emitted = 0
  #dropped = 0
  #dropping = false
  #since: Instant
  #closed = false

  constructor({ bus, dir, maxBytes = 268_435_456, clock, log, registry }: EmitterOptions) {
    this.#log = log
    this.#clock = clock
    this.#maxBytes = maxBytes
    this.#since = clock()
    this.#spool = new Spool({
      dir,
      segmentBytes: Math.min(4_194_304, Math.floor(maxBytes / 4)),
      onDamage: (path, offset, bytes) => log.warn({ path, offset, bytes }, 'spool: skipped the torn end of a segment'),
    })
    if (this.#spool.pending > 0) log.info({ bytes: this.#spool.pending }, 'spool: sending what an earlier process left')
    this.#metrics = metricsOf(registry, () => this.state())
    this.#forwarder = new Forwarder({
      bus,
      spool: this.#spool,
      clock,
      memoryBytes: 8_388_608,
      onShipped: (records) => this.#metrics.shipped.inc(records),
      onRefused: ({ record }, error) => this.#drop(1, `the bus refuses a record of ${record.topic}`, error),
      onBus: (error) => this.#noteBus(error),
    })
  }

  emit<T extends TopicName>(topic: T, event: CordonEvent<TopicKind<T>>): void {
    try {
      const record = encode(topic, event)
      const frame = encodeFrame(record)
      if (this.#closed) return this.#drop(1, 'the emitter is closed')
      if (this.#spool.bytes + this.#buffered + frame.length > this.#maxBytes) return this.#drop(1, 'the spool is full')
      this.#frames.push(frame)
      this.#records.push(record)
      this.#buffered += frame.length
      this.#flushing ??= setImmediate(() => this.flush())
    } catch (error) {
      this.#drop(1, `an event of ${topic} cannot be encoded`, error)
    }
  }

  flush(): void {
    clearImmediate(this.#flushing)
    this.#flushing = undefined
    const frames = this.#frames
    const records = this.#records
    if (frames.length === 0) return
    this.#frames = []
    this.#records = []
    this.#buffered = 0
    try {
      const ends = this.#spool.append(frames)
      this.#emitted += frames.length
      this.#dropping = false
      this.#forwarder.take(ends.map((end, i) => ({ record: records[i] as OutgoingRecord, size: (frames[i] as Buffer).length, end })))
    } catch (error) {
      this.#drop(frames.length, 'the spool cannot be written', error)
    }
  }

  state(): EmitterState {
    const { oldest, away } = this.#forwarder
    return {
      spoolBytes: this.#spool.pending + this.#buffered,
      emitted: this.#emitted,
      dropped: this.#dropped,
      oldestMs: oldest === undefined ? null : Math.max(0, this.#clock() - oldest),
      bus: away ? 'away' : 'ok',
      since: this.#since,
    }
  }

  async drain(timeoutMs?: number): Promise<boolean> {
    this.flush()
    const drained = this.#forwarder.drained().then(() => true)
    if (timeoutMs === undefined) return drained
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false)
    })
    return Promise.race([drained, late]).finally(() => clearTimeout(timer))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.flush()
    this.#closed = true
    await this.#forwarder.close()
    this.#spool.close()
  }

  /** Said once when it begins: a log line for each lost event would be the next thing to fill the disk. */
  #drop(events: number, why: string, error?: unknown): void {
    this.#dropped += events
    this.#metrics.dropped.inc(events)
    if (!this.#dropping) this.#log.error({ err: error, dropped: this.#dropped }, `emitter: events are being lost: ${why}`)
    this.#dropping = true
  }

  #noteBus(error: unknown): void {
    this.#since = this.#clock()
    if (error === undefined) this.#log.info('emitter: the bus is back; sending what was spooled')
    else this.#log.warn({ err: error }, 'emitter: the bus is away; events wait in the spool')
  }
}

function metricsOf(registry: Registry, state: () => EmitterState) {
  const registers = [registry]
  registry.registerMetric(
    new Gauge({
      name: 'cordon_spool_bytes',
      help: 'Bytes of events that wait for the bus',
      registers: [],
      collect() {
        this.set(state().spoolBytes)
      },
    }),
  )
  return {
    shipped: new Counter({ name: 'cordon_events_shipped_total', help: 'Events that the bus has', registers }),
    dropped: new Counter({ name: 'cordon_events_dropped_total', help: 'Events lost before the bus', registers }),
  }
}
