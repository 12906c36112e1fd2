import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf } from '../../bus/partitioner.ts'
import type { EventBus } from '../../bus/port.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import { SnapshotLog } from '../../pipeline/host/snapshot/snapshot-log.ts'
import { gather } from '../../pipeline/repartition/destination.ts'
import { Snapshots } from '../../pipeline/repartition/snapshots.ts'
import { snapshotTopic } from '../../schemas/index.ts'
import { snapshotLines } from '../contracts/detector.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { courseOf, limits, Site, toys } from './repartition-site.ts'

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
