import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { decode, encode, encodeTick, newEvent } from '../../bus/codec.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import { defineDetector } from '../../detectors/contract.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { checkLayout } from '../../pipeline/host/layout.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { SnapshotLog } from '../../pipeline/host/snapshot/snapshot-log.ts'
import { type RepartitionOptions, repartition } from '../../pipeline/repartition.ts'
import { replay } from '../../pipeline/replay.ts'
import { type Finding, type Observation, snapshotTopic, type TopicName } from '../../schemas/index.ts'
import { epoch, observation, random } from '../contracts/observations.ts'
import { burst, herald, hosted, metronome } from './host-toys.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { type Crash, MortalBus } from './mortal-bus.ts'
import { until } from './until.ts'

export const second = 1_000
export const log = pino({ level: 'silent' })
export const limits = { latenessMs: 60_000, aheadMs: 365 * 86_400_000 }

/** States every third query of a principal to a model: its scope is finer than the key of its topic. */
const thirds = defineDetector({
  id: 'thirds',
  version: 1,
  summary: 'Says that three queries came.',
  threats: [],
  observes: ['fingerprint'],
  params: z.object({}),
  state: z.object({ opened: z.string(), seen: z.int() }),
  maxKeys: 10_000,
  idleMs: 3_600_000,
  scope: (o) => (o.kind === 'fingerprint' ? `${o.data.model}/${o.data.principal}` : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start: () => ({
    initial: () => ({ opened: '', seen: 0 }),
    onEvent: (state, o) => {
      if (state.seen === 0) state.opened = o.id
      state.seen += 1
      if (state.seen % 3 !== 0) return undefined
      const window = { from: o.time, until: o.time }
      const said = { severity: 'low', confidence: 0.5, title: `${state.seen} seen`, evidence: {} } as const
      const nobody = { principals: [], organizations: [], model: null, workload: null, pool: null }
      return { state, findings: [{ ...said, ...nobody, opened: state.opened, window, eventsSeen: state.seen }] }
    },
  }),
})

export const toys: Partial<Record<TopicName, readonly HostedDetector[]>> = {
  requests: [hosted({ ...burst, maxKeys: 10_000 })],
  flows: [hosted({ ...metronome, observes: ['flow'], maxKeys: 10_000 }, { everyMs: 5_000 }), hosted(herald)],
  fingerprints: [hosted(thirds)],
}

/** How the command meets the traffic: records before it, written while senders learn of the new partitions, and after it. */
export interface Course {
  readonly topic: TopicName
  readonly detectors: readonly HostedDetector[]
  readonly events: readonly Observation[]
  readonly from: number
  readonly to: number
  /** Indices: detect stops, the topic grows, every sender knows. */
  readonly stop: number
  readonly grow: number
  readonly settled: number
  /** Whether the sender of an event between growth and settling knows the new number. */
  readonly knows: (index: number) => boolean
  /** Nothing has detected before, so there is no state yet. Default false. */
  readonly fresh?: boolean
  /** The command dies there, and is run again. */
  readonly crashes?: readonly Crash[]
}

export function recordOf(topic: TopicName, event: Observation) {
  return encode(topic as 'requests', event as Extract<Observation, { kind: 'request' }>)
}

/** Findings as the dedup of whoever reads them tells them apart, without what the host says of gaps. */
export function told(findings: Iterable<Finding>): string[] {
  const ids = [...findings]
    .filter(({ detector }) => detector !== 'blindness')
    .map(({ id, revision, title }) => `${id}/${revision} ${title}`)
  return [...new Set(ids)].sort()
}

export class Site {
  readonly log: MemoryLog
  readonly course: Course
  now = epoch
  #at = 0

  constructor(course: Course) {
    this.course = course
    const partitions = (name: string) => (name === course.topic ? course.from : 1)
    const names = [course.topic, 'findings', 'dead-letters', snapshotTopic.name]
    this.log = new MemoryLog(names.map((name) => ({ name, partitions: partitions(name) })))
  }

  get bus(): MemoryBus {
    return new MemoryBus(this.log)
  }

  /** Writes events up to an index. */
  async write(end: number, knows: (index: number) => boolean = () => true): Promise<void> {
    const { topic, events, from } = this.course
    for (; this.#at < end; this.#at++) {
      const event = events[this.#at]
      if (event === undefined) return
      const record = recordOf(topic, event)
      this.now = Math.max(this.now, event.time)
      await this.bus.publish([knows(this.#at) ? record : { ...record, partition: partitionOf(record.key ?? '', from) }])
    }
  }

  async detect(): Promise<void> {
    const { topic, detectors } = this.course
    const bus = this.bus
    const host = await startDetectorHost({
      bus,
      detectors,
      topics: [topic],
      clock: () => this.now,
      registry: new Registry(),
      log,
      tickMs: 1e9,
      ...limits,
    })
    const ends = this.log.partitions(topic).map((records) => records.length)
    await until('the host to be at the end', () => {
      const { partitions } = host.state()
      return ends.every((end, partition) => partitions.some((each) => each.partition === partition && each.offset >= end))
    })
    await host.close()
    await bus.close()
  }

  repartition(more: Partial<RepartitionOptions> = {}) {
    const { topic, detectors, to, settled, knows } = this.course
    return repartition({
      bus: this.bus,
      detectors,
      topic,
      to,
      settleMs: 4 * second,
      heartbeats: () => [],
      clock: () => this.now,
      sleep: async () => {
        this.now += second
        await this.write(settled, knows)
      },
      log,
      onProgress: () => {},
      ...limits,
      ...more,
    })
  }

  async tick(time: number): Promise<void> {
    const { topic } = this.course
    this.now = time
    const ticks = this.log
      .partitions(topic)
      .map((_, partition) => encodeTick(topic, partition, newEvent('tick', { until: time }, 'test', time)))
    await this.bus.publish(ticks)
  }

  findings(): Finding[] {
    return this.log.all('findings').map((record) => decode(record).data as Finding)
  }
}

/** What the same events show on a topic that never grows. */
export async function undisturbed(course: Course): Promise<string[]> {
  const site = new Site(course)
  await site.write(course.events.length)
  await site.tick(site.now + 86_400_000)
  const found: Finding[] = []
  for await (const finding of replay({ bus: site.bus, detectors: course.detectors, topics: [course.topic], ...limits })) found.push(finding)
  return told(found)
}

export async function disturbed(course: Course): Promise<Site> {
  const site = new Site(course)
  await site.write(course.stop)
  if (course.fresh !== true) await site.detect()
  await site.write(course.grow)
  for (const crash of course.crashes ?? []) {
    const bus = new MortalBus(site.bus, crash)
    await site.repartition({ bus }).catch((error: unknown) => assert.ok(bus.dead, String(error)))
    await halfIsRefused(site)
  }
  await site.repartition()
  await site.write(course.events.length)
  await site.tick(site.now + 86_400_000)
  await site.detect()
  return site
}

/** No host begins where some partitions have their new state and others do not. */
async function halfIsRefused({ bus, now, course: { topic, to } }: Site): Promise<void> {
  if ((await bus.partitions(topic)).length < to) return
  const snapshots = new SnapshotLog(bus, 'detect', () => now)
  const layouts = await snapshots.layouts(topic)
  const whole = Array.from({ length: to }, (_, partition) => layouts.get(partition)?.includes(to) === true).every((each) => each)
  const refused = await checkLayout(snapshots, topic, to).then(
    () => false,
    () => true,
  )
  assert.equal(refused, !whole)
}

/** A course over seeded events of a topic. */
export function courseOf(topic: 'requests' | 'flows' | 'fingerprints', seed: number, more: Partial<Course> = {}): Course {
  const next = random(seed)
  const names = 24
  let time = epoch
  const events = Array.from({ length: 240 }, (_, n) => {
    time += 1 + Math.floor(next() * 700)
    const name = Math.floor(next() * names)
    if (topic === 'requests') return observation('request', n, time, { principal: `p${name}` })
    if (topic === 'flows') return observation('flow', n, time, { workload: `probe-${name}` })
    return observation('fingerprint', n, time, { model: `m${name % 7}`, principal: `p${name}` })
  })
  const marks = [next(), next(), next()].map((each) => Math.floor(each * events.length)).sort((a, b) => a - b)
  const [stop = 0, grow = 0, settled = 0] = marks
  const from = 1 + Math.floor(next() * 5)
  const to = from + 1 + Math.floor(next() * 6)
  const known = random(seed + 1)
  const draws = events.map(() => known() < 0.5)
  return { topic, detectors: toys[topic] ?? [], events, from, to, stop, grow, settled, knows: (index) => draws[index] === true, ...more }
}
