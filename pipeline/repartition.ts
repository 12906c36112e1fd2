import type { Logger } from 'pino'
import { Registry } from 'prom-client'
import type { EventBus } from '../bus/port.ts'
import { type Heartbeat, type Instant, isAlive } from '../schemas/index.ts'
import type { HostContext } from './host/context.ts'
import { FailureLog } from './host/failure-log.ts'
import { HostMetrics } from './host/host-metrics.ts'
import type { HostedDetector } from './host/hosted.ts'
import { observableTopics } from './host/input.ts'
import type { Hosting } from './host/lane/hosting.ts'
import { LogBounds } from './host/lane/log-bounds.ts'
import { checkLayout } from './host/layout.ts'
import { type Limits, limitsOf } from './host/limits.ts'
import { SnapshotLog } from './host/snapshot/snapshot-log.ts'
import { placeKey } from './host/standby/standby.ts'
import { catchUp } from './repartition/catch-up.ts'
import { RepartitionError } from './repartition/errors.ts'
import type { Growth } from './repartition/homes.ts'
import { rebuild } from './repartition/rebuild.ts'
import { settle } from './repartition/settle.ts'
import { Snapshots } from './repartition/snapshots.ts'

export interface RepartitionOptions extends Partial<Limits> {
  readonly bus: EventBus
  /** As the detect processes run them. */
  readonly detectors: readonly HostedDetector[]
  readonly topic: string
  /** How many partitions the topic is to have. */
  readonly to: number
  /** Consumer group of the detect processes, and first part of their snapshots' keys. Default `detect`. */
  readonly group?: string
  /** For how long senders may still go by the old number after the topic has grown; 0 where there are none. */
  readonly settleMs: number
  /** A record that is applied later than this after the log took it is a gap, and stated. Default 10,000 ms. */
  readonly objectiveMs?: number
  /** Newest heartbeats of every role, where other processes may be at work. */
  readonly heartbeats: () => Iterable<Heartbeat>
  readonly clock: () => Instant
  readonly sleep: (ms: number) => Promise<void>
  readonly log: Logger
  /** Who the events say they come from. Default `repartition`. */
  readonly source?: string
  /** Told of each step, one sentence. */
  readonly onProgress: (text: string) => void
}

export interface Repartitioned {
  readonly topic: string
  readonly from: number
  readonly to: number
  /** States of (detector, key) that lie in another partition now. */
  readonly keysMoved: number
  /** All of them. */
  readonly entries: number
  readonly findingsPublished: number
  readonly tookMs: number
}

/**
 * Gives an observed topic more partitions and moves the detectors' state to where its keys lie then. No detect process may be at
 * work; everybody else goes on. What it finds meanwhile is published, so no finding is lost or another than without it. It may
 * be stopped or killed anywhere: run again, it goes on where it was.
 *
 * @throws RepartitionError, HostError `LAYOUT_MISMATCH`, BusError of the bus
 */
export async function repartition(options: RepartitionOptions): Promise<Repartitioned> {
  return new Repartition(options).run()
}

class Repartition {
  readonly #options: RepartitionOptions
  readonly #group: string
  readonly #context: HostContext
  readonly #bounds: LogBounds
  readonly #hosting: Hosting
  readonly #snapshots: Snapshots
  #committed: ReadonlyMap<number, number> = new Map()
  #findings = 0

  constructor(options: RepartitionOptions) {
    const { bus, clock, log, group = 'detect', topic, source = 'repartition' } = options
    this.#options = options
    this.#group = group
    const idle = { keys: () => ({}), lag: () => [], snapshotAge: () => null }
    this.#context = {
      bus,
      clock,
      log,
      group,
      source,
      metrics: new HostMetrics(new Registry(), idle),
      snapshots: new SnapshotLog(bus, group, clock),
      aheadMs: limitsOf(options).aheadMs,
      objectiveMs: options.objectiveMs ?? 10_000,
      tickMs: Number.POSITIVE_INFINITY,
      snapshotEvery: { events: Number.POSITIVE_INFINITY, ms: Number.POSITIVE_INFINITY },
      seen: null,
    }
    this.#bounds = new LogBounds(bus, group, [topic], clock)
    const { onFault, onUnapplied } = new FailureLog(log)
    this.#hosting = { ...options, onFault, onUnapplied }
    this.#snapshots = new Snapshots(this.#context.snapshots, this.#hosting)
  }

  async run(): Promise<Repartitioned> {
    const { clock, topic, to, onProgress } = this.#options
    const begun = clock()
    const growth = await this.#check()
    if (growth === null) {
      onProgress(`${topic} has ${to} partitions already, and the state of each is for that: nothing to do`)
      return { topic, from: to, to, keysMoved: 0, entries: 0, findingsPublished: 0, tookMs: clock() - begun }
    }
    await this.#grow(growth)
    const { keysMoved, entries, findings } = await this.#rebuild(growth)
    return { topic, ...growth, keysMoved, entries, findingsPublished: this.#findings + findings, tookMs: clock() - begun }
  }

  /** Null where there is nothing to do. */
  async #check(): Promise<Growth | null> {
    const { bus, topic, to } = this.#options
    if (!observableTopics.includes(topic)) {
      throw new RepartitionError('NOT_OBSERVED', `${topic} is not a topic that detectors observe; these are ${observableTopics.join(', ')}`)
    }
    const { length: has } = await bus.partitions(topic)
    if (has > to)
      throw new RepartitionError('NOT_GROWING', `${topic} has ${has} partitions, and none can be taken away: give more than that`)
    this.#committed = await this.#commits()
    this.#checkAlone()
    if (has < to) {
      await checkLayout(this.#context.snapshots, topic, has)
      return { from: has, to }
    }
    const layouts = [...(await this.#context.snapshots.layouts(topic)).values()]
    if (layouts.every((made) => made.includes(to))) return null
    return { from: Math.max(...layouts.flat().filter((made) => made < to)), to }
  }

  /** Brings the state up to the log's end, and the topic to its new number of partitions; what is done already is passed over. */
  async #grow({ from, to }: Growth): Promise<void> {
    const { bus, topic, settleMs, sleep, onProgress } = this.#options
    const states = await bus.partitions(topic)
    const ends = new Map(states.map(({ partition, end }) => [partition, end]))
    if (states.length === to)
      onProgress(`${topic} has ${to} partitions already, and the state is from when it had ${from}: going on from there`)
    else {
      for (const state of states) {
        onProgress(`bringing the state of ${topic}/${state.partition} up to offset ${state.end}`)
        const behind = { ...state, partitions: from, committed: this.#committed.get(state.partition) ?? 0 }
        const site = { hosting: this.#hosting, context: this.#context, bounds: this.#bounds, snapshots: this.#snapshots }
        this.#findings += await catchUp(behind, site)
      }
      await this.#checkStillAlone()
      onProgress(`growing ${topic} from ${from} to ${to} partitions`)
      await bus.growTopic(topic, to)
    }
    if (settleMs > 0) onProgress(`waiting ${Math.ceil(settleMs / 1_000)} s until every sender goes by the new number of partitions`)
    await settle({ bus, topic, growth: { from, to }, from: ends, settleMs, sleep })
    await this.#checkStillAlone()
  }

  async #rebuild(growth: Growth) {
    const { bus, topic, onProgress } = this.#options
    const states = await bus.partitions(topic)
    const origins = await Promise.all(states.slice(0, growth.from).map((_, origin) => this.#snapshots.usable(topic, origin, growth.from)))
    if (origins.includes(null)) {
      this.#options.log.warn(
        { topic },
        'a state is of other detectors, versions or parameters, or is missing; it is made again from the log',
      )
    }
    const site = { hosting: this.#hosting, context: this.#context, snapshots: this.#snapshots, bounds: this.#bounds }
    return rebuild({ ...site, topic, growth, origins, states, committed: this.#committed }, (partition) =>
      onProgress(`wrote the state of ${topic}/${partition}`),
    )
  }

  async #commits(): Promise<ReadonlyMap<number, number>> {
    const { topic } = this.#options
    const all = await this.#bounds.committed()
    const { length } = await this.#options.bus.partitions(topic)
    const mine = Array.from({ length }, (_, partition) => [partition, all.get(placeKey({ topic, partition })) ?? 0] as const)
    return new Map(mine.filter(([, committed]) => committed > 0))
  }

  #checkAlone(): void {
    const { heartbeats, clock } = this.#options
    const now = clock()
    const alive = [...heartbeats()].filter((each) => each.role === 'detect' && isAlive(each, now))
    if (alive.length === 0) return
    const who = alive.map(({ instance }) => instance).join(', ')
    const wait = Math.ceil(Math.max(...alive.map(({ at, everyMs }) => at + 3 * everyMs - now)) / 1_000)
    throw new RepartitionError(
      'DETECT_RUNNING',
      `detect is at work: ${who}. Stop every detect process first, and leave the others; one that was killed counts as gone in ${wait} s`,
    )
  }

  async #checkStillAlone(): Promise<void> {
    this.#checkAlone()
    const now = await this.#commits()
    if ([...now].every(([partition, committed]) => this.#committed.get(partition) === committed)) return
    const remedy = 'stop it, then run the command again'
    throw new RepartitionError(
      'DETECT_RUNNING',
      `the group ${this.#group} has committed meanwhile, so a detect process is at work: ${remedy}`,
    )
  }
}
