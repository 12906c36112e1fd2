import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { coverage } from '../../detectors/coverage/coverage.ts'
import { listed } from '../../detectors/registry.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput } from '../../pipeline/host/partition/partition-host.ts'
import { Finding, type TelemetryEvent } from '../../schemas/index.ts'
import { epoch, observation, tick } from '../contracts/observations.ts'

const second = 1_000

function open(params: object = {}) {
  return createPartitionHost([{ definition: listed(coverage), params }], { topic: 'telemetry', partition: 0, latenessMs: 10 * second })
}

/** `revision kind from–until count`, times in seconds after the epoch, with a plus where it goes on. */
function said({ revision, evidence, window }: Finding): string {
  const at = (time: number) => (time - epoch) / second
  return `${revision} ${String(evidence['kind'])} ${at(window.from)}–${at(window.until)}${evidence['open'] === true ? '+' : ''} ${String(evidence['count'])}`
}

/** A sample of node n1 `at` seconds after the epoch; counters grow with time unless given. */
function sample(at: number, data: Partial<TelemetryEvent> = {}): HostInput {
  return observation('telemetry', at, epoch + at * second, { node: 'n1', requests: at, emitted: at, ...data })
}

/** The host says on the log that it is so late. */
function clock(at: number): HostInput {
  return tick(1_000_000 + at, epoch + at * second)
}

const examples: readonly { name: string; params?: object; given: readonly HostInput[]; expected: readonly string[] }[] = [
  {
    name: 'fifteen seconds without a sample are none too many',
    given: [sample(0), sample(15), sample(20), clock(35)],
    expected: [],
  },
  {
    name: 'silence is stated when the third sample is missing, and again with its end',
    given: [sample(0), clock(16), clock(30), sample(60), sample(65)],
    // 16 s is the first whole second after the 15.001 s asked for. Missing are those at 5, 10 and 15; in all, those up to 55.
    expected: ['0 silent 0–15.001+ 3', '1 silent 0–60 11'],
  },
  {
    name: 'an orderly stop is no silence, and what follows is another process',
    given: [
      sample(0, { dropped: 3 }),
      sample(5, { closing: true, dropped: 3 }),
      clock(600),
      sample(900, { requests: 1_000, emitted: 1_000, dropped: 4 }),
    ],
    expected: ['0 dropped 0–0+ 3', '1 dropped 0–0 3', '0 dropped 5–900+ 4'],
  },
  {
    name: 'samples of the silent time that come late make it a delay',
    // At 600 s the bus is back: the host ticks, then the node ships what it had spooled, and goes on.
    given: [sample(0), clock(600), ...Array.from({ length: 120 }, (_, n) => sample(5 + 5 * n)), sample(605), sample(610)],
    // That of 585 s is heard at 600 s, before it is overdue at 600.001 s.
    expected: ['0 silent 0–15.001+ 3', '1 delayed 0–5+ 1', '2 delayed 0–585 117'],
  },
  {
    name: 'a delay with a hole in it is both',
    given: [sample(0), clock(600), sample(5), sample(10), sample(300), sample(305), clock(601), clock(700)],
    expected: [
      '0 silent 0–15.001+ 3',
      '1 delayed 0–5+ 1',
      '2 delayed 0–10 2',
      '0 silent 10–300 57',
      // The sample at 300 s was itself overdue when it came at 600 s; that at 305 s makes that a delay, and then nothing comes.
      '0 silent 300–600+ 59',
      '1 delayed 300–305+ 1',
      '2 delayed 300–305 1',
      '0 silent 305–615.001+ 62',
    ],
  },
  {
    name: 'a node that is silent for a day is taken for gone, unless it comes back',
    given: [sample(0), clock(16), clock(99_990), sample(100_000)],
    expected: ['0 silent 0–15.001+ 3', '1 silent 0–86400 17279', '2 silent 0–100000 19999'],
  },
  {
    name: 'a process that died between two samples may have taken events with it',
    given: [
      sample(0),
      sample(5, { requests: 50, emitted: 90 }),
      sample(10, { requests: 0, emitted: 0, dropped: 2 }),
      sample(15, { requests: 1, emitted: 1, dropped: 2 }),
    ],
    expected: ['0 restarted 5–10 0', '0 dropped 5–10+ 2', '1 dropped 5–10 2'],
  },
  {
    name: 'losses are counted from sample to sample, stated at once, each minute, and with their end',
    given: [0, 0, ...Array.from({ length: 14 }, (_, n) => 3 * (n + 1)), 42, 42].map((dropped, n) => sample(5 * n, { dropped })),
    // The counter grows by 3 at 10, 15, … 75 s: 14 times. At 70 s it is a minute since 10 s.
    expected: ['0 dropped 5–10+ 3', '1 dropped 5–70+ 39', '2 dropped 5–75 42'],
  },
  {
    name: 'a node that does not know what to enforce is ungoverned since it last did',
    given: [0, 29_000, 31_000, 36_000, 1_000, 0].map((controlStaleMs, n) => sample(100 + 5 * n, { controlStaleMs })),
    // 31 s old at 110 s: since 79 s. At 120 s it is 1 s old: until 119 s.
    expected: ['0 ungoverned 79–110+ 1', '1 ungoverned 79–119 2'],
  },
  {
    name: 'a sample that came out of order changes nothing',
    given: [sample(10, { dropped: 0 }), sample(5, { dropped: 0 }), sample(15)],
    expected: [],
  },
]

describe('coverage', () => {
  for (const { name, params, given, expected } of examples) {
    it(name, () => {
      const host = open(params)
      const findings = given.flatMap((event, offset) => host.apply(event, offset)).filter(({ detector }) => detector === 'coverage')
      assert.deepEqual(findings.map(said), expected)
      for (const finding of findings) {
        Finding.parse(finding)
        assert.deepEqual([finding.confidence, finding.principals, finding.pool, finding.model, finding.threats], [0, [], null, null, []])
        assert.equal(finding.evidence['node'], 'n1')
      }
    })
  }

  it('what one sample opens about different things is told apart', () => {
    const host = open()
    const given = [sample(0), sample(5, { dropped: 1, controlStaleMs: 60_000 }), clock(30)]
    const findings = given.flatMap((event, offset) => host.apply(event, offset))
    const ids = new Map(findings.map(({ id, evidence }) => [id, evidence['kind']]))
    assert.deepEqual([...ids.values()].sort(), ['dropped', 'silent', 'ungoverned'])
  })

  it('of whatever happens to a node, every hole is stated with its bounds, and nothing that is none', () => {
    const totals = { holes: 0, delays: 0 }
    fc.assert(
      fc.property(story, (steps) => {
        const { log, holes, late } = play(steps)
        const host = open()
        const newest = new Map<string, Finding>()
        for (const [offset, event] of log.entries()) {
          for (const finding of host.apply(event, offset)) if (finding.scope === 'n1') newest.set(finding.id, finding)
        }
        const ended = [...newest.values()]
        assert.deepEqual(ended.filter(({ evidence }) => evidence['open'] === true).map(said), [])
        const windows = (kind: string) =>
          ended.filter(({ evidence }) => evidence['kind'] === kind).map(({ window }) => [window.from, window.until])
        assert.deepEqual(
          windows('silent').sort(([a = 0], [b = 0]) => a - b),
          holes,
        )
        const delays = windows('delayed')
        for (const at of late)
          assert.ok(
            delays.some(([from = 0, until = 0]) => from < at && at <= until),
            `the sample of ${at - epoch} was late`,
          )
        if (late.length === 0) assert.deepEqual(delays, [])
        totals.holes += holes.length
        totals.delays += delays.length
      }),
      { numRuns: 300, seed: 4 },
    )
    assert.ok(totals.holes > 300 && totals.delays > 100, JSON.stringify(totals))
  })
})

interface Step {
  readonly gapMs: number
  readonly closes: boolean
  /** The bus is away from this sample on, for so many of them; they come together when it is back. */
  readonly awayFor: number
}

const story: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    gapMs: fc.oneof({ weight: 6, arbitrary: fc.constant(5_000) }, { weight: 1, arbitrary: fc.integer({ min: 15_001, max: 400_000 }) }),
    closes: fc.nat({ max: 9 }).map((n) => n === 0),
    awayFor: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 4, max: 12 }) }),
  }),
  { minLength: 5, maxLength: 40 },
)

/**
 * The log of the steps, with a second node that sends all the time, and by hand: between which samples there is a hole, and
 * which samples came when they were overdue though there was none before them.
 */
function play(steps: readonly Step[]): { log: HostInput[]; holes: [number, number][]; late: number[] } {
  const log: HostInput[] = []
  const holes: [number, number][] = []
  const late: number[] = []
  let now = epoch
  let n = 0
  let last: { at: number; closing: boolean } | null = null
  const held: { at: number; closing: boolean }[] = []
  let away = 0
  let watermark = epoch
  const pass = (until: number) => {
    for (; now < until; now = Math.min(until, now + 1_000)) log.push(observation('telemetry', n++, now, { node: 'n2', emitted: n }))
    watermark = Math.max(watermark, log.at(-1)?.time ?? epoch)
  }
  const deliver = ({ at, closing }: { at: number; closing: boolean }) => {
    if (last !== null && !last.closing && at - last.at > 15_000) holes.push([last.at, at])
    if (last !== null && !last.closing && at - last.at <= 15_000 && watermark > last.at + 15_000) late.push(at)
    last = { at, closing }
    watermark = Math.max(watermark, at)
    log.push(observation('telemetry', n++, at, { node: 'n1', emitted: n, closing }))
  }
  const all = [...steps, ...Array.from({ length: 20 }, () => ({ gapMs: 5_000, closes: false, awayFor: 0 }))]
  let at = epoch
  for (const { gapMs, closes, awayFor } of all) {
    at += gapMs
    pass(at)
    if (away === 0) away = awayFor
    held.push({ at, closing: closes })
    if (away > 0) away -= 1
    if (away === 0) for (const one of held.splice(0)) deliver(one)
  }
  return { log, holes, late }
}
