import type { Logger } from 'pino'
import { decode, encode, newEvent, tombstone } from '../bus/codec.ts'
import { Fence } from '../bus/fence.ts'
import type { BusRecord, EventBus, Position } from '../bus/port.ts'
import { Progress } from '../bus/progress.ts'
import { openTail } from '../bus/tail.ts'
import type { Instant, Spending } from '../schemas/index.ts'
import { Ledger } from './ledger.ts'
import type { LimitRule } from './rules.ts'
import { Unanswered } from './unanswered.ts'

/** By which shares are written: the charge of the process that writes the control topics. */
export interface ShareCharge extends Pick<EventBus, 'publish'> {
  readonly held: boolean
  /** Taking charge waits until what was written before is known. */
  follow(topic: 'shares', reached: (position: Position) => Promise<unknown>): void
  /** Called when this process is in charge, and what was written before is known. */
  onTake(listener: () => void): void
}

export interface AllocatorOptions {
  readonly bus: EventBus
  readonly charge: ShareCharge
  readonly rules: readonly LimitRule[]
  readonly nodes: number
  readonly clock: () => Instant
  readonly log: Logger
  /** Who says so on the log. */
  readonly source: string
}

export interface Allocator {
  /** Buckets whose window is not over. */
  buckets(): number
  /** Waits for what is being written. */
  close(): Promise<void>
}

const expireMs = 10_000
const againMs = 500
/** Records in one write. */
const maxWrite = 500

/**
 * Shares each limit's windows out among the nodes, while this process is in charge; what was granted is durable before a
 * node sees it, and every process of the role follows it, so that whoever takes charge goes on from there.
 */
export async function openAllocator(options: AllocatorOptions): Promise<Allocator> {
  const allocator = new LoggedAllocator(options)
  await allocator.open()
  return allocator
}

class LoggedAllocator implements Allocator {
  readonly #options: AllocatorOptions
  readonly #ledger: Ledger
  readonly #unanswered = new Unanswered()
  readonly #fence = new Fence('shares')
  readonly #progress = new Progress()
  readonly #tails: { close(): Promise<void> }[] = []
  #changed = new Set<string>()
  #writing: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: AllocatorOptions) {
    this.#options = options
    this.#ledger = new Ledger({ rules: options.rules, nodes: options.nodes })
  }

  async open(): Promise<void> {
    const { bus, charge, log } = this.#options
    const onError = (err: unknown) => log.warn({ err }, 'limits are not being shared out for a moment')
    const onRecords = (records: readonly BusRecord[]) => {
      for (const record of records) this.#follow(record)
      this.#progress.note(records)
    }
    charge.follow('shares', (position) => this.#progress.reached(position))
    charge.onTake(() => this.#answer())
    this.#tails.push(await openTail(bus, { topic: 'shares', from: 'start', onRecords, onError }))
    // What was asked before this process began is asked again by whoever still needs it.
    this.#tails.push(await bus.tail({ topic: 'spending', from: 'end', onRecords: (records) => this.#hear(records), onError }))
    this.#timer = setInterval(() => this.#expire(), expireMs).unref()
  }

  buckets(): number {
    return this.#ledger.size
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#retry)
    this.#progress.close()
    await this.#writing
    await Promise.all(this.#tails.map((tail) => tail.close()))
  }

  /** What is on the log counts, but whoever is in charge knows more: it wrote it. */
  #follow(record: BusRecord): void {
    if (this.#fence.judge(record) !== 'counts' || record.key === null || this.#options.charge.held) return
    if (record.value === null) return this.#ledger.forget(record.key)
    this.#parsed(record, () => {
      const event = decode(record)
      if (event.kind !== 'share') return
      this.#ledger.learn(event.data)
      this.#unanswered.forget(event.data)
    })
  }

  #hear(records: readonly BusRecord[]): void {
    const { charge, clock } = this.#options
    const now = clock()
    const isHeld = charge.held
    // It may have been in doubt for a moment, which nobody is told of.
    if (isHeld) this.#answer()
    for (const record of records) {
      this.#parsed(record, () => {
        const event = decode(record)
        if (event.kind !== 'spending') return
        if (isHeld) this.#take(event.data, now)
        else this.#unanswered.note(event.data, now)
      })
    }
    if (isHeld) this.#write()
  }

  /** What was said while nobody was in charge. */
  #answer(): void {
    const { charge, clock } = this.#options
    if (!charge.held) return
    const now = clock()
    for (const spending of this.#unanswered.take(now)) this.#take(spending, now)
    this.#write()
  }

  #take(spending: Spending, now: Instant): void {
    for (const bucket of this.#ledger.take(spending, now)) this.#changed.add(bucket)
  }

  #parsed(record: BusRecord, use: () => void): void {
    try {
      use()
    } catch (err) {
      this.#options.log.warn({ err, topic: record.topic, offset: record.offset }, 'a record about limits could not be read')
    }
  }

  #write(): void {
    if (this.#changed.size === 0 || this.#closed) return
    this.#writing ??= this.#writeAll()
      .catch((err: unknown) => {
        if (this.#closed || !this.#options.charge.held) return
        this.#options.log.warn({ err }, 'shares of limits could not be written; trying again')
        this.#retry = setTimeout(() => this.#write(), againMs).unref()
      })
      .finally(() => {
        this.#writing = null
        if (!this.#options.charge.held) this.#changed.clear()
      })
  }

  async #writeAll(): Promise<void> {
    const { charge, clock, source } = this.#options
    while (this.#changed.size > 0 && charge.held) {
      const now = clock()
      const buckets = [...this.#changed].slice(0, maxWrite)
      const records = buckets.flatMap((bucket) => {
        const share = this.#ledger.share(bucket)
        return share === undefined ? [] : [encode('shares', newEvent('share', share, source, now))]
      })
      for (const bucket of buckets) this.#changed.delete(bucket)
      try {
        await charge.publish(records)
      } catch (error) {
        for (const bucket of buckets) this.#changed.add(bucket)
        throw error
      }
    }
  }

  #expire(): void {
    const { charge, clock, log } = this.#options
    if (!charge.held) return
    const now = clock()
    const over = this.#ledger.expire(now)
    if (over.length === 0) return
    // One that stays on the log harms nobody: its window is over, and the next process in charge deletes it.
    charge.publish(over.map((bucket) => tombstone('shares', bucket, now))).catch((err: unknown) => {
      log.warn({ err }, 'limits whose window is over could not be taken off the log')
    })
  }
}
