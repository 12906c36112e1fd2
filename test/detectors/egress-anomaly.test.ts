import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, constantFrom, integer, ipV4, oneof, option, property, record } from 'fast-check'
import type { FindingDraft } from '../../detectors/contract.ts'
import { capacity } from '../../detectors/egress-anomaly/destinations.ts'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import type { State } from '../../detectors/egress-anomaly/state.ts'
import type { DataOf } from '../../schemas/index.ts'
import { Finding } from '../../schemas/index.ts'
import { beacon, type EgressAttack, throughKnown, uploads } from '../attacks/egress-exfiltration.ts'
import { seeded } from '../attacks/random.ts'
import { drawTraits, flowTo, type TimedFlow, type WorkloadTraits, workloadFlows } from '../benign/egress-workload.ts'
import { epoch, observation } from '../contracts/observations.ts'

const minute = 60_000
const megabyte = 1 << 20

const serving: WorkloadTraits = {
  workload: 'serve-1',
  pool: 'gpu-b',
  clients: 'balanced',
  rate: 1,
  answer: 2_000,
  swing: 2,
  churnHours: 0,
  backupHours: 0,
}

/** Feeds flows to one workload's state; counts them. */
class Bench {
  readonly logic
  state: State
  seen = 0
  constructor(parameters: object = {}) {
    this.logic = egressAnomaly.start(egressAnomaly.params.parse(parameters))
    this.state = this.logic.initial(epoch)
  }
  feed(at: number, data: DataOf<'flow'>): readonly FindingDraft[] {
    const step = this.logic.onEvent(this.state, observation('flow', this.seen++, at, data))
    if (step?.state) this.state = step.state
    return step?.findings ?? []
  }
  /** An ordinary life of so many minutes. */
  ordinary(minutes: number, seed: number, traits = serving): FindingDraft[] {
    const findings: FindingDraft[] = []
    for (const { at, data } of workloadFlows(traits, seeded(seed), epoch)) {
      if (at >= epoch + minutes * minute) break
      findings.push(...this.feed(at, data))
    }
    return findings
  }
}

function attack(bench: Bench, kind: EgressAttack, start: number, most: number, seed = 7): { first: number; findings: FindingDraft[] } {
  const findings: FindingDraft[] = []
  let [sent, first] = [0, 0]
  for (const { at, data } of kind.flows(serving, seeded(seed), start)) {
    if (++sent > most) break
    findings.push(...bench.feed(at, data))
    if (first === 0 && findings.length > 0) first = sent
  }
  return { first, findings }
}

const named = (name: string) => {
  const found = uploads.find((u) => u.name === name)
  if (found === undefined) throw new Error(`no attack named ${name}`)
  return found
}

test('two minutes of baseline, then 200 MB to a new destination: critical at that very flow', () => {
  const bench = new Bench()
  assert.deepEqual(bench.ordinary(2, 1), [])
  const { first, findings } = attack(bench, named('one flow of 200 MB'), epoch + 2 * minute, 1)
  assert.equal(first, 1)
  const [finding] = findings
  assert.equal(finding?.severity, 'critical')
  assert.equal(finding?.workload, 'serve-1')
  assert.equal(finding?.pool, 'gpu-b')
  assert.deepEqual(finding?.threats, ['AML.T0025'])
  assert.equal(finding?.evidence['reason'], 'upload')
  assert.equal(finding?.evidence['ordinaryBytes'], megabyte)
})

for (const { name, by } of [
  { name: 'one flow of 5 MB', by: 1 },
  { name: '1 MB chunks every 2 s', by: 3 },
  // 1 MiB is ten and a half flows of 100 kB, or 52 of 20 kB; what leaks from the sum costs a few more.
  { name: 'drip 100 kB every 10 s', by: 15 },
  { name: 'drip 20 kB every 10 s', by: 75 },
  { name: '500 kB each to new destinations', by: 14 },
  { name: '100 kB over 64 destinations', by: 60 },
  { name: '50 MB to a client port', by: 1 },
])
  test(`${name}: seen by flow ${by}`, () => {
    const bench = new Bench()
    bench.ordinary(2, 2)
    const { first } = attack(bench, named(name), epoch + 2 * minute, by)
    assert.ok(first > 0)
  })

test('100 MB through a destination that the workload knows', () => {
  const bench = new Bench()
  bench.ordinary(3, 3)
  const { first, findings } = attack(bench, throughKnown, epoch + 3 * minute, 10)
  assert.ok(first > 0 && first <= 3, `flow ${first}`)
  assert.equal(findings[0]?.evidence['reason'], 'volume')
})

for (const { period, jitter, missed, by } of [
  { period: 5, jitter: 0, missed: 0, by: 8 },
  { period: 5, jitter: 0.2, missed: 0, by: 13 },
  { period: 60, jitter: 0.3, missed: 0, by: 20 },
  { period: 60, jitter: 0.4, missed: 0, by: 26 },
])
  test(`beacon of ${period} s, jitter ±${100 * jitter} %: seen by beat ${by}`, () => {
    const bench = new Bench()
    bench.ordinary(5, 4)
    const { first, findings } = attack(bench, beacon({ period, jitter, missed }), epoch + 5 * minute, by)
    assert.ok(first > 0)
    assert.equal(findings[0]?.evidence['reason'], 'beacon')
    assert.ok(Math.abs(Number(findings[0]?.evidence['periodMs']) - 1_000 * period) < 300 * period)
  })

test('a timer that was there before the baseline began is no beacon', () => {
  const bench = new Bench({ warmupMs: 20_000, warmupFlows: 5 })
  bench.ordinary(1, 5)
  // A period of 64 s, first met 60 s after the workload: it may have been running all along.
  for (let beat = 0; beat < 30; beat++)
    assert.deepEqual(bench.feed(epoch + minute + beat * 64_000, flowTo(serving, { address: '198.51.100.9', port: 123 }, 48, 48)), [])
})

test('a metrics receiver that moves to another address is the same habit', () => {
  const bench = new Bench()
  let findings = 0
  for (let i = 0; i < 240; i++) {
    const address = i < 120 ? '10.0.0.5' : '10.0.0.6'
    findings += bench.feed(epoch + i * 15_000, flowTo(serving, { address, port: 9_091 }, 40_000 + (i % 7) * 500, 200)).length
  }
  assert.equal(findings, 0)
})

test('a model pull from a new mirror is no upload: its requests cost half a percent of what comes in', () => {
  const bench = new Bench()
  bench.ordinary(2, 6)
  assert.deepEqual(
    bench.feed(epoch + 2 * minute, flowTo(serving, { address: '198.51.100.7', port: 443, name: 'cdn.example' }, 50 * megabyte, 1e10)),
    [],
  )
})

test('a declared destination may get a backup that the baseline has not met; an undeclared one may not', () => {
  for (const { expected, findings } of [
    { expected: ['.bucket.example'], findings: 0 },
    { expected: [], findings: 1 },
  ]) {
    const bench = new Bench({ expected })
    bench.ordinary(2, 8)
    const backup = flowTo(serving, { address: '198.51.100.8', port: 443, name: 'nightly.bucket.example' }, 5e9, 5e5)
    assert.equal(bench.feed(epoch + 2 * minute, backup).length, findings)
  }
})

test('without a baseline only gross uploads are stated', () => {
  const to = { address: '198.51.100.1', port: 443 }
  assert.deepEqual(new Bench().feed(epoch, flowTo(serving, to, 100 * megabyte, 0)), [])
  const [finding] = new Bench().feed(epoch, flowTo(serving, to, 2_000 * megabyte, 0))
  assert.equal(finding?.evidence['reason'], 'gross')
  assert.equal(finding?.severity, 'medium')
})

test('an upload is stated once and again as it grows: few revisions of one episode', () => {
  const bench = new Bench()
  bench.ordinary(2, 9)
  const { findings } = attack(bench, named('1 MB chunks every 2 s'), epoch + 2 * minute, 200)
  // From 1 MiB to 200 MB: over the limit, then at four, sixteen, sixty-four and 256 times at most.
  assert.ok(findings.length >= 2 && findings.length <= 6, `${findings.length} statements`)
  assert.equal(new Set(findings.map((f) => f.opened)).size, 1)
  const severities = findings.map((f) => f.severity)
  assert.equal(severities.at(-1), 'critical')
})

test('what was alarmed on is not learned: the same upload after an hour opens another episode', () => {
  const bench = new Bench()
  bench.ordinary(2, 10)
  const to = { address: '203.0.113.9', port: 443 }
  const [first] = bench.feed(epoch + 2 * minute, flowTo(serving, to, 50 * megabyte, 0))
  const [second] = bench.feed(epoch + 62 * minute, flowTo(serving, to, 50 * megabyte, 0))
  assert.equal(first?.severity, second?.severity)
  assert.notEqual(first?.opened, second?.opened)
})

test('a crowd of single contacts does not flush a beacon out, and the records stay bounded', () => {
  const bench = new Bench()
  bench.ordinary(5, 11)
  let caught = false
  for (let beat = 0; beat < 20; beat++) {
    const at = epoch + 5 * minute + beat * 30_000
    const found = bench.feed(at, flowTo(serving, { address: '203.0.113.1', port: 443 }, 200, 300))
    caught ||= found.some((f) => f.evidence['reason'] === 'beacon')
    for (let i = 0; i < 50; i++) bench.feed(at + 100 + i, flowTo(serving, { address: `198.51.${beat}.${i}`, port: 443 }, 200, 300))
    assert.ok(Object.keys(bench.state.destinations).length <= capacity.known + capacity.new + capacity.clients)
  }
  assert.ok(caught)
})

test('ports are bounded, too', () => {
  const bench = new Bench()
  for (let port = 1; port < 1_000; port++) bench.feed(epoch + port, flowTo(serving, { address: '10.0.0.1', port }, 1, 1))
  assert.ok(Object.keys(bench.state.kinds).length <= capacity.kinds)
})

for (const clients of ['balanced', 'direct'] as const)
  test(`six hours of an ordinary workload raise nothing (${clients} clients, moving pods)`, () => {
    const traits: WorkloadTraits = { ...serving, clients, rate: 0.3, answer: 30_000, swing: 6, churnHours: 2 }
    assert.deepEqual(new Bench().ordinary(360, 12, traits), [])
  })

test('a snapshot in mid-stream changes nothing', () => {
  const run = (snapshotAt: number) => {
    const bench = new Bench()
    const findings: FindingDraft[] = []
    const upload = named('1 MB chunks every 2 s').flows(serving, seeded(1), epoch + 4 * minute)
    const flows: TimedFlow[] = [...upload]
    for (const flow of workloadFlows(serving, seeded(2), epoch)) {
      if (flow.at > epoch + 12 * minute) break
      flows.push(flow)
    }
    flows.sort((a, b) => a.at - b.at)
    for (const [i, { at, data }] of flows.entries()) {
      if (i === snapshotAt) bench.state = egressAnomaly.state.parse(JSON.parse(JSON.stringify(bench.state))) as State
      findings.push(...bench.feed(at, data))
    }
    return findings
  }
  const undisturbed = run(-1)
  assert.ok(undisturbed.length > 0)
  for (const at of [0, 30, 100, 400, 700]) assert.deepEqual(run(at), undisturbed)
})

test('late, duplicate and odd flows never throw, and every finding fits the contract', () => {
  const odd = record({
    minutes: integer({ min: -60, max: 2_000 }),
    address: oneof(ipV4(), constantFrom('__proto__', 'constructor', '::1')),
    name: option(constantFrom('__proto__', 'a.example', 'b.example')),
    port: integer({ min: 0, max: 65_535 }),
    bytesOut: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    bytesIn: integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  })
  const host = { id: '0'.repeat(32), revision: 0, time: epoch, detector: egressAnomaly.id, version: 1, scope: 'serve-1', decidedBy: null }
  check(
    property(array(odd, { maxLength: 80 }), (flows) => {
      const bench = new Bench({ warmupFlows: 5, warmupMs: 1_000 })
      for (const { minutes, bytesOut, bytesIn, ...destination } of flows)
        for (const f of bench.feed(epoch + minutes * minute, flowTo(serving, destination, bytesOut, bytesIn)))
          Finding.parse({ ...host, threats: egressAnomaly.threats, ...f })
      egressAnomaly.state.parse(JSON.parse(JSON.stringify(bench.state)))
    }),
    { seed: 3, numRuns: 150 },
  )
})

test('the same event twice in a row counts once', () => {
  const bench = new Bench()
  const event = observation('flow', 1, epoch, flowTo(serving, { address: '10.0.0.1', port: 443 }, 10, 10))
  bench.logic.onEvent(bench.state, event)
  bench.logic.onEvent(bench.state, event)
  assert.equal(bench.state.flows, 1)
})

test('drawn workloads differ but repeat by seed', () => {
  assert.deepEqual(drawTraits(seeded(5), 0, true), drawTraits(seeded(5), 0, true))
  assert.notDeepEqual(drawTraits(seeded(5), 0, true), drawTraits(seeded(6), 0, true))
})
