import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { partitionOf } from '../../bus/partitioner.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { RepartitionError } from '../../pipeline/repartition/errors.ts'
import { originsOf } from '../../pipeline/repartition/homes.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { MemoryBus } from './memory-bus.ts'
import { courseOf, disturbed, limits, recordOf, Site, told, undisturbed } from './repartition-site.ts'
import { until } from './until.ts'

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
