import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { encode } from '../../bus/codec.ts'
import { readInput } from '../../pipeline/host/input.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput } from '../../pipeline/host/partition/partition-host.ts'
import { judgeTime } from '../../pipeline/host/partition/sender-clock.ts'
import { type EventOf, type Finding, sentHeader } from '../../schemas/index.ts'
import { epoch, observation, tick } from '../contracts/observations.ts'
import { brittle, burst, hosted } from './host-toys.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

describe("a sender's clock", () => {
  /** Milliseconds; null is a sender that does not say what its clock shows. */
  const rows: readonly [what: string, claimed: number, appendedAt: number, sentAt: number | null, time: number, skew: number | null][] = [
    ['is right', 990, 1_000, 995, 990, null],
    ['is ahead, but within the bound', 6_990, 2_000, 7_000, 6_990, null],
    ['is ahead beyond the bound: what it said 11 ms before is of 11 ms before', 6_990, 2_000, 7_001, 1_989, 5_001],
    ['is an hour ahead, and the event lay in the spool for a minute', hour, 2 * minute, hour + minute, minute, hour - minute],
    ['is behind, or only slow to ship: 30 s', 100_000, 130_000, 100_000, 100_000, null],
    ['is behind by more than shipping takes', 100_000, 130_001, 100_000, 130_001, -30_001],
    ['is right now, and was not when it told the time of the event', 10_000, 2_000, 2_000, 2_000, 8_000],
    ['jumped between the event and the shipping of it', 20_000, 2_000, 10_000, 2_000, 8_000],
    ['says that it was before 1970', 10_000, 12_000, 80_000, 0, 68_000],
    ['is not known, and the event is late', 1_000, 900_000, null, 1_000, null],
    ['is not known, and the event is ahead within the bound', 7_000, 2_000, null, 7_000, null],
    ['is not known, and the event is of a time that has not come', 7_001, 2_000, null, 2_000, 5_001],
    ['is not known, since the log carries the time that it claims', 7_001, 7_001, null, 7_001, null],
    ['is that by which the log goes, whatever it says', 7_001, 7_001, 900_000, 7_001, null],
  ]
  for (const [what, claimed, appendedAt, sentAt, time, skewMs] of rows) {
    it(what, () => assert.deepEqual(judgeTime(claimed, { appendedAt, sentAt }, 5_000), { time, skewMs, vouched: claimed !== appendedAt }))
  }

  it('is taken as it is without a stamp', () => assert.deepEqual(judgeTime(7, undefined, 0), { time: 7, skewMs: null, vouched: false }))

  it('never moves an event beyond the time of the log and the bound', () => {
    const at = fc.integer({ min: 1, max: 1e7 })
    const sent = fc.option(at)
    fc.assert(
      fc.property(at, at, sent, fc.nat({ max: 1e5 }), (claimed, appendedAt, sentAt, bound) => {
        fc.pre(claimed !== appendedAt)
        const { time } = judgeTime(claimed, { appendedAt, sentAt }, bound)
        assert.ok(time >= 0 && time <= appendedAt + bound)
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })

  it('is read from the record', () => {
    const outgoing = encode('requests', observation('request', 1, epoch))
    const read = (headers: Record<string, string>) =>
      readInput({ ...outgoing, headers: { ...outgoing.headers, ...headers }, partition: 0, offset: 0, timestamp: epoch + 7 }).stamp
    assert.deepEqual(read({ [sentHeader]: String(epoch + 5) }), { appendedAt: epoch + 7, sentAt: epoch + 5 })
    for (const nonsense of ['', '-1', '1e3', 'soon', '9999999999999999']) {
      assert.deepEqual(read({ [sentHeader]: nonsense }), { appendedAt: epoch + 7, sentAt: null }, nonsense)
    }
    assert.deepEqual(read({}), { appendedAt: epoch + 7, sentAt: null })
  })
})

const detectors = [hosted({ ...burst, maxKeys: 100 }, { limit: 2 })]
const partition = 1

function run(log: readonly HostInput[]): { findings: Finding[]; gaps: Finding[] } {
  const host = createPartitionHost(detectors, { topic: 'requests', partition, partitions: 4, latenessMs: 10 * second })
  const findings: Finding[] = []
  for (const [offset, event] of log.entries()) {
    findings.push(...host.apply(event, offset))
    // Through a snapshot now and then would be the same: nothing of a clock is remembered.
  }
  return {
    findings: findings.filter(({ detector }) => detector === 'burst'),
    gaps: findings.filter(({ detector }) => detector === 'blindness'),
  }
}

/** When a request of a principal truly happened, how long it took to be shipped, and to be taken by the log then. */
interface Sent {
  readonly n: number
  readonly node: number
  readonly at: number
  readonly shippedAt: number
  readonly appendedAt: number
}

/** The record, as a node whose clock is off by `offset` writes it. */
function record({ n, node, at, shippedAt, appendedAt }: Sent, offset: number, says: boolean): EventOf<'request'> & HostInput {
  return {
    ...observation('request', n, epoch + at, { principal: `p${node}` }),
    time: epoch + at + offset,
    source: `node-${node}`,
    stamp: { appendedAt: epoch + appendedAt, sentAt: says ? epoch + shippedAt + offset : null },
  }
}

const nodes = 6
const offsets = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: -2 * hour, max: 2 * hour })), { minLength: nodes, maxLength: nodes })

/**
 * Traffic of all nodes in the order of the log. A node's own requests follow each other after half a second, or after 20 s: bursts
 * end after 5 s without one, so the milliseconds that shipping takes decide nothing.
 */
function traffic(latency: fc.Arbitrary<number>): fc.Arbitrary<Sent[]> {
  const gap = fc.oneof({ weight: 3, arbitrary: fc.constant(500) }, { weight: 1, arbitrary: fc.constant(20 * second) })
  const step = fc.record({ gap, latency })
  return fc.array(fc.array(step, { maxLength: 30 }), { minLength: nodes, maxLength: nodes }).map((streams) => {
    const sent: Sent[] = []
    for (const [node, steps] of streams.entries()) {
      // Nodes do not act at the same instants.
      let at = 3 * hour + 10 * second + node * 37
      for (const one of steps) {
        at += one.gap
        sent.push({ n: sent.length, node, at, shippedAt: at + 1, appendedAt: at + 2 + one.latency })
      }
    }
    return sent.sort((a, b) => a.appendedAt - b.appendedAt || a.n - b.n)
  })
}

function told(findings: readonly Finding[]): string[] {
  return findings
    .map(({ id, revision, scope, title, time, window }) => `${id}/${revision} ${scope} ${title} ${time} ${window.from} ${window.until}`)
    .sort()
}

/** What a partition that stands still is told at the end. */
const end = tick(1_000_000, epoch + 5 * hour)

function isOff(offset: number, { shippedAt, appendedAt }: Sent): boolean {
  const skew = offset + shippedAt - appendedAt
  return skew > 5_000 || skew < -30_000
}

describe('clocks that are off by up to two hours', () => {
  it('change nothing at all when shipping takes no time', () => {
    let off = 0
    fc.assert(
      fc.property(traffic(fc.constant(0)), offsets, (sent, offset) => {
        // Within the bounds a clock is trusted, and may be off by as much; here it is right or off beyond them.
        const by = offset.map((ms) => (ms > 5_001 || ms < -30_002 ? ms : 0))
        const instant = sent.map((one) => ({ ...one, shippedAt: one.at, appendedAt: one.at }))
        const skewed = run([...instant.map((one) => record(one, by[one.node] ?? 0, true)), end])
        const right = run([...instant.map((one) => record(one, 0, true)), end])
        assert.deepEqual(told(skewed.findings), told(right.findings))
        off += by.filter((ms) => ms !== 0).length
      }),
      { seed: 2, numRuns: 200 },
    )
    assert.ok(off > 300, `${off} clocks were off`)
  })

  it('leave the findings about others as they are without them, and are stated, each and exactly', () => {
    const totals = { honest: 0, skewed: 0 }
    fc.assert(
      fc.property(traffic(fc.integer({ min: 0, max: 200 })), offsets, fc.nat({ max: 63 }), (sent, offset, silent) => {
        // Without the header only a clock that is ahead can be told from lateness.
        const says = (node: number) => ((silent >> node) & 1) === 0 || (offset[node] ?? 0) === 0
        const log = sent.map((one) => record(one, offset[one.node] ?? 0, says(one.node)))
        const honest = (one: { node: number }) => offset[one.node] === 0
        const all = run([...log, end])
        const alone = run([...log.filter((_, index) => honest(sent[index] as Sent)), end])
        const ofHonest = all.findings.filter(({ scope }) => offset[Number(scope.slice(1))] === 0)
        assert.deepEqual(told(ofHonest), told(alone.findings))

        const stated = new Map<string, number>()
        let count = 0
        for (const { evidence, window } of all.gaps) {
          if (evidence['kind'] !== 'skewed') continue
          assert.deepEqual([evidence['topic'], evidence['partition'], evidence['partitions']], ['requests', partition, 4])
          count += Number(evidence['count'])
          for (const [index, source] of (evidence['sources'] as string[]).entries()) {
            const ms = (evidence['skewsMs'] as number[])[index] ?? 0
            if (Math.abs(ms) > Math.abs(stated.get(source) ?? 0)) stated.set(source, ms)
          }
          assert.ok(window.from <= window.until)
        }
        const expected = new Map<string, number>()
        let events = 0
        for (const one of sent) {
          const by = offset[one.node] ?? 0
          const claimedAhead = one.at + by - one.appendedAt
          const skew = says(one.node)
            ? isOff(by, one)
              ? by + one.shippedAt - one.appendedAt
              : null
            : claimedAhead > 5_000
              ? claimedAhead
              : null
          if (skew === null) continue
          events += 1
          const source = `node-${one.node}`
          if (Math.abs(skew) > Math.abs(expected.get(source) ?? 0)) expected.set(source, skew)
        }
        assert.equal(count, events)
        assert.deepEqual([...stated].sort(), [...expected].sort())
        totals.honest += alone.findings.length
        totals.skewed += events
      }),
      { seed: 3, numRuns: 200 },
    )
    assert.ok(totals.honest > 1_000 && totals.skewed > 1_000, JSON.stringify(totals))
  })

  it("keep a node's own events in order, and its bursts whole", () => {
    for (const offset of [hour, -hour, 2 * hour]) {
      const sent = Array.from({ length: 8 }, (_, n) => ({
        n,
        node: 0,
        at: 3 * hour + n * 500,
        shippedAt: 3 * hour + n * 500 + 1,
        appendedAt: 3 * hour + n * 500 + 3,
      }))
      const { findings } = run([...sent.map((one) => record(one, offset, true)), end])
      assert.deepEqual(
        findings.map(({ title, time }) => `${title} at ${time - epoch - 3 * hour}`),
        // Corrected times are late by the 2 ms that the log took.
        [...[2, 3, 4, 5, 6, 7, 8].map((n) => `burst of ${n} at ${(n - 1) * 500 + 2}`), 'burst over at 8502'],
      )
    }
  })

  it("of a host that ticks cannot fire others' timers either", () => {
    const sent = { n: 0, node: 0, at: 0, shippedAt: 1, appendedAt: 2 }
    const ahead: HostInput = { ...tick(9, epoch + hour), source: 'detect-1', stamp: { appendedAt: epoch + second, sentAt: null } }
    const later: HostInput = { ...record({ ...sent, n: 1, at: 2 * second, shippedAt: 2_001, appendedAt: 2_002 }, 0, true) }
    const { findings, gaps } = run([record(sent, 0, true), ahead, later, end])
    assert.deepEqual(
      findings.map(({ title }) => title),
      ['burst of 2', 'burst over'],
    )
    assert.deepEqual(
      gaps.map(({ evidence }) => [evidence['kind'], evidence['source'], evidence['skewMs'], evidence['principals']]),
      [['skewed', 'detect-1', hour - second, []]],
    )
  })
})

describe('a log that carries the times of its writers', () => {
  it('is judged as before: its times bound each other', () => {
    const stamp = (event: HostInput): HostInput => ({ ...event, stamp: { appendedAt: event.time, sentAt: null } })
    const times = fc.array(
      fc.oneof({ weight: 5, arbitrary: fc.nat({ max: 60 * minute }) }, { weight: 1, arbitrary: fc.nat({ max: 100 * hour }) }),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(times, (at) => {
        const plain = at.map((ms, n) => observation('request', n, epoch + ms, { principal: `p${n % 3}` }))
        assert.deepEqual(run(plain.map(stamp)), run(plain))
      }),
      { seed: 5, numRuns: 200 },
    )
  })
})

describe('gaps of a partition', () => {
  const step = fc.record({
    principal: fc.nat({ max: 6 }),
    gapMs: fc.nat({ max: 20_000 }),
    backMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 30_000 }) }),
    unlucky: fc.nat({ max: 9 }).map((n) => n === 0),
    again: fc.nat({ max: 9 }).map((n) => n === 0),
  })

  it('are those that there were: none missing, none made up, with exact counts, bounds and names', () => {
    const totals: Record<string, number> = {}
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const latenessMs = 10 * second
        const host = createPartitionHost(
          [hosted(brittle), hosted({ ...burst, id: 'four', maxKeys: 4, idleMs: 100 * hour }, { limit: 1_000, quietMs: 50 * hour })],
          {
            topic: 'requests',
            partition,
            partitions: 8,
            latenessMs,
          },
        )
        const findings: Finding[] = []
        const wrong: { kind: string; at: number; time: number; until: number; offset: number; principal: string }[] = []
        let offset = 0
        let now = epoch
        let top = epoch
        const held: { key: string; at: number }[] = []
        for (const [n, { principal, gapMs, backMs, unlucky, again }] of steps.entries()) {
          now += gapMs
          const time = Math.max(epoch, now - backMs)
          const event = observation('request', n, time, { principal: `p${principal}`, items: unlucky ? 13 : 1 })
          findings.push(...host.apply(event, offset))
          const name = `p${principal}`
          const note = (kind: string, from: number, until: number) =>
            wrong.push({ kind, at: top, time: from, until, offset, principal: name })
          const late = time < top - latenessMs
          top = Math.max(top, time)
          if (late) note('late', time, time)
          if (unlucky) note('threw', time, time)
          const known = held.findIndex(({ key }) => key === name)
          if (known >= 0) held.splice(known, 1)
          else if (held.length === 4) {
            const gone = held.shift()
            wrong.push({ kind: 'evicted', at: top, time: gone?.at ?? 0, until: top, offset, principal: gone?.key ?? '' })
          }
          held.push({ key: name, at: top })
          offset += 1
          if (again) findings.push(...host.apply(event, offset++))
        }
        findings.push(...host.apply(tick(999, top + hour), offset))

        const gaps = findings.filter(({ detector }) => detector === 'blindness')
        for (const gap of gaps) {
          const { kind, count, firstOffset, lastOffset, earliest, latest, principals, keys } = gap.evidence
          const mine = wrong.filter((one) => one.kind === kind && one.offset >= Number(firstOffset) && one.offset <= Number(lastOffset))
          assert.equal(count, mine.length)
          assert.deepEqual(gap.window, { from: mine[0]?.at, until: mine.at(-1)?.at })
          assert.deepEqual([earliest, latest], [Math.min(...mine.map(({ time }) => time)), Math.max(...mine.map(({ until }) => until))])
          assert.deepEqual(kind === 'evicted' ? keys : principals, [...new Set(mine.map((one) => one.principal))].sort())
          assert.deepEqual([gap.principals, gap.confidence], [[], 0])
          totals[String(kind)] = (totals[String(kind)] ?? 0) + 1
        }
        for (const kind of ['late', 'threw', 'evicted']) {
          const stated = gaps
            .filter(({ evidence }) => evidence['kind'] === kind)
            .reduce((sum, { evidence }) => sum + Number(evidence['count']), 0)
          assert.equal(stated, wrong.filter((one) => one.kind === kind).length, kind)
        }
      }),
      { seed: 7, numRuns: 300 },
    )
    assert.ok(
      ['late', 'threw', 'evicted'].every((kind) => (totals[kind] ?? 0) > 50),
      JSON.stringify(totals),
    )
  })

  it('outlive a first event that was of no time at all', () => {
    const host = createPartitionHost([hosted(brittle)], { topic: 'requests', partition })
    const unlucky = observation('request', 0, Date.UTC(2099, 0, 1), { items: 13 })
    const given = [unlucky, observation('request', 1, epoch), tick(2, epoch + hour)]
    const gaps = given.flatMap((event, offset) => host.apply(event, offset)).filter(({ detector }) => detector === 'blindness')
    assert.deepEqual(
      gaps.map(({ evidence, window }) => [evidence['kind'], evidence['count'], window]),
      [
        ['clamped', 1, { from: epoch, until: epoch }],
        ['threw', 1, { from: epoch, until: epoch }],
      ],
    )
  })

  it('name a few, and say that there are more', () => {
    const host = createPartitionHost([], { topic: 'requests', partition, latenessMs: 0 })
    const given = Array.from({ length: 41 }, (_, n) => observation('request', n, epoch + 41 - n, { principal: `p${n}` }))
    const [gap] = [...given, tick(99, epoch + hour)].flatMap((event, offset) => host.apply(event, offset))
    assert.deepEqual(
      [gap?.evidence['count'], ((gap?.evidence['principals'] ?? []) as string[]).length, gap?.evidence['morePrincipals']],
      [40, 32, true],
    )
  })
})
