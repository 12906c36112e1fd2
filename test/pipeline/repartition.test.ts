import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { decode, encode, encodeTick, newEvent } from '../../bus/codec.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import type { EventBus } from '../../bus/port.ts'
import { defineDetector } from '../../detectors/contract.ts'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { nearDuplicateProbing } from '../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { checkLayout } from '../../pipeline/host/layout.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { SnapshotLog } from '../../pipeline/host/snapshot/snapshot-log.ts'
import { gather } from '../../pipeline/repartition/destination.ts'
import { RepartitionError } from '../../pipeline/repartition/errors.ts'
import { originsOf } from '../../pipeline/repartition/homes.ts'
import { Snapshots } from '../../pipeline/repartition/snapshots.ts'
import { type RepartitionOptions, repartition } from '../../pipeline/repartition.ts'
import { replay } from '../../pipeline/replay.ts'
import { type Finding, type Observation, snapshotTopic, type TopicName, type TopicSpec, topics } from '../../schemas/index.ts'
import { snapshotLines } from '../contracts/detector.ts'
import { epoch, observation, random } from '../contracts/observations.ts'
import { egressScenario } from '../contracts/scenarios/egress-anomaly.ts'
import { nearDuplicateScenario } from '../contracts/scenarios/near-duplicate-probing.ts'
import { VictimTraffic } from '../contracts/scenarios/victim-traffic.ts'
import { burst, herald, hosted, metronome } from './host-toys.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { type Crash, MortalBus } from './mortal-bus.ts'
import { until } from './until.ts'

const second = 1_000
const log = pino({ level: 'silent' })
const limits = { latenessMs: 60_000, aheadMs: 365 * 86_400_000 }

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

const toys: Partial<Record<TopicName, readonly HostedDetector[]>> = {
  requests: [hosted({ ...burst, maxKeys: 10_000 })],
  flows: [hosted({ ...metronome, observes: ['flow'], maxKeys: 10_000 }, { everyMs: 5_000 }), hosted(herald)],
  fingerprints: [hosted(thirds)],
}

/** How the command meets the traffic: records before it, written while senders learn of the new partitions, and after it. */
interface Course {
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

function recordOf(topic: TopicName, event: Observation) {
  return encode(topic as 'requests', event as Extract<Observation, { kind: 'request' }>)
}

/** Findings as the dedup of whoever reads them tells them apart, without what the host says of gaps. */
function told(findings: Iterable<Finding>): string[] {
  const ids = [...findings]
    .filter(({ detector }) => detector !== 'blindness')
    .map(({ id, revision, title }) => `${id}/${revision} ${title}`)
  return [...new Set(ids)].sort()
}

class Site {
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
async function undisturbed(course: Course): Promise<string[]> {
  const site = new Site(course)
  await site.write(course.events.length)
  await site.tick(site.now + 86_400_000)
  const found: Finding[] = []
  for await (const finding of replay({ bus: site.bus, detectors: course.detectors, topics: [course.topic], ...limits })) found.push(finding)
  return told(found)
}

async function disturbed(course: Course): Promise<Site> {
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
function courseOf(topic: 'requests' | 'flows' | 'fingerprints', seed: number, more: Partial<Course> = {}): Course {
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

describe('repartition', () => {
  for (const topic of ['requests', 'flows', 'fingerprints'] as const) {
    it(`changes no finding of ${topic}, whatever is in progress and whoever knows of it when`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async (seed) => {
          const course = courseOf(topic, seed)
          const expected = await undisturbed(course)
          assert.deepEqual(told((await disturbed(course)).findings()), expected)
          assert.ok(expected.length > 0)
        }),
        { numRuns: 25, seed: 7 },
      )
    })
  }

  it('may die at any write, more than once, and goes on where it was when it is run again', async () => {
    const crash = fc.record({
      at: fc.integer({ min: 1, max: 30 }),
      when: fc.constantFrom('before' as const, 'after' as const, 'during' as const),
    })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.array(crash, { minLength: 1, maxLength: 3 }), async (seed, crashes) => {
        const course = courseOf('requests', seed, { crashes, fresh: seed % 3 === 0 })
        assert.deepEqual(told((await disturbed(course)).findings()), await undisturbed(course))
      }),
      { numRuns: 40, seed: 7 },
    )
  })

  it('drops what was written twice, to where its key was and to where it is', async () => {
    const course = courseOf('requests', 3, { from: 4, to: 8, stop: 80, grow: 120, settled: 160, knows: () => false })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    await site.write(course.grow)
    await site.repartition()
    // What was written last comes again, from a sender that did not hear that it was taken.
    await site.bus.publish(course.events.slice(100, 160).map((event) => recordOf('requests', event)))
    await site.write(course.events.length)
    await site.tick(site.now + 86_400_000)
    await site.detect()
    assert.deepEqual(told(site.findings()), await undisturbed(course))
  })

  it('passes over states that are torn, and makes them again from the log', async () => {
    const course = courseOf('requests', 11, { from: 2, to: 4, stop: 120, grow: 120, settled: 160 })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    const snapshots = site.log.all('snapshots')
    assert.ok(snapshots.length > 0)
    for (const { value } of snapshots) if (value !== null) value[12] = (value[12] ?? 0) ^ 1
    await site.repartition()
    await site.write(course.events.length)
    await site.tick(site.now + 86_400_000)
    await site.detect()
    assert.deepEqual(told(site.findings()), await undisturbed(course))
  })

  it('states no gap that is none', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const site = await disturbed(courseOf('requests', seed))
      const kinds = site
        .findings()
        .filter(({ detector }) => detector === 'blindness')
        .map(({ evidence }) => evidence.kind)
      // The command takes virtual seconds; the host's own gaps would be of order, repetitions and clocks.
      assert.deepEqual(
        [...new Set(kinds)].filter((kind) => kind !== 'lagged'),
        [],
      )
    }
  })

  it('states as late what was written while nothing detected', async () => {
    const course = courseOf('requests', 5, { from: 2, to: 4, stop: 60, grow: 150, settled: 239, knows: () => true })
    const site = await disturbed(course)
    const lagged = site.findings().filter(({ evidence }) => evidence.kind === 'lagged')
    assert.deepEqual([...new Set(lagged.map(({ evidence }) => evidence.partition))].sort(), [0, 1, 2, 3])
    for (const { evidence } of lagged) {
      const records = site.log.partitions('requests')[Number(evidence.partition)] ?? []
      const [first, last] = [records[Number(evidence.firstOffset)], records[Number(evidence.lastOffset)]]
      assert.deepEqual([first?.timestamp, last?.timestamp], [evidence.earliest, evidence.latest])
    }
  })

  it('states gaps that were being counted, by the number of partitions that they were counted under', async () => {
    const course = courseOf('requests', 31, { from: 3, to: 6, stop: 60, grow: 60, settled: 60 })
    const site = new Site(course)
    await site.write(60)
    const late = observation('request', 1_000, epoch - 3_600_000, { principal: 'p1' })
    await site.bus.publish([recordOf('requests', late)])
    await site.detect()
    assert.deepEqual(
      site.findings().filter(({ evidence }) => evidence.kind === 'late'),
      [],
    )
    await site.repartition()
    await site.tick(site.now + 86_400_000)
    await site.detect()
    const stated = site.findings().filter(({ evidence }) => evidence.kind === 'late')
    assert.deepEqual(
      stated.map(({ evidence: { partition, partitions, count } }) => [partition, partitions, count]),
      [[partitionOf('p1', 3), 3, 1]],
    )
  })

  it('states what was removed from the log before anything had applied it', async () => {
    const course = courseOf('requests', 37, { from: 2, to: 4, stop: 60, grow: 120, settled: 120 })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    const [applied = 0] = (await site.bus.partitions('requests')).map(({ end }) => end)
    await site.bus.growTopic('requests', 4)
    await site.write(course.grow, () => false)
    const start = site.log.partitions('requests')[0]?.length ?? 0
    assert.ok(start > applied)
    /** Retention took everything that was in partition 0. */
    class Shortened extends MemoryBus {
      override async partitions(topic: string) {
        const states = await super.partitions(topic)
        return states.map((state) => (topic === 'requests' && state.partition === 0 ? { ...state, start } : state))
      }
    }
    await site.repartition({ bus: new Shortened(site.log) })
    const removed = site.findings().filter(({ evidence }) => evidence.kind === 'retention')
    assert.deepEqual(
      removed.map(({ evidence: { partition, partitions, firstOffset, lastOffset } }) => [partition, partitions, firstOffset, lastOffset]),
      [[0, 2, applied, start - 1]],
    )
  })

  it('says what it did, and has nothing to do when it is run again', async () => {
    const course = courseOf('flows', 11, { from: 3, to: 5 })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    const steps: string[] = []
    const did = await site.repartition({ onProgress: (text) => steps.push(text) })
    const keys = new Set(course.events.slice(0, course.grow).flatMap((event) => (event.kind === 'flow' ? event.data.workload : [])))
    assert.deepEqual([did.topic, did.from, did.to], ['flows', 3, 5])
    assert.ok(did.entries >= keys.size && did.keysMoved > 0 && did.keysMoved < did.entries, JSON.stringify(did))
    assert.deepEqual(
      steps.map((text) => text.split(' ')[0]),
      ['bringing', 'bringing', 'bringing', 'growing', 'waiting', 'wrote', 'wrote', 'wrote', 'wrote', 'wrote'],
    )
    const again = await site.repartition()
    assert.deepEqual([again.from, again.to, again.keysMoved], [5, 5, 0])
  })

  it('lets no host begin on a topic that has grown without it, or half', async () => {
    const course = courseOf('requests', 13, { from: 2, to: 4, stop: 100 })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    await site.bus.growTopic('requests', 4)
    const errors: unknown[] = []
    const warn = pino({ level: 'warn' }, { write: (line) => void errors.push(JSON.parse(line)) })
    const bus = site.bus
    const host = await startDetectorHost({
      bus,
      detectors: course.detectors,
      topics: ['requests'],
      clock: () => site.now,
      registry: new Registry(),
      log: warn,
      ...limits,
    })
    await until('refusals', () => errors.length >= 4)
    assert.equal(host.assignments().length, 0)
    assert.match(JSON.stringify(errors), /LAYOUT_MISMATCH.*cordon repartition requests --partitions 4/)
    await host.close()
    await bus.close()
    await site.repartition()
    await site.write(course.events.length)
    await site.tick(site.now + 86_400_000)
    await site.detect()
    assert.deepEqual(told(site.findings()), await undisturbed(course))
  })

  it('refuses while detect is at work, a topic that nothing observes, and fewer partitions', async () => {
    const course = courseOf('requests', 17, { from: 4, to: 8 })
    const site = new Site(course)
    await site.write(20)
    await site.detect()
    const beat = { role: 'detect', instance: 'd1', at: site.now, everyMs: 2_000, state: 'running' } as never
    const code = (wanted: string) => (error: unknown) => error instanceof RepartitionError && error.code === wanted
    await assert.rejects(site.repartition({ heartbeats: () => [beat] }), code('DETECT_RUNNING'))
    await assert.rejects(site.repartition({ topic: 'findings' }), code('NOT_OBSERVED'))
    await assert.rejects(site.repartition({ to: 3 }), code('NOT_GROWING'))
    assert.equal((await site.bus.partitions('requests')).length, 4)
    let looked = 0
    const commit = { group: 'detect', topic: 'requests', partition: 0, committed: 1e6 }
    const heartbeats = () => {
      if (++looked === 1) site.log.commits.set('detect/requests/0', commit)
      return []
    }
    await assert.rejects(site.repartition({ heartbeats }), code('DETECT_RUNNING'))
    assert.equal((await site.bus.partitions('requests')).length, 4)
  })

  it('names a sender that never learns', async () => {
    const course = courseOf('requests', 19, { from: 2, to: 4, stop: 20, grow: 40, settled: 0, knows: () => false })
    const site = new Site(course)
    await site.write(course.grow)
    let at = course.grow
    const sleep = async () => site.write((at += 10), () => false)
    await assert.rejects(site.repartition({ sleep }), (error: unknown) => error instanceof RepartitionError && error.code === 'NOT_SETTLED')
    await site.repartition()
    await site.write(course.events.length)
    await site.tick(site.now + 86_400_000)
    await site.detect()
    assert.deepEqual(told(site.findings()), await undisturbed(course))
  })

  it('gives a partition one origin where the new number is a multiple of the old', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((partition) => originsOf(partition, { from: 4, to: 8 })),
      [[0], [1], [2], [3], [0], [1], [2], [3]],
    )
    assert.deepEqual(originsOf(3, { from: 4, to: 6 }), [1, 3])
    assert.deepEqual(originsOf(4, { from: 4, to: 5 }), [0, 1, 2, 3])
  })
})

describe('repartition with the detectors there are', () => {
  let traffic: VictimTraffic
  before(async () => {
    traffic = await VictimTraffic.open()
  })
  after(() => traffic.close())

  /** Everything in time order; each key keeps its order. */
  function inOrder(streams: readonly Iterable<Observation>[]): Observation[] {
    return streams
      .flatMap((stream) => [...stream])
      .sort((a, b) => a.time - b.time)
      .map((event, n) => ({ ...event, id: observation('flow', n, event.time).id }) as Observation)
  }

  async function check(
    topic: TopicName,
    detectors: readonly HostedDetector[],
    events: readonly Observation[],
    middle: number,
  ): Promise<void> {
    const spec = topics[topic] as TopicSpec
    const keys = new Set(events.map(({ data }) => spec.key(data as never)))
    const marks = { stop: middle - 40, grow: middle, settled: middle + 40, knows: (index: number) => index % 2 === 0 }
    const course = { topic, detectors, events, from: 4, to: 12, ...marks }
    const expected = await undisturbed(course)
    assert.ok(expected.length > 0)
    const site = await disturbed(course)
    assert.deepEqual(told(site.findings()), expected)
    const moved = [...keys].filter((key) => partitionOf(key, 4) !== partitionOf(key, 12))
    assert.ok(moved.length > 0, 'no key moved')
  }

  it('an upload half out is stated as without it', async () => {
    const scenario = egressScenario()
    const named = (name: string, stream: Iterable<Observation>) =>
      [...stream].map((event) => ({ ...event, data: { ...event.data, workload: name } }) as Observation)
    const streams = ['serve-a', 'serve-b', 'serve-c'].map((name) => [
      ...named(name, scenario.warmup?.() ?? []),
      ...named(name, scenario.attack()),
    ])
    const events = inOrder(streams)
    await check('flows', [hosted(egressAnomaly)], events, events.length - 200)
  })

  it('a probing half done is stated as without it', async () => {
    const scenario = await nearDuplicateScenario(traffic)
    const named = (model: string) =>
      [...(scenario.warmup?.() ?? []), ...scenario.attack()].map((event) => ({ ...event, data: { ...event.data, model } }) as Observation)
    const events = inOrder(['digits', 'letters', 'faces'].map(named))
    await check('fingerprints', [hosted(nearDuplicateProbing)], events, events.length - 90)
  })
})

describe('its snapshots', () => {
  it('stand at the ends of the log, by the new number of partitions', async () => {
    const course = courseOf('requests', 23, { from: 2, to: 3, stop: 50, grow: 100, settled: 150 })
    const site = new Site(course)
    await site.write(course.stop)
    await site.detect()
    await site.write(course.grow)
    await site.repartition()
    const bus: EventBus = site.bus
    const snapshots = new SnapshotLog(bus, 'detect', () => site.now)
    for (const { partition, end } of await bus.partitions('requests')) {
      const [newest] = await snapshots.find('requests', partition)
      assert.deepEqual([newest?.offset, newest?.partitions], [end, 3])
    }
  })

  it('leave those from before where they were, until a host has written its own', async () => {
    const site = new Site(courseOf('requests', 29, { from: 2, to: 4, stop: 50, grow: 100, settled: 100 }))
    await site.write(100)
    const ends = (await site.bus.partitions('requests')).map(({ end }) => end)
    await site.repartition()
    const snapshots = new SnapshotLog(site.bus, 'detect', () => site.now)
    for (const partition of [0, 1]) {
      const found = await snapshots.find('requests', partition)
      assert.deepEqual(
        found.map(({ partitions }) => partitions),
        [4, 2],
      )
      assert.equal(found[1]?.offset, ends[partition])
    }
  })

  it('of several origins stand at the least event time, and remember the ids of all', async () => {
    const growth = { from: 2, to: 3 }
    const blank = new Snapshots(new SnapshotLog(new MemoryBus(new MemoryLog([snapshotTopic])), 'detect', () => epoch), {
      detectors: toys.requests ?? [],
      onFault: () => {},
      onUnapplied: () => {},
      ...limits,
    }).blank('requests', 2)
    const hosts = [0, 1].map((partition) => {
      const host = createPartitionHost(toys.requests ?? [], { topic: 'requests', partition, ...limits })
      const keys = Array.from({ length: 40 }, (_, n) => `p${n}`).filter((key) => partitionOf(key, 2) === partition)
      for (const [offset, principal] of keys.entries()) {
        const n = 100 * partition + offset
        host.apply(observation('request', n, epoch + 1_000_000 * partition + 10 * n, { principal }), offset)
      }
      return { host, keys }
    })
    const origins = hosts.map(({ host }) => {
      const lines = snapshotLines(host)
      const stored = {
        slot: 'a',
        offset: host.next,
        partitions: 2,
        lines: async function* () {
          yield lines
        },
      } as const
      return { stored, head: JSON.parse(lines[0] ?? '') }
    })
    const { lines, entries, moved } = await gather(blank, growth, origins, toys.requests ?? [])
    const values = (lines ?? []).map((line) => JSON.parse(line))
    assert.equal(values[0].watermark.at, hosts[0]?.host.watermark)
    assert.equal(values[0].touches, entries)
    assert.deepEqual([values[0].counts.events, values[0].next], [0, 0])
    const ids: string[] = values.flatMap(({ ids }) => ids ?? [])
    assert.equal(ids.length, 40)
    const here = hosts.flatMap(({ keys }) => keys).filter((key) => partitionOf(key, 3) === 2)
    assert.deepEqual(values.flatMap(({ key }) => key ?? []).sort(), here.sort())
    assert.deepEqual([entries, moved], [here.length, here.length])
    assert.deepEqual(
      values.flatMap(({ order }) => order ?? []),
      here.map((_, index) => index + 1),
    )
    const touched: number[] = values.flatMap((value) => value.touched ?? [])
    assert.deepEqual(
      touched,
      touched.toSorted((a, b) => a - b),
    )
  })
})
