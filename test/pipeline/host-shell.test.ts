import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { type DetectorHostOptions, startDetectorHost } from '../../pipeline/host/shell.ts'
import { replay } from '../../pipeline/replay.ts'
import type { DataOf, EventOf, Finding, Kind } from '../../schemas/index.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { brittle, burst, hosted } from './host-toys.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { until } from './until.ts'

const second = 1_000
const hour = 3_600_000
const topics = [
  { name: 'requests', partitions: 4 },
  { name: 'findings', partitions: 1 },
  { name: 'dead-letters', partitions: 1 },
  { name: 'snapshots', partitions: 1 },
]

function bench() {
  const bus = new MemoryBus(new MemoryLog(topics))
  const clock = { now: epoch }
  const registry = new Registry()
  const start = (more: Partial<DetectorHostOptions> = {}) =>
    startDetectorHost({
      bus,
      detectors: [hosted(burst)],
      clock: () => clock.now,
      registry: more.registry ?? registry,
      log: pino({ level: 'silent' }),
      tickMs: 5,
      snapshotEvery: { events: 1e9, ms: 1e9 },
      ...more,
    })
  return { bus, clock, registry, start }
}

function put(bus: EventBus, n: number, at: number, principal = 'alice', items = 1) {
  return bus.publish([encode('requests', observation('request', n, epoch + at, { principal, items }))])
}

async function events<K extends Kind>(bus: EventBus, topic: string, kind: K): Promise<EventOf<K>[]> {
  const found: EventOf<K>[] = []
  for (const { partition, start } of await bus.partitions(topic)) {
    for await (const records of bus.read(topic, partition, start)) {
      for (const record of records) {
        if (record.headers.ce_type === `dev.cordon.${kind}` && record.value?.length !== 1) found.push(decode(record) as EventOf<K>)
      }
    }
  }
  return found
}

async function titles(bus: EventBus): Promise<string[]> {
  return (await events(bus, 'findings', 'finding')).map(({ data }: { data: Finding }) => data.title)
}

describe('detector host on the bus', () => {
  it('publishes what the detectors find, under ids that a repetition would have too', async () => {
    const { bus, start } = bench()
    const host = await start()
    for (let n = 1; n <= 4; n++) await put(bus, n, n)
    await until('two findings', async () => (await titles(bus)).length === 2)
    await host.close()
    const [first, second] = await events(bus, 'findings', 'finding')
    assert.equal(first?.data.title, 'burst of 3')
    assert.deepEqual([first?.data.revision, second?.data.revision], [0, 1])
    assert.equal(first?.data.id, second?.data.id)
    assert.notEqual(first?.id, second?.id)
    assert.equal(first?.time, epoch + 3)
    assert.equal(first?.source, 'detector-host')
  })

  it('buries what it cannot read, with the reason, and goes on', async () => {
    const { bus, start } = bench()
    const host = await start()
    const sound = encode('requests', observation('request', 0, epoch))
    await bus.publish([
      { ...sound, value: Buffer.from('{') },
      { ...sound, headers: {} },
    ])
    const acknowledgement: DataOf<'acknowledgement'> = { lease: 'l', revision: 0, node: 'n', at: epoch, enforcedAfterMs: null }
    const misplaced = encode('acknowledgements', newEvent('acknowledgement', acknowledgement, 'test', epoch))
    await bus.publish([{ ...misplaced, topic: 'requests', key: 'alice' }])
    for (let n = 1; n <= 3; n++) await put(bus, n, n)
    await until('a finding', async () => (await titles(bus)).length === 1)
    await host.close()
    const letters = await events(bus, 'dead-letters', 'dead-letter')
    assert.deepEqual(
      letters.map(({ data }: { data: DataOf<'dead-letter'> }) => [data.topic, data.code]),
      [
        ['requests', 'MALFORMED_JSON'],
        ['requests', 'MISSING_ATTRIBUTE'],
        ['requests', 'UNEXPECTED_KIND'],
      ],
    )
  })

  it('ticks an idle partition that has a timer, on its own log, so that a replay sees it', async () => {
    const { bus, clock, start } = bench()
    const host = await start()
    for (let n = 1; n <= 3; n++) await put(bus, n, n)
    await until('the burst', async () => (await titles(bus)).length === 1)
    assert.deepEqual(await events(bus, 'requests', 'tick'), [])
    clock.now = epoch + 60 * second
    await until('its end', async () => (await titles(bus)).length === 2)
    await host.close()
    const ticks = await events(bus, 'requests', 'tick')
    assert.deepEqual(
      ticks.map(({ data }) => data),
      [{ until: epoch + 60 * second }],
    )
    const replayed: string[] = []
    for await (const { title } of replay({ bus, detectors: [hosted(burst)], topics: ['requests'] })) replayed.push(title)
    assert.deepEqual(replayed, ['burst of 3', 'burst over'])
  })

  it('moves event time along behind the clock, so that the first event after a quiet night is believed', async () => {
    const { bus, clock, start } = bench()
    const host = await start()
    await put(bus, 1, 0)
    const quiet = () => host.state().partitions.find(({ offset }) => offset > 0)
    await until('the event', () => quiet()?.lag === 0)
    clock.now = epoch + 8 * hour
    // The burst's own timer ticks to the clock; after that 0.9 of an hour must pass before event time is moved to 0.8 behind.
    await until('the timer', () => quiet()?.watermark === clock.now)
    clock.now += 2 * hour
    await until('event time', () => quiet()?.watermark === clock.now - 0.8 * hour)
    await put(bus, 2, 10 * hour)
    await until('the second event', () => quiet()?.counts.events === 2)
    assert.equal(quiet()?.counts.clamped, 0)
    await host.close()
  })

  it('says where it stands', async () => {
    const { bus, clock, registry, start } = bench()
    const host = await start({ detectors: [hosted(burst), hosted(brittle)] })
    for (let n = 1; n <= 4; n++) await put(bus, n, n, 'alice', n === 4 ? 13 : 1)
    await put(bus, 4, 4, 'alice')
    await until('the events', () => host.state().partitions.some(({ offset, lag }) => offset === 5 && lag === 0))
    clock.now += 20
    const { partitions, keys, lag, oldestSnapshotMs } = host.state()
    assert.equal(partitions.length, 4)
    assert.deepEqual({ keys, lag, oldestSnapshotMs }, { keys: { brittle: 0, burst: 1 }, lag: 0, oldestSnapshotMs: 20 })
    await until('its findings', async () => (await titles(bus)).length === 5)
    const metrics = await registry.metrics()
    for (const line of [
      'cordon_detector_events_total{detector="burst"} 4',
      'cordon_detector_errors_total{detector="brittle"} 1',
      'cordon_detector_findings_total{detector="burst"} 2',
      'cordon_detector_seconds_count{detector="burst"} 4',
      'cordon_detector_keys{detector="burst"} 1',
      'cordon_host_events_total{topic="requests"} 4',
      'cordon_host_duplicates_total{topic="requests"} 1',
      'cordon_host_snapshot_age_seconds 0.02',
    ]) {
      assert.ok(metrics.split('\n').includes(line), `${line} is not in\n${metrics}`)
    }
    await host.close()
  })

  it('goes on from its snapshot after a stop, and does not repeat itself', async () => {
    const { bus, start } = bench()
    const first = await start()
    await put(bus, 1, 1)
    await put(bus, 2, 2)
    await until('both', () => first.state().partitions.some(({ offset }) => offset === 2))
    await first.close()
    const again = await start({ registry: new Registry() })
    await until('its snapshot', () => again.state().partitions.some(({ snapshot }) => snapshot.offset === 2))
    await put(bus, 3, 3)
    await until('the finding', async () => (await titles(bus)).length === 1)
    await again.close()
    assert.deepEqual(await titles(bus), ['burst of 3'])
  })

  it('replays everything for another version of a detector, and keeps its opinion of the past to itself', async () => {
    const { bus, start } = bench()
    const first = await start()
    for (let n = 1; n <= 3; n++) await put(bus, n, n)
    await until('the finding', async () => (await titles(bus)).length === 1)
    await first.close()
    const second = await start({ registry: new Registry(), detectors: [hosted({ ...burst, version: 2 })] })
    await until('the replay', () => second.state().partitions.some(({ counts }) => counts.events === 3))
    await put(bus, 4, 4)
    await until('its finding', async () => (await titles(bus)).length === 2)
    await second.close()
    const findings = await events(bus, 'findings', 'finding')
    assert.deepEqual(
      findings.map(({ data }: { data: Finding }) => [data.version, data.revision, data.title]),
      [
        [1, 0, 'burst of 3'],
        [2, 1, 'burst of 4'],
      ],
    )
  })

  it('refuses to start with detectors that cannot be hosted', async () => {
    const { start } = bench()
    await assert.rejects(start({ detectors: [hosted(burst), hosted(burst)] }), { code: 'HOST_INVALID' })
  })
})

describe('detector hosts that share a log', () => {
  it('hand partitions over with their state', async () => {
    const path = mkdtempSync(join(tmpdir(), 'cordon-host-'))
    const bus = await createEmbeddedBus({ path })
    const principals = Array.from({ length: 12 }, (_, n) => `p${n}`)
    const say = async (from: number) => {
      for (const [n, principal] of principals.entries()) await put(bus, from + n, from + n, principal)
    }
    const start = () =>
      startDetectorHost({
        bus,
        detectors: [hosted({ ...burst, maxKeys: 100 })],
        clock: () => epoch,
        registry: new Registry(),
        log: pino({ level: 'silent' }),
      })
    try {
      await bus.ensureTopics(topics.map((topic) => ({ ...topic, retentionMs: topic.name === 'snapshots' ? null : 1e12 })))
      const one = await start()
      await say(100)
      const seen = () => [one].flatMap((host) => host.state().partitions).reduce((sum, { counts }) => sum + counts.events, 0)
      await until('the first dozen', () => seen() === 12)
      const two = await start()
      assert.deepEqual([one.state().partitions.length, two.state().partitions.length], [2, 2])
      await say(200)
      await one.close()
      assert.equal(two.state().partitions.length, 4)
      await say(300)
      await until('a finding for each', async () => (await titles(bus)).length === 12)
      await two.close()
      assert.deepEqual(new Set(await titles(bus)), new Set(['burst of 3']))
    } finally {
      await bus.close()
      rmSync(path, { recursive: true })
    }
  })
})
