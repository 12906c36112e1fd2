import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'
import { z } from 'zod'
import { decode, encode } from '../../bus/codec.ts'
import { defineDetector } from '../../detectors/contract.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput, PartitionHostOptions } from '../../pipeline/host/partition/partition-host.ts'
import { Watermark } from '../../pipeline/host/partition/watermark.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { repartition } from '../../pipeline/repartition.ts'
import { replay } from '../../pipeline/replay.ts'
import type { Finding, Instant } from '../../schemas/index.ts'
import { snapshotLines } from '../contracts/detector.ts'
import { epoch, observation, tick } from '../contracts/observations.ts'
import { brittle, burst, hosted } from './host-toys.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { until } from './until.ts'

const second = 1_000
const minute = 60_000

/** A defect of the host that is a function of the record: it cannot take in what is of such a time. */
function breakHost(t: TestContext, poisoned: (at: Instant) => boolean): void {
  const { admit } = Watermark.prototype
  t.mock.method(Watermark.prototype, 'admit', function (this: Watermark, time: Instant, vouched?: boolean) {
    if (poisoned(time - epoch)) throw new Error('a defect of the host')
    return admit.call(this, time, vouched)
  })
}

function open(detectors: readonly HostedDetector[], options: Partial<PartitionHostOptions> = {}) {
  return createPartitionHost(detectors, { topic: 'requests', partition: 2, ...options })
}

function request(n: number, at: number, principal = 'alice', items = 1): HostInput {
  return observation('request', n, epoch + at, { principal, items })
}

function said({ time, detector, title, evidence }: Finding): string {
  const what =
    detector === 'blindness'
      ? `${evidence.kind} ${evidence.count} of ${evidence.total}, from ${evidence.firstOffset} to ${evidence.lastOffset}`
      : title
  return `${time - epoch} ${what}`
}

describe('a host that fails itself', () => {
  it('passes over the record and states where it stands, whose it is and when', (t) => {
    breakHost(t, (at) => at === 2 || at === 3)
    const told: unknown[] = []
    const host = open([hosted(burst)], { partitions: 4, onUnapplied: (offset, error) => told.push([offset, String(error)]) })
    const given = [request(1, 0), request(2, 2, 'bob'), request(3, 3, 'carol'), request(4, 4), request(5, 5), tick(6, epoch + 2 * minute)]
    const findings = given.flatMap((event, offset) => host.apply(event, offset))
    assert.deepEqual(findings.map(said), ['5 burst of 3', '5005 burst over', '60000 unapplied 2 of 2, from 1 to 2'])
    const { severity, confidence, principals, evidence } = findings.at(-1) ?? assert.fail()
    assert.deepEqual([severity, confidence, principals], ['medium', 0, []])
    const { topic, partition, partitions, earliest, latest } = evidence
    assert.deepEqual([topic, partition, partitions, earliest, latest], ['requests', 2, 4, epoch + 2, epoch + 3])
    assert.deepEqual([evidence.principals, evidence.morePrincipals], [['bob', 'carol'], false])
    assert.deepEqual(told, [
      [1, 'Error: a defect of the host'],
      [2, 'Error: a defect of the host'],
    ])
  })

  it('states it each minute, though it fails on every record', (t) => {
    breakHost(t, () => true)
    const host = open([hosted(burst)])
    const findings = [0, 30, 60, 90, 120, 150].flatMap((at, offset) => host.apply(request(offset, at * second), offset))
    // Each is stated by the first record a minute after it began.
    assert.deepEqual(findings.map(said), ['60000 unapplied 3 of 3, from 0 to 2', '150000 unapplied 3 of 6, from 3 to 5'])
  })

  it('says that it is of somebody where the record does not say of whom', () => {
    const host = open([hosted(burst)])
    const { data: _, ...rest } = observation('request', 1, epoch)
    host.apply({ ...rest, data: null } as unknown as HostInput, 0)
    const [gap] = host.apply(tick(2, epoch + 2 * minute), 1)
    assert.deepEqual([gap?.evidence.kind, gap?.evidence.principals, gap?.evidence.morePrincipals], ['unapplied', [], true])
  })

  it('has what it counts in its snapshots, and reads those of before it counted', async (t) => {
    breakHost(t, (at) => at === 1)
    const first = open([hosted(burst)])
    for (const [offset, event] of [request(1, 0), request(2, 1)].entries()) first.apply(event, offset)
    const lines = snapshotLines(first)
    const second = open([hosted(burst)])
    await second.restore([lines])
    assert.deepEqual(second.apply(tick(3, epoch + 2 * minute), 2).map(said), ['60000 unapplied 1 of 1, from 1 to 1'])
    const { counts, ...head } = JSON.parse(lines[0] ?? '')
    const { unapplied: _, ...older } = counts
    const third = open([hosted(burst)])
    await third.restore([[JSON.stringify({ ...head, gaps: [], counts: older }), ...lines.slice(1)]])
    assert.deepEqual([third.next, third.counts.unapplied], [2, 0])
  })

  it('finds the same whether or not whoever is told of failures can hear it', (t) => {
    breakHost(t, (at) => at === 2)
    const given = [request(1, 0), request(2, 1, 'alice', 13), request(3, 2), request(4, 3), tick(5, epoch + 2 * minute)]
    const findings = (deaf: boolean) => {
      const listener = () => {
        if (deaf) throw new Error('the disk of the log is full')
      }
      const host = open([hosted(brittle), hosted(burst)], { onFault: listener, onUnapplied: listener })
      return given.flatMap((event, offset) => host.apply(event, offset)).map(said)
    }
    assert.ok(findings(false).includes('3 burst of 3'))
    assert.deepEqual(findings(true), findings(false))
  })
})

/** Keeps what no JSON can hold once it has seen a request of 16 items, and states 64 bytes for each item from 1,000 on. */
const hoarder = defineDetector({
  id: 'hoarder',
  version: 1,
  summary: 'Keeps too much.',
  threats: [],
  observes: ['request'],
  params: z.object({}),
  state: z.object({ seen: z.union([z.int(), z.bigint()]) }),
  maxKeys: 10,
  idleMs: minute,
  scope: (o) => (o.kind === 'request' ? o.data.principal : null),
  start: () => ({
    initial: () => ({ seen: 0 }),
    onEvent: (state, o) => {
      if (o.kind !== 'request') return undefined
      if (o.data.items === 16) state.seen = 1n
      if (o.data.items < 1_000) return { state }
      const evidence = Object.fromEntries(Array.from({ length: o.data.items }, (_, n) => [`n${n}`, 'x'.repeat(56)]))
      const subject = { principals: [], organizations: [], model: null, workload: null, pool: null }
      const window = { from: o.time, until: o.time }
      const about = { opened: o.id, title: 'much', severity: 'low', confidence: 0.5, eventsSeen: 1 } as const
      return { state, findings: [{ ...about, ...subject, window, evidence }] }
    },
  }),
})

describe('a host whose detector keeps or states what cannot be written', () => {
  it('goes on without the snapshot', () => {
    const given = [request(3, 2), request(4, 3, 'bob'), request(5, 4), request(6, 5), tick(7, epoch + 2 * minute)]
    const run = (cuts: boolean) => {
      const host = open([hosted(burst), hosted(hoarder)])
      host.apply(request(1, 0), 0)
      host.apply(request(2, 1, 'alice', 16), 1)
      const cut = cuts ? host.cut() : null
      return { cut, findings: given.flatMap((event, index) => host.apply(event, 2 + index)).map(said) }
    }
    const { cut, findings } = run(true)
    assert.deepEqual(findings, run(false).findings)
    assert.deepEqual(findings.slice(0, 1), ['2 burst of 3'])
    assert.throws(
      () => {
        while (cut?.read(0) !== null);
      },
      { code: 'DETECTOR_FAULT' },
    )
  })

  it('refuses a finding that fits no record, and states that', () => {
    const host = open([hosted(hoarder)])
    // 64 bytes each and their names: 15,000 fit into a mebibyte, 20,000 do not.
    const findings = [request(1, 0, 'alice', 10_000), request(2, 1, 'alice', 20_000), tick(3, epoch + 2 * minute)].flatMap(
      (event, offset) => host.apply(event, offset),
    )
    assert.deepEqual(findings.map(said), ['0 much', '60001 threw 1 of 1, from 1 to 1'])
  })
})

const topics = ['requests', 'findings', 'dead-letters', 'snapshots'].map((name) => ({ name, partitions: 1 }))

describe('a host on the bus that fails itself', () => {
  it('does not stop at the record, commits past it, and says so on the log, as a replay does', async (t) => {
    breakHost(t, (at) => at === 2)
    const log = new MemoryLog(topics)
    const bus = new MemoryBus(log)
    const registry = new Registry()
    const clock = { now: epoch }
    const start = (of: Registry) =>
      startDetectorHost({
        bus,
        detectors: [hosted(burst)],
        clock: () => clock.now,
        registry: of,
        log: pino({ level: 'silent' }),
        tickMs: 5,
        snapshotEvery: { events: 1e9, ms: 1e9 },
      })
    const findings = async () => {
      const found: string[] = []
      for await (const records of bus.read('findings', 0, 0)) {
        for (const record of records) found.push(said(decode(record).data as Finding))
      }
      return found
    }
    const first = await start(registry)
    for (let n = 1; n <= 4; n++) await bus.publish([encode('requests', observation('request', n, epoch + n, { principal: 'alice' }))])
    await until('the burst', async () => (await findings()).length === 1)
    await until('its offset', async () => (await bus.groups()).some(({ topic, committed }) => topic === 'requests' && committed === 4))
    assert.match(await registry.metrics(), /^cordon_host_unapplied_total\{topic="requests"\} 1$/m)
    await first.close()
    const second = await start(new Registry())
    await until('its state', () => second.state().partitions.some(({ offset }) => offset === 4))
    clock.now = epoch + 2 * minute
    await until('the gap', async () => (await findings()).length === 3)
    await second.close()
    const expected = ['4 burst of 3', '5004 burst over', '60001 unapplied 1 of 1, from 1 to 1']
    assert.deepEqual(await findings(), expected)
    const replayed: string[] = []
    for await (const finding of replay({ bus, detectors: [hosted(burst)], topics: ['requests'] })) replayed.push(said(finding))
    assert.deepEqual(replayed, expected)
  })
})

describe('whoever applies records that the host fails on', () => {
  /** So many that the process's log would be full of them. */
  const records = 1_100
  /** Applies all of them, and closes. */
  const readers: Record<string, (bus: MemoryBus, log: Logger) => Promise<void>> = {
    'a running host': async (bus, log) => {
      const host = await startDetectorHost({ bus, detectors: [hosted(burst)], clock: () => epoch, registry: new Registry(), log })
      await until('all to be passed over', () => host.state().partitions.some(({ counts }) => counts.unapplied === records))
      await host.close()
    },
    'cordon repartition': async (bus, log) => {
      const alone = { heartbeats: () => [], sleep: async () => {}, settleMs: 0, onProgress: () => {} }
      await repartition({ bus, detectors: [hosted(burst)], topic: 'requests', to: 2, clock: () => epoch, log, ...alone })
    },
  }
  for (const [who, apply] of Object.entries(readers)) {
    it(`${who} logs the first ten, and every thousandth`, async (t) => {
      breakHost(t, () => true)
      const bus = new MemoryBus(new MemoryLog(topics))
      await bus.publish(Array.from({ length: records }, (_, n) => encode('requests', observation('request', n, epoch + n))))
      const lines: { msg: string; seen: number }[] = []
      await apply(bus, pino({ level: 'error' }, { write: (line) => void lines.push(JSON.parse(line)) }))
      assert.deepEqual(
        lines.map(({ seen }) => seen),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1_000],
      )
      for (const { msg } of lines) assert.match(msg, /^the detector host failed on a record and passed over it/)
    })
  }
})
