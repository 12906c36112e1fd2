import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Consumer, EventBus } from '../../bus/port.ts'
import { type Instant, snapshotTopic } from '../../schemas/index.ts'
import { HostMetrics } from './host-metrics.ts'
import type { HostedDetector } from './hosted.ts'
import { topicsObserved } from './input.ts'
import { Lane, type LaneContext } from './lane.ts'
import { createPartitionHost } from './partition.ts'
import type { PartitionHost } from './partition-host.ts'
import type { HostCounts } from './snapshot.ts'
import { SnapshotLog, type SnapshotSlot } from './snapshot-log.ts'

export interface DetectorHostOptions {
  readonly bus: EventBus
  readonly detectors: readonly HostedDetector[]
  /** Default: the topics that carry what the detectors observe. */
  readonly topics?: readonly string[]
  /** Consumer group, and first part of the snapshots' keys. Default `detect`. */
  readonly group?: string
  /** A snapshot of a partition after so many records or milliseconds. Default 50,000 and 60,000 ms. */
  readonly snapshotEvery?: { readonly events: number; readonly ms: number }
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  /** How often the clock is looked at, and how long a partition must be idle before a timer gets a tick. Default 1,000 ms. */
  readonly tickMs?: number
  /** See PartitionHostOptions; findings depend on them, so change them with care. */
  readonly latenessMs?: number
  readonly aheadMs?: number
  readonly rememberIds?: number
  /** Most records applied at a time. Default 1,000. */
  readonly maxBatch?: number
  /** Who the events say they come from. Default `detector-host`. */
  readonly source?: string
}

interface AssignedPartition {
  readonly topic: string
  readonly partition: number
  /** The next offset to be applied, and one past the newest known. */
  readonly offset: number
  readonly end: number
  readonly lag: number
  readonly watermark: Instant | null
  readonly nextWake: Instant | null
  readonly keys: Readonly<Record<string, number>>
  readonly counts: Readonly<HostCounts>
  /** Where the newest snapshot stands, and how old it is. */
  readonly snapshot: { readonly offset: number; readonly ageMs: number }
}

interface DetectorHostState {
  readonly partitions: readonly AssignedPartition[]
  readonly lag: number
  readonly keys: Readonly<Record<string, number>>
  /** Age of the oldest snapshot among partitions that changed since theirs; null when there is none. */
  readonly oldestSnapshotMs: number | null
}

export interface DetectorHost {
  state(): DetectorHostState
  /** Finishes the batches under way, writes snapshots, leaves the group. */
  close(): Promise<void>
}

/**
 * Runs detectors on the bus. Findings are durable before the offsets they came from are committed; state is
 * restored from the newest whole snapshot and the records after it, without one from the oldest record there is.
 *
 * @throws HostError `HOST_INVALID`, ZodError for parameters that do not parse, BusError of the bus
 */
export async function startDetectorHost(options: DetectorHostOptions): Promise<DetectorHost> {
  const host = new RunningHost(options)
  await host.start()
  return host
}

class RunningHost implements DetectorHost {
  readonly #options: DetectorHostOptions
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #detectors: readonly HostedDetector[]
  readonly #context: LaneContext
  readonly #lanes = new Map<string, Lane>()
  readonly #faults = new Map<string, number>()
  #consumer: Consumer | null = null
  #timer: NodeJS.Timeout | null = null
  #onClock: Promise<void> = Promise.resolve()

  constructor(options: DetectorHostOptions) {
    this.#options = options
    this.#group = options.group ?? 'detect'
    this.#topics = options.topics ?? topicsObserved(options.detectors)
    const { bus, clock, log } = options
    const metrics = new HostMetrics(options.registry, {
      keys: () => this.#keys(),
      lag: () => this.#assigned(),
      snapshotAge: () => {
        const age = this.#oldestSnapshotMs()
        return age === null ? null : age / 1_000
      },
    })
    this.#detectors = options.detectors.map((detector) => metrics.around(detector))
    // Fails now, rather than at the first assignment.
    createPartitionHost(this.#detectors, { topic: '', partition: 0 })
    this.#context = {
      bus,
      clock,
      log,
      metrics,
      snapshots: new SnapshotLog(bus, this.#group, clock),
      source: options.source ?? 'detector-host',
      aheadMs: options.aheadMs ?? 3_600_000,
      tickMs: options.tickMs ?? 1_000,
      snapshotEvery: options.snapshotEvery ?? { events: 50_000, ms: 60_000 },
    }
  }

  async start(): Promise<void> {
    const { bus, log, maxBatch = 1_000 } = this.#options
    await bus.ensureTopics([snapshotTopic])
    this.#consumer = await bus.consume({
      group: this.#group,
      topics: this.#topics,
      from: 'earliest',
      maxBatch,
      onAssigned: (topic, partition) => this.#assign(topic, partition),
      onRevoked: (topic, partition) => this.#revoke(topic, partition),
      onBatch: async (batch, control) => {
        const lane = this.#lanes.get(laneKey(batch.topic, batch.partition))
        // A batch without an assignment is one that was being fetched when the partition was taken away.
        if (lane !== undefined) await lane.process(batch, control)
      },
      onError: (error) => log.warn({ err: error, group: this.#group }, 'the detector host tries again'),
    })
    this.#timer = setInterval(() => {
      this.#onClock = this.#onClock.then(() => this.#lookAtClock())
    }, this.#context.tickMs)
    this.#timer.unref()
  }

  state(): DetectorHostState {
    const partitions = this.#assigned()
    const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0)
    return { partitions, lag, keys: this.#keys(), oldestSnapshotMs: this.#oldestSnapshotMs() }
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#onClock
    await this.#consumer?.close()
    for (const lane of this.#lanes.values()) await lane.finish()
    this.#lanes.clear()
  }

  async #assign(topic: string, partition: number): Promise<number> {
    const { bus, log } = this.#options
    const bounds = (await bus.partitions(topic)).find((state) => state.partition === partition)
    const { start = 0, end = 0 } = bounds ?? {}
    const committed = await this.#committed(topic, partition)
    const { host, slot } = await this.#restore(topic, partition, end)
    const from = Math.max(host.next, start)
    if (host.next > 0 && host.next < start) {
      log.warn({ topic, partition, from: host.next, until: start }, 'records were removed before they were applied: retention is too short')
    }
    // Committed means published. Beyond the end it speaks of another log than this one.
    const quietUntil = committed <= end ? committed : 0
    const lane = new Lane({ topic, partition, host, end, quietUntil, slot }, this.#context)
    this.#lanes.set(laneKey(topic, partition), lane)
    log.info({ topic, partition, from, end, restored: slot !== null }, 'partition assigned')
    return from
  }

  async #revoke(topic: string, partition: number): Promise<void> {
    const key = laneKey(topic, partition)
    const lane = this.#lanes.get(key)
    this.#lanes.delete(key)
    await lane?.finish()
  }

  async #committed(topic: string, partition: number): Promise<number> {
    const groups = await this.#options.bus.groups()
    const mine = groups.find((state) => state.group === this.#group && state.topic === topic && state.partition === partition)
    return mine?.committed ?? 0
  }

  /** A host that took over the furthest snapshot that can be used, or a new one. */
  async #restore(topic: string, partition: number, end: number): Promise<{ host: PartitionHost; slot: SnapshotSlot | null }> {
    const { latenessMs, aheadMs, rememberIds, log } = this.#options
    const onFault = (detector: string, _key: string | null, error: unknown) => this.#report(detector, error)
    const host = createPartitionHost(this.#detectors, { topic, partition, latenessMs, aheadMs, rememberIds, onFault })
    for (const stored of await this.#context.snapshots.find(topic, partition)) {
      if (stored.offset > end) continue
      try {
        host.restore(await stored.read())
        return { host, slot: stored.slot }
      } catch (error) {
        log.warn({ err: error, topic, partition, offset: stored.offset }, 'a snapshot cannot be used')
      }
    }
    return { host, slot: null }
  }

  /** The key is not logged: a scope is often a principal. Nor is every failure: one event a millisecond may fail. */
  #report(detector: string, error: unknown): void {
    const seen = (this.#faults.get(detector) ?? 0) + 1
    this.#faults.set(detector, seen)
    this.#context.metrics.failed(detector)
    if (seen <= 10 || seen % 1_000 === 0) this.#options.log.error({ err: error, detector, seen }, 'a detector failed')
  }

  async #lookAtClock(): Promise<void> {
    for (const lane of this.#lanes.values()) {
      try {
        await lane.onClock()
      } catch (error) {
        this.#options.log.warn({ err: error, topic: lane.topic, partition: lane.partition }, 'no tick or snapshot; trying again')
      }
    }
  }

  #assigned(): AssignedPartition[] {
    const now = this.#options.clock()
    return [...this.#lanes.values()].map(({ topic, partition, host, end, saved }) => ({
      topic,
      partition,
      offset: host.next,
      end,
      lag: Math.max(0, end - host.next),
      watermark: host.watermark,
      nextWake: host.nextWake,
      keys: host.keys(),
      counts: { ...host.counts },
      snapshot: { offset: saved.offset, ageMs: now - saved.at },
    }))
  }

  #keys(): Record<string, number> {
    const keys: Record<string, number> = Object.fromEntries(this.#detectors.map(({ definition }) => [definition.id, 0]))
    for (const { host } of this.#lanes.values()) {
      for (const [detector, held] of Object.entries(host.keys())) keys[detector] = (keys[detector] ?? 0) + held
    }
    return keys
  }

  #oldestSnapshotMs(): number | null {
    const now = this.#options.clock()
    const ages = [...this.#lanes.values()].filter(({ host, saved }) => host.next > saved.offset).map(({ saved }) => now - saved.at)
    return ages.length === 0 ? null : Math.max(...ages)
  }
}

function laneKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
