import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Consumer, EventBus, PartitionControl } from '../../bus/port.ts'
import { type Assignment, type Heartbeat, type Instant, snapshotTopic } from '../../schemas/index.ts'
import type { HostContext } from './context.ts'
import { FailureLog } from './failure-log.ts'
import { HostMetrics } from './host-metrics.ts'
import type { HostedDetector } from './hosted.ts'
import { topicsObserved } from './input.ts'
import type { Applier } from './lane/applier.ts'
import { restoreApplier } from './lane/appliers.ts'
import type { Hosting } from './lane/hosting.ts'
import { Lane } from './lane/lane.ts'
import { type AssignedPartition, Lanes } from './lane/lanes.ts'
import { LogBounds } from './lane/log-bounds.ts'
import { oweRemoved } from './lane/removed.ts'
import { SeenFindings } from './lane/seen-findings.ts'
import { checkLayout } from './layout.ts'
import { type Limits, limitsOf } from './limits.ts'
import { createPartitionHost } from './partition/partition.ts'
import { SnapshotLog } from './snapshot/snapshot-log.ts'
import { Shadows } from './standby/shadows.ts'
import { placeKey, type TopicPartition } from './standby/standby.ts'

export interface DetectorHostOptions extends Partial<Limits> {
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
  /** A record that is applied later than this after the log took it is a gap, and stated. Default 10,000 ms. */
  readonly objectiveMs?: number
  /** Most records applied at a time. Default 1,000. */
  readonly maxBatch?: number
  /** Who the events say they come from. Default `detector-host`. */
  readonly source?: string
  /** Our name among the instances. Default `detect`. */
  readonly instance?: string
  /**
   * Follow the partitions of a neighbour, to take them over at once, and publish what it finds in them where that is
   * missing on the log for `afterMs`. Default null: no.
   */
  readonly standby?: { readonly afterMs: number } | null
  /** The newest heartbeats of role `detect`; our own may be among them. Default none. */
  readonly neighbours?: () => readonly Heartbeat[]
}

interface DetectorHostState {
  /** Those that are ours. */
  readonly partitions: readonly AssignedPartition[]
  readonly lag: number
  readonly keys: Readonly<Record<string, number>>
  /** Age of the oldest snapshot among partitions that changed since theirs; null when there is none. */
  readonly oldestSnapshotMs: number | null
}

export interface DetectorHost {
  state(): DetectorHostState
  /** What is read here, by us or to stand in for others, as heartbeats say it. */
  assignments(): readonly Assignment[]
  /** Finishes the batches under way, writes snapshots where nobody follows, leaves the group. */
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
  readonly #topics: readonly string[]
  readonly #detectors: readonly string[]
  readonly #hosting: Hosting
  readonly #context: HostContext
  readonly #bounds: LogBounds
  readonly #shadows: Shadows | null
  readonly #lanes = new Lanes()
  #consumer: Consumer | null = null
  #timer: NodeJS.Timeout | null = null
  #closing = false

  constructor(options: DetectorHostOptions) {
    this.#options = options
    const failures = new FailureLog(options.log)
    this.#hosting = {
      ...options,
      onFault: (detector, error) => {
        this.#context.metrics.failed(detector)
        failures.onFault(detector, error)
      },
      onUnapplied: failures.onUnapplied,
    }
    this.#topics = options.topics ?? topicsObserved(options.detectors)
    this.#detectors = options.detectors.map(({ definition }) => definition.id)
    const { bus, clock, log, group = 'detect', standby = null } = options
    // Fails now, rather than at the first assignment.
    createPartitionHost(options.detectors, { topic: '', partition: 0 })
    const seen = standby === null ? null : new SeenFindings()
    const metrics = new HostMetrics(options.registry, {
      keys: () => this.#lanes.keys(this.#detectors),
      lag: () => this.#lanes.partitions(clock()),
      snapshotAge: () => {
        const age = this.#lanes.oldestSnapshotMs(clock())
        return age === null ? null : age / 1_000
      },
    })
    this.#context = {
      bus,
      clock,
      log,
      metrics,
      group,
      seen,
      snapshots: new SnapshotLog(bus, group, clock),
      source: options.source ?? 'detector-host',
      aheadMs: limitsOf(options).aheadMs,
      objectiveMs: options.objectiveMs ?? 10_000,
      tickMs: options.tickMs ?? 1_000,
      snapshotEvery: options.snapshotEvery ?? { events: 50_000, ms: 60_000 },
    }
    this.#bounds = new LogBounds(bus, group, this.#topics, clock)
    this.#shadows =
      standby === null || seen === null
        ? null
        : new Shadows(this.#context, {
            instance: options.instance ?? 'detect',
            afterMs: standby.afterMs,
            neighbours: options.neighbours ?? (() => []),
            seen,
            restore: (place) => this.#restore(place, 0),
            committed: () => this.#bounds.committed(),
          })
  }

  async start(): Promise<void> {
    const { bus, log, maxBatch = 1_000, standby } = this.#options
    const { group, tickMs } = this.#context
    await bus.ensureTopics([snapshotTopic])
    await this.#shadows?.start()
    this.#consumer = await bus.consume({
      group,
      topics: this.#topics,
      from: 'earliest',
      maxBatch,
      warm: () => this.#shadows?.warm() ?? [],
      onAssigned: (topic, partition, control) => this.#assign({ topic, partition }, control),
      onRevoked: (topic, partition) => this.#revoke({ topic, partition }),
      onBatch: async (batch) => {
        // A batch without an assignment is one that was being fetched when the partition was taken away.
        await this.#lanes.get(batch)?.process(batch)
      },
      onError: (error) => log.warn({ err: error, group }, 'the detector host tries again'),
    })
    // What is overdue is to be noticed well before it is overdue twice.
    this.#timer = setInterval(() => void this.#look(), Math.min(tickMs, (standby?.afterMs ?? tickMs) / 4))
    this.#timer.unref()
  }

  state(): DetectorHostState {
    const now = this.#options.clock()
    const partitions = this.#lanes.partitions(now)
    const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0)
    return { partitions, lag, keys: this.#lanes.keys(this.#detectors), oldestSnapshotMs: this.#lanes.oldestSnapshotMs(now) }
  }

  assignments(): Assignment[] {
    return [...this.#lanes.assignments(), ...(this.#shadows?.assignments() ?? [])]
  }

  async close(): Promise<void> {
    this.#closing = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await Promise.all(Array.from(this.#lanes, (lane) => lane.look()))
    await this.#consumer?.close()
    for (const lane of this.#lanes) await lane.finish()
    this.#lanes.clear()
    await this.#shadows?.close()
  }

  async #assign(place: TopicPartition, control: PartitionControl): Promise<number> {
    const { log } = this.#options
    const { topic, partition } = place
    const taking = this.#take(place)
    const [shadow, bounds, offsets] = await Promise.all([taking, this.#bounds.of(place), this.#bounds.committed()]).catch(
      async (error: unknown) => {
        // The next try is to find it where it is.
        const work = await taking
        if (work !== null) this.#shadows?.adopt(work)
        throw error
      },
    )
    const { start, end, partitions } = bounds
    // A shadow that retention overtook, or of another log than this one, has no state that its owner was ever in.
    const sound = shadow !== null && shadow.host.next >= start && shadow.host.next <= end && shadow.partitions === partitions
    // Committed means published. Beyond the end it speaks of another log than this one.
    const known = offsets.get(placeKey(place)) ?? 0
    const committed = known <= end ? known : 0
    const work = sound ? shadow : await this.#restore(place, committed)
    const lane = new Lane(work, committed, control, this.#context)
    const removed = await oweRemoved(work, { start, committed }, this.#bounds)
    if (removed !== null) {
      const from = removed.firstOffset
      log.warn({ topic, partition, from, until: start }, 'records were removed before they were applied: retention is too short')
    }
    this.#lanes.add(lane)
    void lane.look()
    log.info({ topic, partition, from: work.host.next, end, shadow: sound }, 'partition assigned')
    return Math.max(work.host.next, start)
  }

  /** What is here of a partition already: of following its owner, or of an assignment that was not the last. */
  async #take(place: TopicPartition): Promise<Applier | null> {
    const lane = this.#lanes.take(place)
    return lane === undefined ? (this.#shadows?.take(place) ?? null) : lane.rest()
  }

  async #revoke(place: TopicPartition): Promise<void> {
    const lane = this.#lanes.take(place)
    if (lane === undefined) return
    if (this.#shadows === null || (this.#closing && !this.#followed(place))) return lane.finish()
    const work = await lane.rest()
    if (!this.#closing) this.#shadows.adopt(work)
  }

  /** Whether another instance follows the partition, and needs no snapshot to take it over. */
  #followed({ topic, partition }: TopicPartition): boolean {
    const others = (this.#options.neighbours?.() ?? []).filter(
      ({ instance, state }) => instance !== this.#options.instance && state === 'running',
    )
    return others.some(({ assignments }) =>
      assignments.some((each) => each.standby && each.topic === topic && each.partition === partition),
    )
  }

  /** @param committed 0 of a partition of someone else, who states what was known and is not any more */
  async #restore(place: TopicPartition, committed: number): Promise<Applier> {
    const extent = await this.#bounds.of(place)
    await checkLayout(this.#context.snapshots, place.topic, extent.partitions)
    return restoreApplier(place, { ...extent, committed }, { hosting: this.#hosting, context: this.#context, bounds: this.#bounds })
  }

  /** Each part looks by itself, so that one that waits for the bus holds up no other. */
  async #look(): Promise<void> {
    for (const lane of this.#lanes) void lane.look()
    try {
      const ends = await this.#bounds.recent()
      for (const work of [...Array.from(this.#lanes, (lane) => lane.work), ...(this.#shadows?.works() ?? [])]) {
        work.heard(ends.get(placeKey(work))?.end ?? 0)
      }
      const places = [...ends.values()].map(({ topic, partition }) => ({
        topic,
        partition,
        ours: this.#lanes.has({ topic, partition }),
      }))
      if (!this.#closing) await this.#shadows?.look(places)
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the ends of the log are not known; trying again')
    }
  }
}
