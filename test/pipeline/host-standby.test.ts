import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode } from '../../bus/codec.ts'
import { createEmbeddedBus, type EmbeddedBus } from '../../bus/embedded/bus.ts'
import { type DetectorHost, type DetectorHostOptions, startDetectorHost } from '../../pipeline/host/shell.ts'
import { partitionsToFollow } from '../../pipeline/host/standby/standby.ts'
import { replay } from '../../pipeline/replay.ts'
import type { DeadLetter, Finding, Heartbeat } from '../../schemas/index.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { heartbeat } from './heartbeat.ts'
import { burst, hosted } from './host-toys.ts'
import { ProcessBus } from './process-bus.ts'
import { until } from './until.ts'

const second = 1_000
const afterMs = 2 * second
const topics = [
  { name: 'requests', partitions: 4, retentionMs: 1e12, timestamps: 'append' as const },
  { name: 'findings', partitions: 1, retentionMs: 1e12 },
  { name: 'dead-letters', partitions: 1, retentionMs: 1e12 },
  { name: 'snapshots', partitions: 1, retentionMs: null },
]
const detectors = [hosted({ ...burst, maxKeys: 1_000 })]
const limits = { latenessMs: 60_000, aheadMs: 3_600_000 }

/** Detect processes on one log, told of each other, and a clock for all. */
class Site {
  now = epoch
  readonly #path = mkdtempSync(join(tmpdir(), 'cordon-standby-'))
  readonly #hosts = new Map<string, { host: DetectorHost; bus: ProcessBus; alive: boolean }>()
  bus: EmbeddedBus = null as never
  #n = 0

  async open(): Promise<this> {
    this.bus = await createEmbeddedBus({ path: this.#path, clock: () => this.now })
    await this.bus.ensureTopics(topics)
    return this
  }

  async close(): Promise<void> {
    for (const { host, bus } of this.#hosts.values()) {
      bus.continue()
      await host.close()
    }
    await this.bus.close()
    rmSync(this.#path, { recursive: true })
  }

  async start(name: string, more: Partial<DetectorHostOptions> = {}): Promise<{ host: DetectorHost; bus: ProcessBus }> {
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
      instance: name,
      source: name,
      standby: { afterMs },
      neighbours: () => this.heartbeats(),
      ...limits,
      ...more,
    })
    this.#hosts.set(name, { host, bus, alive: true })
    return { host, bus }
  }

  heartbeats(): Heartbeat[] {
    return [...this.#hosts].flatMap(([instance, { host, alive }]) =>
      alive ? [heartbeat(instance, this.now, [...host.assignments()])] : [],
    )
  }

  /** The process is killed; the group does not know yet. */
  kill(name: string): ProcessBus {
    const process = this.#hosts.get(name)
    assert.ok(process)
    process.bus.kill()
    process.alive = false
    return process.bus
  }

  /** One request of each principal. */
  async say(principals: readonly string[], items = 1): Promise<void> {
    for (const principal of principals) {
      const n = ++this.#n
      await this.bus.publish([encode('requests', observation('request', n, this.now, { principal, items }))])
    }
  }

  async findings(): Promise<{ id: string; source: string; finding: Finding }[]> {
    const found: { id: string; source: string; finding: Finding }[] = []
    for await (const records of this.bus.read('findings', 0, 0)) {
      for (const record of records) {
        const event = decode(record)
        if (event.kind === 'finding') found.push({ id: event.id, source: event.source, finding: event.data })
      }
    }
    return found
  }

  /** What was published, but gaps that only a shell can tell, equals what an undisturbed run finds. */
  async check(): Promise<number> {
    const expected = new Map<string, Finding>()
    for await (const finding of replay({ bus: this.bus, detectors, topics: ['requests'], ...limits })) {
      expected.set(`${finding.id}/${finding.revision}`, finding)
    }
    const found = (await this.findings()).filter(({ finding }) => finding.evidence.kind !== 'lagged')
    const published = new Map(found.map(({ finding }) => [`${finding.id}/${finding.revision}`, finding]))
    assert.deepEqual(new Map([...published].sort()), new Map([...expected].sort()))
    return expected.size
  }
}

/** Partitions of `requests` that the instance reads itself, or follows and has read to the end. */
function partitionsOf(host: DetectorHost, standby: boolean): number[] {
  return host
    .assignments()
    .filter((each) => each.standby === standby && each.offset === each.end)
    .map(({ partition }) => partition)
    .sort()
}

const crowd = Array.from({ length: 16 }, (_, n) => `p${n}`)

describe('detector hosts that stand by for each other', () => {
  let site: Site
  beforeEach(async () => {
    site = await new Site().open()
  })
  afterEach(() => site.close())

  async function pair() {
    const a = await site.start('a')
    const b = await site.start('b')
    await until('each to follow the other', () => partitionsOf(a.host, true).length === 2 && partitionsOf(b.host, true).length === 2)
    return { a, b }
  }

  it('follow each what the other owns, and leave it to the owner to state', async () => {
    const { a, b } = await pair()
    assert.deepEqual(partitionsOf(a.host, true), partitionsOf(b.host, false))
    for (let round = 0; round < 3; round++) await site.say(crowd)
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    await until('the end of each', async () => {
      site.now += 20
      return (await site.findings()).length >= 2 * crowd.length
    })
    assert.equal(await site.check(), 2 * crowd.length)
    const found = await site.findings()
    assert.equal(new Set(found.map(({ id }) => id)).size, found.length, 'something was published twice')
  })

  it('state what a killed owner does not, though the group has not noticed', async () => {
    const { a, b } = await pair()
    const before = partitionsOf(a.host, false)
    site.kill('a')
    for (let round = 0; round < 3; round++) await site.say(crowd)
    const mine = () => b.host.assignments().filter(({ standby }) => standby)
    await until('all to be read', () => mine().every(({ offset, end }) => offset === end && end > 0))
    await until('its own', async () => (await site.findings()).length > 0)
    site.now += afterMs - 1
    const early = (await site.findings()).length
    assert.ok(early < crowd.length, 'findings of the other were stated before it was late with them')
    site.now += 1
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    await site.check()
    assert.ok(before.length === 2 && (await site.findings()).every(({ source }) => source === 'b'))
  })

  it('take over where they stand, without reading anything again', async () => {
    const { b } = await pair()
    for (let round = 0; round < 2; round++) await site.say(crowd)
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end && end > 0))
    const dead = site.kill('a')
    await site.say(crowd)
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end))
    const reads: string[] = []
    const read = site.bus.read.bind(site.bus)
    site.bus.read = (topic, ...rest) => {
      reads.push(topic)
      return read(topic, ...rest)
    }
    await dead.expire()
    site.bus.read = read
    assert.equal(b.host.state().partitions.length, 4)
    assert.equal(b.host.assignments().length, 4)
    assert.deepEqual(reads, [])
    await until('a finding for each, at once', async () => (await site.findings()).length === crowd.length)
    const behind = async () => {
      const ends = new Map((await site.bus.partitions('requests')).map(({ partition, end }) => [partition, end]))
      const reached = (await site.bus.groups()).map(({ partition, committed }) => (ends.get(partition) ?? 0) - (committed ?? 0))
      return reached.length === 4 && reached.every((left) => left === 0)
    }
    await until('its word for what it took over, though nothing else comes', behind)
    await site.say(crowd)
    await until('the next', async () => (await site.findings()).length === 2 * crowd.length)
    await site.check()
  })

  it('take over where they stand, though the bus fails while they do', async () => {
    const { b } = await pair()
    for (let round = 0; round < 2; round++) await site.say(crowd)
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end && end > 0))
    const dead = site.kill('a')
    const reads: string[] = []
    const read = site.bus.read.bind(site.bus)
    site.bus.read = (topic, ...rest) => {
      reads.push(topic)
      return read(topic, ...rest)
    }
    b.bus.refuseGroups = 3
    await dead.expire()
    await until('all to be its own', () => partitionsOf(b.host, false).length === 4)
    site.bus.read = read
    assert.deepEqual(reads, [])
    await site.say(crowd)
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    await site.check()
  })

  it('give a partition back and forth with its state', async () => {
    const { a, b } = await pair()
    await site.say(crowd)
    const c = await site.start('c')
    await site.say(crowd)
    await c.host.close()
    await site.say(crowd)
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    const counted = [a, b].flatMap(({ host }) => host.state().partitions).reduce((sum, { counts }) => sum + counts.events, 0)
    assert.equal(counted, 3 * crowd.length)
    await site.check()
  })

  it('write no more than the group confirms, and state what was held back when it does', async () => {
    const { a, b } = await pair()
    a.bus.held = false
    for (let round = 0; round < 3; round++) await site.say(crowd)
    await until('its own', async () => (await site.findings()).length > 0)
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end && end > 0))
    assert.ok((await site.findings()).every(({ source }) => source === 'b'))
    const commits = a.bus.commits
    a.bus.held = true
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    await until('its commits', () => a.bus.commits > commits)
    assert.ok((await site.findings()).some(({ source }) => source === 'a'))
  })

  it('put the time on the log of a partition whose owner does not', async () => {
    const { b } = await pair()
    for (let round = 0; round < 3; round++) await site.say(crowd)
    await until('a finding for each', async () => (await site.findings()).length === crowd.length)
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end))
    site.kill('a')
    // The bursts are over 5 s after their last request.
    site.now += 8 * second
    await until('the end of each', async () => {
      site.now += 100
      return (await site.findings()).length >= 2 * crowd.length
    })
    await site.check()
  })

  it('retry a commit by the clock', async () => {
    const { host, bus } = await site.start('a')
    bus.refuseCommits = 2
    await site.say(['p0'])
    await until('the commit', async () => (await site.bus.groups()).some(({ committed }) => committed === 1))
    assert.equal(host.state().lag, 0)
  })

  it('bury what cannot be read under one id, whoever does it', async () => {
    const { b } = await pair()
    const dead = site.kill('a')
    const sound = encode('requests', observation('request', 0, site.now))
    for (let partition = 0; partition < 4; partition++) await site.bus.publish([{ ...sound, partition, value: Buffer.from('{') }])
    await until('all to be read', () => b.host.assignments().every(({ offset, end }) => offset === end && end > 0))
    const letters = async () => {
      const found: { id: string; partition: number }[] = []
      for await (const records of site.bus.read('dead-letters', 0, 0)) {
        for (const event of records.map(decode)) found.push({ id: event.id, partition: (event.data as DeadLetter).partition })
      }
      return found
    }
    site.now += afterMs
    await until('a letter for each', async () => (await letters()).length === 4)
    await dead.expire()
    // Without a shadow and with nothing committed, the next one buries them again.
    const one = await site.start('c', { standby: null })
    await b.host.close()
    await until('the takeover', () => one.host.state().partitions.length === 4 && one.host.state().lag === 0)
    const found = await letters()
    assert.equal(new Set(found.map(({ id }) => id)).size, 4)
  })

  it('state what was applied too late, with exact bounds, and what retention took', async () => {
    const { host } = await site.start('a', { objectiveMs: 10 * second })
    await site.say(['p0'])
    await until('the first', () => host.state().lag === 0 && host.state().partitions.some(({ offset }) => offset === 1))
    await host.close()
    await site.say(['p0', 'p0', 'p0'])
    site.now += 11 * second
    await site.start('b')
    const gaps = async () => (await site.findings()).filter(({ finding }) => finding.detector === 'blindness').map(({ finding }) => finding)
    await until('the gap', async () => (await gaps()).length === 1)
    const [gap] = await gaps()
    assert.deepEqual(
      [gap?.evidence.kind, gap?.evidence.firstOffset, gap?.evidence.lastOffset, gap?.evidence.worstMs],
      ['lagged', 1, 3, 11 * second],
    )
    assert.deepEqual([gap?.revision, gap?.evidence.partitions, gap?.confidence], [2, 4, 0])
    assert.deepEqual(gap?.window, { from: epoch, until: epoch })
  })

  it('state what retention took before it was applied', async () => {
    const { host } = await site.start('a')
    await site.say(['p0'])
    const place = () => host.state().partitions.find(({ offset }) => offset === 1)
    await until('the first', () => place() !== undefined)
    const partition = place()?.partition ?? -1
    await host.close()
    await site.say(['p0', 'p0', 'p0', 'p0'])
    // As if the first four were gone.
    const bounds = site.bus.partitions.bind(site.bus)
    site.bus.partitions = async (topic) =>
      (await bounds(topic)).map((state) => (state.topic === 'requests' && state.partition === partition ? { ...state, start: 4 } : state))
    site.now += second
    await site.start('b')
    const gaps = async () =>
      (await site.findings()).filter(({ finding }) => finding.evidence.kind === 'retention').map(({ finding }) => finding)
    await until('the gap', async () => (await gaps()).length === 1)
    const [gap] = await gaps()
    const { firstOffset, lastOffset, count } = gap?.evidence ?? {}
    assert.deepEqual([firstOffset, lastOffset, count, gap?.evidence.partition], [1, 3, 3, partition])
    assert.deepEqual(gap?.window, { from: epoch, until: epoch })
    site.bus.partitions = bounds
  })

  it('hand a partition over while a snapshot of it is being made', async () => {
    const { host } = await site.start('a', { snapshotEvery: { events: 1, ms: 1e9 } })
    const registry = new Registry()
    for (let round = 0; round < 3; round++) await site.say(crowd)
    const b = await site.start('b', { registry })
    for (let round = 0; round < 3; round++) await site.say(crowd)
    await until('all to be read', () => [host, b.host].every((each) => each.state().lag === 0))
    await until('the end of each', async () => {
      site.now += 20
      return site.check().then(
        (findings) => findings >= 2 * crowd.length,
        () => false,
      )
    })
  })
})

describe('a ring of detector hosts', () => {
  const place = (partition: number) => ({ topic: 'requests', partition })
  const owning = (partition: number) => ({ ...place(partition), standby: false, offset: 0, end: 0, lagMs: 0 })
  const partitions = [0, 1, 2, 3].map(place)
  const examples: { name: string; instance: string; heartbeats: Heartbeat[]; expected: number[] }[] = [
    { name: 'alone', instance: 'a', heartbeats: [heartbeat('a', epoch, [owning(0)])], expected: [] },
    {
      name: 'of two: all of the other',
      instance: 'a',
      heartbeats: [heartbeat('a', epoch, [owning(0), owning(1)]), heartbeat('b', epoch, [owning(2), owning(3)])],
      expected: [2, 3],
    },
    {
      name: 'of three: of the one before',
      instance: 'a',
      heartbeats: [heartbeat('a', epoch, [owning(0)]), heartbeat('b', epoch, [owning(1)]), heartbeat('c', epoch, [owning(2), owning(3)])],
      expected: [2, 3],
    },
    {
      name: 'of three: what nobody owns, by the first two',
      instance: 'b',
      heartbeats: [heartbeat('a', epoch, [owning(0)]), heartbeat('b', epoch, [owning(1)]), heartbeat('c', epoch, [owning(2)])],
      expected: [0, 3],
    },
    {
      name: 'the dead and the stopped own nothing',
      instance: 'a',
      heartbeats: [
        heartbeat('b', epoch - 6_001, [owning(0)]),
        heartbeat('c', epoch, [owning(1)], { state: 'stopped' }),
        heartbeat('d', epoch, [owning(2)]),
      ],
      expected: [0, 1, 2, 3],
    },
    {
      name: 'of two who say that they own it, the later is right',
      instance: 'a',
      heartbeats: [heartbeat('b', epoch, [owning(0)]), heartbeat('a', epoch - 1, [owning(0), owning(1), owning(2), owning(3)])],
      expected: [0],
    },
  ]
  for (const { name, instance, heartbeats, expected } of examples) {
    it(name, () => {
      const followed = partitionsToFollow({ instance, heartbeats, partitions, now: epoch })
      assert.deepEqual(
        followed.map(({ partition }) => partition),
        expected,
      )
    })
  }
})

type Act = { readonly act: 'say' | 'wait' | 'kill' | 'stop' | 'join' | 'leave'; readonly who: number }

describe('detector hosts that die, stand still, come and go', () => {
  it('find together what an undisturbed run finds', async () => {
    const acts: fc.Arbitrary<Act> = fc.record({
      act: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom('say' as const, 'wait' as const) },
        { weight: 5, arbitrary: fc.constantFrom('kill' as const, 'stop' as const, 'join' as const, 'leave' as const) },
      ),
      who: fc.nat({ max: 100 }),
    })
    const scale = { findings: 0, faults: 0 }
    const property = fc.asyncProperty(fc.array(acts, { minLength: 10, maxLength: 30, size: 'max' }), async (story) => {
      const site = await new Site().open()
      try {
        await play(site, story, scale)
      } finally {
        await site.close()
      }
    })
    await fc.assert(property, { numRuns: 15, seed: 5, endOnFailure: true })
    assert.ok(scale.findings > 500 && scale.faults > 30, `too few to show anything: ${JSON.stringify(scale)}`)
  })

  async function play(site: Site, story: readonly Act[], scale: { findings: number; faults: number }): Promise<void> {
    let started = 0
    const running = new Map<string, { host: DetectorHost; bus: ProcessBus }>()
    const join = async () => {
      const name = `h${started++}`
      running.set(name, await site.start(name, { snapshotEvery: { events: 20, ms: 1e9 } }))
    }
    await join()
    await join()
    for (const { act, who } of story) {
      const name = [...running.keys()][who % running.size]
      const process = running.get(name ?? '')
      if (act === 'say') await site.say(crowd.slice(0, 1 + (who % crowd.length)))
      if (act === 'wait') site.now += who * 20
      if (act === 'join' && running.size < 4) await join()
      if (name === undefined || process === undefined || running.size < 2 || !['kill', 'stop', 'leave'].includes(act)) continue
      scale.faults += 1
      if (act === 'stop') process.bus.stop()
      if (act === 'kill') site.kill(name)
      if (act === 'leave') await process.host.close()
      await site.say(crowd)
      site.now += who * 50
      if (act === 'stop' && who % 3 === 0) {
        // A short pause: the group never notices.
        process.bus.continue()
        continue
      }
      running.delete(name)
      if (act !== 'leave') await process.bus.expire()
      await site.say(crowd)
      // It goes on, and believes that the partitions are its own until it hears otherwise.
      process.bus.continue()
    }
    site.now += 10 * second
    let findings = 0
    let last: unknown
    const settled = async () => {
      site.now += 200
      try {
        findings = await site.check()
        return true
      } catch (error) {
        last = error
        return false
      }
    }
    await until('everything that is to be found', settled, 20_000).catch(() => {
      throw last
    })
    scale.findings += findings
  }
})
