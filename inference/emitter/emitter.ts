import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import { encode, type TopicKind } from '../../bus/codec.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import type { CordonEvent, Instant, TopicName } from '../../schemas/index.ts'
import type { Place } from './cursor.ts'
import { type Disk, realDisk } from './disk.ts'
import { Forwarder } from './forwarder.ts'
import { encodeFrame } from './frame.ts'
import { Spool } from './spool.ts'
import { Troubles } from './troubles.ts'

export interface EmitterOptions {
  readonly bus: EventBus
  /** Directory of the spool; one process a directory. */
  readonly dir: string
  /** Most bytes on disk; events beyond it are dropped and counted. Default 256 MiB. */
  readonly maxBytes?: number
  readonly clock: () => Instant
  readonly log: Logger
  readonly registry: Registry
  /** Default: the real one. */
  readonly disk?: Disk
}

export interface EmitterState {
  /** Bytes that wait for the bus. */
  readonly spoolBytes: number
  /** Events taken since the process began, without the dropped ones. */
  readonly emitted: number
  /** Events lost since then: spool full, disk refused, read back damaged, refused by the bus. Each is a gap in what is known. */
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
 * While the disk takes nothing, events go to the bus from memory, as many as it holds; what it does not hold is dropped.
 * Whatever is dropped is counted, and is said once when it begins and when it is over.
 * Delivery is at least once: after a crash the batch that was in flight is sent again, with the same ids.
 */
export interface Emitter {
  /** Never waits and never throws. Some room of the spool is kept for what says how much was lost and what is enforced. Flushed at the end of this turn of the event loop unless `flush` comes first. */
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

/** What a full spool still takes: without it nobody would learn what was lost if the process died as well. */
const lastWords: ReadonlySet<TopicName> = new Set(['telemetry', 'acknowledgements'])
const memoryBytes = 8_388_608

class SpoolingEmitter implements Emitter {
  readonly #log: Logger
  readonly #clock: () => Instant
  readonly #maxBytes: number
  readonly #reservedBytes: number
  readonly #troubles: Troubles
  readonly #spool: Spool
  readonly #forwarder: Forwarder
  readonly #metrics: ReturnType<typeof metricsOf>
  #frames: Buffer[] = []
  #records: OutgoingRecord[] = []
  #buffered = 0
  #flushing: NodeJS.Immediate | undefined
  #emitted = 0
  #dropped = 0
  #since: Instant
  #closed = false

  constructor({ bus, dir, maxBytes = 268_435_456, clock, log, registry, disk = realDisk }: EmitterOptions) {
    this.#log = log
    this.#clock = clock
    this.#maxBytes = maxBytes
    this.#reservedBytes = Math.min(1_048_576, Math.floor(maxBytes / 16))
    this.#troubles = new Troubles(clock, log)
    this.#since = clock()
    this.#spool = new Spool({
      dir,
      segmentBytes: Math.min(4_194_304, Math.floor(maxBytes / 4)),
      disk,
      onDamage: (path, offset, bytes, error) => {
        log.warn({ path, offset, bytes, err: error }, 'spool: skipped bytes that are no whole event')
        this.#drop(1, 'some were damaged in the spool', error)
      },
      onStuck: (error) => this.#troubles.note('emitter: the spool cannot be tidied; some of it may be sent again', error),
    })
    if (this.#spool.pending > 0) log.info({ bytes: this.#spool.pending }, 'spool: sending what an earlier process left')
    this.#metrics = metricsOf(registry, () => this.state())
    this.#forwarder = new Forwarder({
      bus,
      spool: this.#spool,
      clock,
      memoryBytes,
      onShipped: (records) => this.#metrics.shipped.inc(records),
      onRefused: ({ topic }, error) => this.#drop(1, `the bus refuses some of ${topic}`, error),
      onBus: (error) => this.#noteBus(error),
      onUnreadable: (error) => this.#troubles.note('emitter: the spool cannot be read; events wait in it', error),
    })
  }

  emit<T extends TopicName>(topic: T, event: CordonEvent<TopicKind<T>>): void {
    try {
      const record = encode(topic, event)
      const frame = encodeFrame(record)
      if (this.#closed) return this.#drop(1, 'the emitter is closed')
      if (this.#spool.bytes + this.#buffered + frame.length > this.#most(topic)) return this.#drop(1, 'the spool is full')
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
    const sized = frames.map(({ length: size }, i) => ({ record: records[i] as OutgoingRecord, size }))
    let kept = frames.length
    try {
      const ends = this.#spool.append(frames)
      this.#forwarder.take(sized.map((one, i) => ({ ...one, end: ends[i] as Place })))
    } catch (error) {
      kept = this.#forwarder.takeUnspooled(sized)
      if (kept > 0) this.#troubles.note('emitter: the spool cannot be written; events are in memory alone', error)
      if (kept < frames.length) this.#drop(frames.length - kept, 'the spool cannot be written', error)
    }
    this.#emitted += kept
    this.#troubles.settle()
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
    const unspooled = await this.#forwarder.close()
    if (unspooled > 0) this.#drop(unspooled, 'they were in memory alone')
    this.#spool.close()
  }

  #most(topic: TopicName): number {
    return lastWords.has(topic) ? this.#maxBytes : this.#maxBytes - this.#reservedBytes
  }

  #drop(events: number, why: string, error?: unknown): void {
    this.#dropped += events
    this.#metrics.dropped.inc(events)
    this.#troubles.note(`emitter: events are being lost: ${why}`, error)
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
