import { Pause } from '../pause.ts'
import type { BusRecord } from '../port.ts'
import type { Brokers } from './brokers.ts'
import { typeOf } from './failures.ts'
import { type FetchedMessage, toRecord } from './messages.ts'
import { readOffsets } from './offsets.ts'
import { Outage } from './outage.ts'

export interface ReaderOptions {
  readonly brokers: Brokers
  /** A fetch waits until there are `minBytes`, at most `maxWaitMs`; the broker may take `requestMs` beyond that. */
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly requestMs: number
  /** Told of what fails once, until it succeeds again. */
  readonly onError: (error: unknown) => void
}

/** One partition that is read. */
export interface Source {
  readonly topic: string
  /** The topic's name in the cluster. */
  readonly name: string
  readonly partition: number
  /** Where the next fetch begins. Whoever changes it while a fetch is under way has what that brings thrown away. */
  position: number
  /** False while what was handed over is not done with: then nothing is fetched. */
  idle(): boolean
  /** Takes what a fetch brought, which may be nothing; `position` is past it already. `askedAt` is when the fetch began, by the monotonic clock. */
  take(records: readonly BusRecord[], end: number, askedAt: number): void
}

interface FetchAnswer {
  readonly responses: readonly {
    readonly topicName: string
    readonly partitions: readonly {
      readonly partition: number
      readonly highWatermark: string
      readonly messages: readonly FetchedMessage[]
    }[]
  }[]
}

const partitionBytes = 2_097_152
const shortestWaitMs = 5
/** A leader is replaced within seconds; then it is to be found soon. */
const longestPauseMs = 1_000

/** Reads partitions, whoever leads them: one loop of fetches for each broker that leads any. */
export class Reader {
  readonly #options: ReaderOptions
  readonly #sources = new Map<string, Source>()
  readonly #loops = new Map<string, Promise<void>>()
  readonly #abort = new AbortController()
  #wake = Promise.withResolvers<void>()

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  add(source: Source): void {
    this.#sources.set(keyOf(source.name, source.partition), source)
    this.nudge()
  }

  remove(source: Source): void {
    const key = keyOf(source.name, source.partition)
    if (this.#sources.get(key) === source) this.#sources.delete(key)
  }

  /** A source became idle, or leaders may have changed. */
  nudge(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
    this.#plan()
  }

  /** Ends the loops; fetches under way end when their connections do. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#wake.resolve()
    await Promise.all(this.#loops.values())
  }

  #plan(): void {
    if (this.#abort.signal.aborted) return
    for (const { name, partition } of this.#sources.values()) {
      // Those that nobody leads have a loop too: it looks for their leaders.
      const node = this.#options.brokers.leaderOf(name, partition) ?? ''
      if (this.#loops.has(node)) continue
      this.#loops.set(
        node,
        this.#follow(node).finally(() => {
          this.#loops.delete(node)
          this.#plan()
        }),
      )
    }
  }

  /** Ends when the broker leads nothing any more. */
  async #follow(node: string): Promise<void> {
    const { signal } = this.#abort
    const pause = new Pause(longestPauseMs)
    const outage = new Outage(this.#options.onError)
    let waitMs = shortestWaitMs
    while (!signal.aborted) {
      const led = this.#ledBy(node)
      if (led.length === 0) return
      const wake = this.#wake.promise
      const ready = led.filter((source) => source.idle())
      if (ready.length === 0 && node !== '') {
        await wake
        continue
      }
      try {
        if (node === '') throw new Error('nobody leads the partition')
        // While some are being handled, what the others wait for must not keep those from their next fetch.
        waitMs = ready.length === led.length ? shortestWaitMs : Math.min(2 * waitMs, this.#options.maxWaitMs)
        await this.#fetch(node, ready, ready.length === led.length ? this.#options.maxWaitMs : waitMs)
        pause.reset()
        outage.over()
      } catch (error) {
        if (signal.aborted) return
        outage.failed(error)
        await pause.wait(signal)
        await this.#recover(error, ready, outage)
      }
    }
  }

  #ledBy(node: string): Source[] {
    return [...this.#sources.values()].filter(({ name, partition }) => (this.#options.brokers.leaderOf(name, partition) ?? '') === node)
  }

  async #fetch(node: string, sources: readonly Source[], maxWaitMs: number): Promise<void> {
    const { brokers, minBytes, requestMs } = this.#options
    const asked = sources.map((source) => ({ source, offset: source.position }))
    const byName = Map.groupBy(asked, ({ source }) => source.name)
    const topics = [...byName].map(([topic, each]) => ({
      topic,
      partitions: each.map(({ source, offset }) => ({
        partition: source.partition,
        fetchOffset: String(offset),
        maxBytes: partitionBytes,
      })),
    }))
    const askedAt = performance.now()
    const request = { isolationLevel: 1, maxWaitTime: maxWaitMs, minBytes, maxBytes: 4 * partitionBytes, topics }
    const answer: FetchAnswer = await brokers.ask(node, maxWaitMs + requestMs, (broker) => broker.fetch(request))
    if (this.#abort.signal.aborted) return
    const askedFor = new Map(asked.map((each) => [keyOf(each.source.name, each.source.partition), each]))
    for (const { topicName, partitions } of answer.responses) {
      for (const { partition, highWatermark, messages } of partitions) {
        const key = keyOf(topicName, partition)
        const each = askedFor.get(key)
        // Moved, taken away or handed to someone else meanwhile.
        if (each === undefined || this.#sources.get(key) !== each.source || each.source.position !== each.offset) continue
        const { source, offset } = each
        const end = Number(highWatermark)
        const records = messages
          .filter((message) => Number(message.offset) >= offset && message.isControlRecord !== true)
          .map((message) => toRecord(source.topic, partition, message))
        source.position = nextOffset(offset, messages, end)
        source.take(records, end, askedAt)
      }
    }
  }

  async #recover(error: unknown, sources: readonly Source[], outage: Outage): Promise<void> {
    if (this.#abort.signal.aborted) return
    try {
      await this.#options.brokers.refresh()
      if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') await this.#reposition(sources)
      this.#plan()
    } catch (failure) {
      if (!this.#abort.signal.aborted) outage.failed(failure)
    }
  }

  /** Retention took what comes next: what is left begins later. Or the log lost its end with the brokers that had it. */
  async #reposition(sources: readonly Source[]): Promise<void> {
    for (const [name, those] of Map.groupBy(sources, (source) => source.name)) {
      const partitions = those.map((source) => source.partition)
      const offsets = await readOffsets(this.#options.brokers, name, partitions, this.#options.requestMs)
      for (const source of those) {
        const { start, end } = offsets.get(source.partition) ?? { start: 0, end: Number.POSITIVE_INFINITY }
        source.position = Math.max(start, Math.min(source.position, end))
      }
    }
  }
}

function keyOf(name: string, partition: number): string {
  return `${name}/${partition}`
}

/** Compaction may have left nothing at or after `offset` in what was fetched; then the next one is tried. */
function nextOffset(offset: number, messages: readonly FetchedMessage[], highWatermark: number): number {
  const last = Number(messages.at(-1)?.offset ?? -1)
  if (last >= offset) return last + 1
  return messages.length > 0 && offset < highWatermark ? offset + 1 : offset
}
