import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode } from '../../bus/codec.ts'
import { createEmbeddedBus, type EmbeddedBus } from '../../bus/embedded/bus.ts'
import { isOfTheShell } from '../../pipeline/host/lane/unseen.ts'
import { type DetectorHost, type DetectorHostOptions, startDetectorHost } from '../../pipeline/host/shell.ts'
import { repartition } from '../../pipeline/repartition.ts'
import { replay } from '../../pipeline/replay.ts'
import type { EventOf, Finding } from '../../schemas/index.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { heartbeat } from './heartbeat.ts'
import { burst, hosted } from './host-toys.ts'
import { ProcessBus } from './process-bus.ts'
import { until } from './until.ts'

const second = 1_000
const minute = 60_000
const hour = 60 * minute
const slow = { ...burst, maxKeys: 100, idleMs: hour }
const detectors = [hosted(slow, { quietMs: hour })]
const limits = { latenessMs: hour, aheadMs: 24 * hour }

/** A log that keeps requests for a minute, and hosts on it. */
class Site {
  now = epoch
  readonly bus: EmbeddedBus
  readonly #hosts: DetectorHost[] = []
  #n = 0

  constructor(bus: EmbeddedBus) {
    this.bus = bus
  }

  static async open(t: TestContext): Promise<Site> {
    const path = mkdtempSync(join(tmpdir(), 'cordon-forgotten-'))
    const clock = { now: () => epoch }
    const bus = await createEmbeddedBus({ path, clock: () => clock.now(), maintenanceMs: 1e9 })
    const site = new Site(bus)
    clock.now = () => site.now
    await bus.ensureTopics([
      { name: 'requests', partitions: 1, retentionMs: minute, timestamps: 'append' },
      { name: 'findings', partitions: 1, retentionMs: 1e12 },
      { name: 'dead-letters', partitions: 1, retentionMs: 1e12 },
      { name: 'snapshots', partitions: 1, retentionMs: null },
    ])
    t.after(async () => {
      for (const host of site.#hosts) await host.close().catch(() => {})
      await bus.close()
      rmSync(path, { recursive: true })
    })
    return site
  }

  async start(more: Partial<DetectorHostOptions> = {}): Promise<{ host: DetectorHost; bus: ProcessBus }> {
    const bus = new ProcessBus(this.bus)
    const host = await startDetectorHost({
      bus,
      detectors,
      topics: ['requests'],
      clock: () => this.now,
      registry: new Registry(),
      log: pino({ level: 'silent' }),
      tickMs: 5,
      snapshotEvery: { events: 1e9, ms: 1e9 },
      objectiveMs: 1e12,
      ...limits,
      ...more,
    })
    this.#hosts.push(host)
    await until('the end of the log', () => host.state().lag === 0 && (more.standby !== undefined || host.state().partitions.length > 0))
    return { host, bus }
  }

  /** A request of the principal at each of these times, seconds. */
  async say(principal: string, ...times: readonly number[]): Promise<void> {
    for (const at of times) {
      this.now = epoch + at * second
      await this.bus.publish([encode('requests', observation('request', ++this.#n, this.now, { principal }))])
      // Each lies apart, so that each goes in its time.
      await this.bus.maintain()
    }
  }

  /** What came more than a minute ago goes. */
  async pass(at: number): Promise<void> {
    this.now = epoch + at * second
    await this.bus.maintain()
  }

  /** Each newest chunk of a snapshot in these slots again, with what befell it. */
  async harm(harm: (value: Uint8Array) => Uint8Array | null, slots = ['a', 'b']): Promise<void> {
    const newest = new Map<string | null, Parameters<EmbeddedBus['publish']>[0][number]>()
    for await (const records of this.bus.read('snapshots', 0, 0)) {
      for (const { key, value, headers, timestamp } of records) {
        if (value === null || !slots.includes(key?.split('/').at(-2) ?? '')) continue
        newest.set(key, { topic: 'snapshots', key, value: harm(Uint8Array.from(value)), headers, timestamp, partition: 0 })
      }
    }
    assert.ok(newest.size > 0, 'there is no snapshot to harm')
    await this.bus.publish([...newest.values()])
  }

  async findings(): Promise<EventOf<'finding'>[]> {
    const found: EventOf<'finding'>[] = []
    for await (const records of this.bus.read('findings', 0, 0)) {
      for (const event of records.map(decode)) if (event.kind === 'finding') found.push(event)
    }
    return found
  }

  async forgotten(): Promise<Finding[]> {
    return (await this.findings()).map(({ data }) => data).filter(({ evidence }) => evidence.kind === 'forgotten')
  }

  async titles(): Promise<string[]> {
    return (await this.findings()).filter(({ data }) => !isOfTheShell(data)).map(({ data }) => data.title)
  }

  /** From one partition to two. */
  async grow(run = detectors): Promise<void> {
    const did = await repartition({
      bus: this.bus,
      detectors: run,
      topic: 'requests',
      to: 2,
      settleMs: 0,
      heartbeats: () => [],
      clock: () => this.now,
      sleep: async () => {},
      log: pino({ level: 'silent' }),
      onProgress: () => {},
      ...limits,
    })
    assert.deepEqual([did.from, did.to], [1, 2])
  }

  /** Two requests of alice, of which a snapshot knows and the log does not any more; bob's two are on the log and in a later one. */
  async wearOut(): Promise<void> {
    const first = await this.start()
    await this.say('alice', 10, 20)
    await until('both', () => first.host.state().partitions.some(({ offset }) => offset === 2))
    await first.host.close()
    const second = await this.start()
    await this.say('bob', 50, 60)
    await until('both', () => second.host.state().partitions.some(({ offset }) => offset === 4))
    await second.host.close()
    await this.pass(90)
    assert.deepEqual(await this.bus.partitions('requests'), [{ topic: 'requests', partition: 0, start: 2, end: 4 }])
  }
}

function flipped(value: Uint8Array): Uint8Array {
  value[20] = (value[20] ?? 0) ^ 1
  return value
}

function bounds({ evidence, window }: Finding): unknown[] {
  const { firstOffset, lastOffset, count } = evidence
  return [firstOffset, lastOffset, count, (window.from - epoch) / second, (window.until - epoch) / second]
}

describe('a snapshot that no other can replace', () => {
  it('goes unmentioned while the log has all that it knew', async (t) => {
    const site = await Site.open(t)
    const { host } = await site.start()
    await site.say('alice', 10, 20)
    await until('both', () => host.state().partitions.some(({ offset }) => offset === 2))
    await host.close()
    await site.harm(flipped)
    await site.start()
    await site.say('alice', 30)
    await until('the burst', async () => (await site.titles()).length === 1)
    assert.deepEqual(await site.forgotten(), [])
  })

  const hourBefore = 50 - hour / second
  const losses: readonly [what: string, harm: (value: Uint8Array) => Uint8Array | null, from: number][] = [
    // What it knew cannot be read, but nobody remembers anything for longer than an hour.
    ['bytes that changed', flipped, hourBefore],
    ['chunks that are gone', () => null, hourBefore],
  ]
  for (const [what, harm, from] of losses) {
    it(`is a gap, where it has ${what}`, async (t) => {
      const site = await Site.open(t)
      await site.wearOut()
      await site.harm(harm)
      await site.start()
      await until('the gap', async () => (await site.forgotten()).length === 1)
      const [gap] = await site.forgotten()
      assert.ok(gap)
      assert.deepEqual(bounds(gap), [0, 1, 2, from, 50])
      const { detector, confidence, principals, evidence } = gap
      assert.deepEqual([detector, confidence, principals, evidence.morePrincipals], ['blindness', 0, [], true])
      assert.deepEqual([evidence.topic, evidence.partition, evidence.partitions], ['requests', 0, 1])
    })
  }

  it('is a gap since its oldest key was last touched, where it can be read', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.start({ detectors: [hosted({ ...slow, version: 2 }, { quietMs: hour })] })
    await until('the gap', async () => (await site.forgotten()).length === 1)
    assert.deepEqual((await site.forgotten()).map(bounds), [[0, 1, 2, 20, 50]])
  })

  it('is a gap from where the one before it stands, where that can be used', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.say('carol', 95, 96)
    const { host } = await site.start()
    await until('both', () => host.state().partitions.some(({ offset }) => offset === 6))
    await host.close()
    // One slot knows the first four, the other all six.
    await site.pass(155.5)
    assert.equal((await site.bus.partitions('requests'))[0]?.start, 5)
    await site.harm(flipped, ['a'])
    await site.start()
    await until('the gap', async () => (await site.forgotten()).length === 1)
    assert.deepEqual((await site.forgotten()).map(bounds), [[4, 4, 1, 60, 96]])
  })

  it('is stated once, however often it is restored, and what is found then is what a replay finds', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.harm(flipped)
    for (const _ of [1, 2]) {
      const { bus } = await site.start()
      await until('the gap', async () => (await site.forgotten()).length > 0)
      bus.kill()
      await bus.expire()
    }
    const again = await site.start()
    await site.say('alice', 100)
    await site.say('bob', 101)
    await until('the burst', async () => (await site.titles()).length === 1)
    await again.host.close()
    const gaps = (await site.findings()).filter(({ data }) => data.evidence.kind === 'forgotten')
    assert.ok(gaps.length > 1, 'it was not restored more than once')
    for (const gap of gaps) assert.deepEqual(gap, gaps[0])
    const replayed: string[] = []
    for await (const { title } of replay({ bus: site.bus, detectors, topics: ['requests'], ...limits })) replayed.push(title)
    // With what it had forgotten it would have been alice's as well.
    assert.deepEqual([await site.titles(), replayed], [['burst of 3'], ['burst of 3']])
  })

  it('is a gap of its own each time', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.harm(flipped)
    const { host } = await site.start()
    await site.say('carol', 95, 96)
    await until('both', () => host.state().partitions.some(({ offset }) => offset === 6))
    await host.close()
    await site.harm(() => null)
    await site.pass(155.5)
    await site.start()
    await until('both gaps', async () => (await site.forgotten()).length === 2)
    const gaps = await site.forgotten()
    assert.notEqual(gaps[0]?.id, gaps[1]?.id)
    assert.deepEqual(gaps.map(bounds), [
      [0, 1, 2, hourBefore, 50],
      [0, 4, 5, 96 - hour / second, 96],
    ])
  })

  it('is stated by whoever follows the partition, once it is theirs', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    const owner = await site.start()
    await site.harm(flipped)
    const heir = await site.start({
      instance: 'heir',
      standby: { afterMs: 2 * second },
      neighbours: () => [heartbeat('owner', site.now, [...owner.host.assignments()])],
    })
    await until('it to follow', () => heir.host.assignments().some(({ standby, offset }) => standby && offset === 4))
    site.now += 5 * second
    await site.say('carol', 100)
    await until('it to follow on', () => heir.host.assignments().some(({ offset }) => offset === 5))
    assert.deepEqual(await site.forgotten(), [], 'the owner has forgotten nothing')
    owner.bus.kill()
    await owner.bus.expire()
    await until('the gap', async () => (await site.forgotten()).length === 1)
    assert.deepEqual((await site.forgotten()).map(bounds), [[0, 1, 2, hourBefore, 50]])
  })

  it('is a gap, too, where the topic grows', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.harm(flipped)
    await site.grow()
    assert.deepEqual((await site.forgotten()).map(bounds), [[0, 1, 2, hourBefore, 50]])
  })

  it('is a gap, too, where the topic has grown already, and its state is of other detectors', async (t) => {
    const site = await Site.open(t)
    await site.wearOut()
    await site.bus.growTopic('requests', 2)
    await site.grow([hosted({ ...slow, version: 2 }, { quietMs: hour })])
    const gaps = await site.forgotten()
    assert.deepEqual(gaps.map(bounds), [[0, 1, 2, 20, 50]])
    assert.deepEqual([gaps[0]?.evidence.partition, gaps[0]?.evidence.partitions], [0, 1])
  })
})
