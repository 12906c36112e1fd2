import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput, PartitionHostOptions } from '../../pipeline/host/partition/partition-host.ts'
import type { Finding } from '../../schemas/index.ts'
import { snapshotLines } from '../contracts/detector.ts'
import { epoch, idOf, observation, tick } from '../contracts/observations.ts'
import { brittle, burst, hosted, metronome, parrot } from './host-toys.ts'

const second = 1_000
const minute = 60_000

function open(detectors: readonly HostedDetector[], options: Partial<PartitionHostOptions> = {}) {
  return createPartitionHost(detectors, { topic: 'requests', partition: 2, ...options })
}

/** A request of `principal`, `at` milliseconds after the epoch. */
function request(n: number, at: number, principal = 'alice', items = 1): HostInput {
  return observation('request', n, epoch + at, { principal, items })
}

function flow(n: number, at: number, workload: string): HostInput {
  return observation('flow', n, epoch + at, { workload })
}

/** `time detector scope: title`, with the time in milliseconds after the epoch. */
function said(finding: Finding): string {
  const note = finding.detector === 'blindness' ? `${String(finding.evidence.count)} of ${String(finding.evidence.total)}` : finding.title
  return `${finding.time - epoch} ${finding.detector} ${finding.scope}: ${note}`
}

interface Example {
  readonly name: string
  readonly detectors: readonly HostedDetector[]
  readonly options?: Partial<PartitionHostOptions>
  readonly given: readonly HostInput[]
  readonly expected: readonly string[]
}

const examples: readonly Example[] = [
  {
    name: 'routes by kind and by scope',
    detectors: [hosted(burst)],
    given: [request(1, 0), request(2, 1, 'bob'), flow(3, 2, 'x'), request(4, 3), request(5, 4, 'bob'), request(6, 5)],
    expected: ['5 burst alice: burst of 3'],
  },
  {
    name: 'fires a timer before the event that passes it, at the instant asked for',
    detectors: [hosted(burst)],
    // The third request is at 2 s, so the pause is complete at 2 + 5 = 7 s; the event at 9 s opens a new episode.
    given: [request(1, 0), request(2, second), request(3, 2 * second), request(4, 9 * second)],
    expected: ['2000 burst alice: burst of 3', '7000 burst alice: burst over'],
  },
  {
    name: 'an event at the very instant of a timer comes after it',
    detectors: [hosted(burst)],
    given: [request(1, 0), request(2, 0), request(3, 0), request(4, 5 * second)],
    expected: ['0 burst alice: burst of 3', '5000 burst alice: burst over'],
  },
  {
    name: 'fires timers in the order of time, detector and key',
    detectors: [hosted(metronome), hosted(burst, { limit: 1, quietMs: 1_000 })],
    given: [flow(1, 0, 'z'), flow(2, 0, 'b'), request(3, 0), tick(4, epoch + 2 * second)],
    expected: [
      '0 burst alice: burst of 1',
      '1000 burst alice: burst over',
      '1000 metronome b: beat 1',
      '1000 metronome digits: beat 1',
      '1000 metronome z: beat 1',
      '2000 metronome b: beat 2',
      '2000 metronome digits: beat 2',
      '2000 metronome z: beat 2',
    ],
  },
  {
    name: 'a repetition has no effect, and is not blindness',
    detectors: [hosted(burst)],
    given: [request(1, 0), request(1, 0), request(2, 1), request(2, 1), request(1, 0), request(3, 2)],
    expected: ['2 burst alice: burst of 3'],
  },
  {
    name: 'late events are given to the detector as they are, and stated once a minute with exact counts',
    detectors: [hosted(burst, { quietMs: 10 * minute })],
    options: { latenessMs: 10 * second },
    given: [request(1, 20 * second), request(2, 9 * second), request(3, 8 * second), request(4, 10 * second), tick(5, epoch + 2 * minute)],
    // 20 − 10 s: events 2 and 3 are late, event 4 just is not. The first is noted at a watermark of 20 s.
    expected: ['8000 burst alice: burst of 3', '10000 burst alice: burst of 4', '80000 blindness requests/2/late: 2 of 2'],
  },
  {
    name: 'a clock in 2099 moves nothing',
    detectors: [hosted(burst)],
    given: [request(1, 0), request(2, second), request(3, Date.UTC(2099, 0, 1) - epoch), request(4, 2 * second)],
    expected: ['1000 burst alice: burst of 3', '2000 burst alice: burst of 4'],
  },
  {
    name: 'nor does it when it comes first',
    detectors: [hosted(burst)],
    given: [request(1, Date.UTC(2099, 0, 1) - epoch), request(2, 0), request(3, 1), request(4, 2), request(5, 5_003)],
    expected: ['2 burst alice: burst of 3', '5002 burst alice: burst over'],
  },
  {
    name: 'three events in a row that agree on a far future are believed',
    detectors: [hosted(burst, { limit: 2 })],
    // The first two are told the old time and so look like one burst; the third moves time to what the first claimed.
    given: [request(1, 0), request(2, 5 * 60 * minute), request(3, 5 * 60 * minute + 1), request(4, 5 * 60 * minute + 2)],
    expected: [
      '0 burst alice: burst of 2',
      '0 burst alice: burst of 3',
      '5000 burst alice: burst over',
      '60000 blindness requests/2/clamped: 2 of 2',
    ],
  },
  {
    name: 'a tick may cross any gap',
    detectors: [hosted(burst, { limit: 1 })],
    given: [request(1, 0), tick(2, epoch + 5 * 60 * minute), request(3, 5 * 60 * minute + 1)],
    expected: ['0 burst alice: burst of 1', '5000 burst alice: burst over', '18000001 burst alice: burst of 1'],
  },
  {
    name: 'state is dropped, timers and all, when nothing touched it for idleMs',
    detectors: [hosted(metronome, { everyMs: 4 * second })],
    // 10 s after the only event the state goes; the beat at 12 s does not come.
    given: [request(1, 0), tick(2, epoch + minute)],
    expected: ['4000 metronome digits: beat 1', '8000 metronome digits: beat 2'],
  },
  {
    name: 'a failing detector loses the key it failed on, and the others go on',
    detectors: [hosted(brittle), hosted(burst)],
    given: [request(1, 0), request(2, 1), request(3, 2, 'bob'), request(4, 3, 'alice', 13), request(5, 4), tick(6, epoch + 2 * minute)],
    expected: [
      '0 brittle alice: seen 1',
      '1 brittle alice: seen 2',
      '2 brittle bob: seen 1',
      '3 burst alice: burst of 3',
      '4 brittle alice: seen 1',
      '4 burst alice: burst of 4',
      '5004 burst alice: burst over',
      '60003 blindness requests/2/threw: 1 of 1',
    ],
  },
  {
    name: 'an invalid finding is refused and the state stays',
    detectors: [hosted(brittle)],
    given: [request(1, 0, 'alice', 14), request(2, 1), tick(3, epoch + 2 * minute)],
    expected: ['1 brittle alice: seen 2', '60000 blindness requests/2/threw: 1 of 1'],
  },
  {
    name: 'a wake time that is no number is a failure',
    detectors: [hosted(brittle)],
    given: [request(1, 0), request(2, 1, 'alice', 15), request(3, 2), tick(4, epoch + 2 * minute)],
    expected: ['0 brittle alice: seen 1', '2 brittle alice: seen 1', '60001 blindness requests/2/threw: 1 of 1'],
  },
  {
    name: 'the least recently touched key makes room, and that is stated',
    detectors: [hosted(burst, { quietMs: 50 * second })],
    // Four keys fit. a is touched again, so e evicts b; b then evicts c and begins at 1.
    given: [
      ...['a', 'b', 'c', 'd', 'a', 'e', 'b', 'b', 'a'].map((principal, index) => request(index, index, principal)),
      tick(20, epoch + 2 * minute),
    ],
    expected: ['8 burst a: burst of 3', '50008 burst a: burst over', '60005 blindness requests/2/evicted: 2 of 2'],
  },
  {
    name: 'what an episode said already is not said again',
    detectors: [hosted(parrot)],
    given: [request(1, 0), request(2, 1), request(3, 2)],
    expected: ['0 parrot alice: polly'],
  },
  {
    name: 'a second minute of blindness is a second finding; the total goes on',
    detectors: [],
    options: { latenessMs: 0 },
    given: [request(1, 1), request(2, 0), tick(3, epoch + minute + 1), request(4, 2), request(5, 3), tick(6, epoch + 3 * minute)],
    expected: ['60001 blindness requests/2/late: 1 of 1', '120001 blindness requests/2/late: 2 of 3'],
  },
  {
    name: 'an event as old as ids that are forgotten could be a repetition, which is stated',
    detectors: [hosted(burst, { limit: 4 })],
    options: { rememberIds: 2 },
    given: [request(1, 0), request(2, 1), request(3, 2), request(1, 0), tick(4, epoch + 2 * minute)],
    expected: ['0 burst alice: burst of 4', '5002 burst alice: burst over', '60002 blindness requests/2/unverifiable: 1 of 1'],
  },
]

describe('partition host', () => {
  for (const { name, detectors, options, given, expected } of examples) {
    it(name, () => {
      const host = open(detectors, options)
      const findings = given.flatMap((event, offset) => host.apply(event, offset))
      assert.deepEqual(findings.map(said), expected)
    })
  }

  it('names a finding by detector, version, scope and opening event, and counts its revisions', () => {
    const host = open([hosted(burst)])
    const findings = [request(1, 0), request(2, 1), request(3, 2), request(4, 3)].flatMap((event, offset) => host.apply(event, offset))
    assert.deepEqual(
      findings.map(({ id, revision, decidedBy, threats }) => ({ id, revision, decidedBy, threats })),
      [
        // printf '["burst",1,"alice","019b76da-a800-7000-8000-000000000001"]' | sha256sum | cut -c-32
        { id: '33f3137787a6c32c86f362e371f01a2d', revision: 0, decidedBy: idOf(3, epoch + 2), threats: ['AML.T0040'] },
        { id: '33f3137787a6c32c86f362e371f01a2d', revision: 1, decidedBy: idOf(4, epoch + 3), threats: ['AML.T0040'] },
      ],
    )
  })

  it('ignores what it has applied already', () => {
    const host = open([hosted(burst)])
    for (const offset of [0, 1, 1, 0]) host.apply(request(offset, offset), offset)
    assert.equal(host.counts.events, 2)
    assert.equal(host.next, 2)
    host.passOver(7)
    assert.equal(host.next, 8)
  })

  it('says when it wants to be woken', () => {
    const host = open([hosted(burst)])
    assert.equal(host.nextWake, null)
    host.apply(request(1, 0), 0)
    assert.equal(host.nextWake, epoch + 5_000)
    host.tick(epoch + 5_000)
    assert.equal(host.nextWake, null)
    assert.deepEqual(host.keys(), { burst: 0 })
  })

  it('reports each failure once, with detector and key', () => {
    const faults: unknown[] = []
    const host = open([hosted(brittle)], { onFault: (...fault) => faults.push(fault.slice(0, 2)) })
    host.apply(request(1, 0, 'eve', 13), 0)
    assert.deepEqual(faults, [['brittle', 'eve']])
  })

  it('refuses two detectors of one id', () => {
    assert.throws(() => open([hosted(burst), hosted(burst)]), { code: 'HOST_INVALID' })
  })
})

describe('partition host snapshots', () => {
  const log: readonly HostInput[] = Array.from({ length: 60 }, (_, n) =>
    n % 17 === 16 ? tick(n, epoch + n * 700) : request(n, n * 600 - (n % 5) * 900, `p${n % 6}`, n % 11 === 0 ? 13 : 1),
  )
  const detectors = [hosted(burst, { limit: 2 }), hosted(metronome), hosted(brittle)]
  const options = { latenessMs: 2_000, rememberIds: 16 }

  it('go on where they stand, whatever happens while they are read', async () => {
    const undisturbed = open(detectors, options)
    const expected = log.flatMap((event, offset) => undisturbed.apply(event, offset))
    assert.ok(expected.length > 50, `${expected.length} findings are too few to show anything`)
    for (let at = 0; at <= log.length; at++) {
      const first = open(detectors, options)
      const findings = log.slice(0, at).flatMap((event, offset) => first.apply(event, offset))
      const whole = snapshotLines(first)
      const cut = first.cut()
      const lines: string[] = []
      // Some lines between any two events: entries change, go or come before, while and after they are read.
      log.slice(at).forEach((event, index) => {
        for (let reads = 0; reads < (index * 5) % 7; reads++) lines.push(...(cut.read(0)?.trimEnd().split('\n') ?? []))
        first.apply(event, at + index)
      })
      for (let text = cut.read(0); text !== null; text = cut.read(0)) lines.push(text.trimEnd())
      assert.deepEqual(lines.toSorted(), whole.toSorted(), `cut at ${at}`)
      const second = open(detectors, options)
      await second.restore([lines])
      findings.push(...log.slice(at).flatMap((event, index) => second.apply(event, at + index)))
      assert.deepEqual(findings, expected, `snapshot at ${at}`)
      assert.deepEqual(snapshotLines(second), snapshotLines(undisturbed))
    }
  })

  it('have every key, whichever is touched or dropped when they get to it', () => {
    const keys = Array.from({ length: 10 }, (_, n) => `p${n}`)
    for (let reads = 0; reads < 12; reads++) {
      for (const touched of keys) {
        const host = open([hosted({ ...burst, maxKeys: 10 })])
        keys.forEach((key, offset) => host.apply(request(offset, 0, key), offset))
        const whole = snapshotLines(host)
        const cut = host.cut()
        let text = ''
        for (let n = 0; n < reads; n++) text += cut.read(0) ?? ''
        host.apply(request(10, 1, touched), 10)
        // Evicts the one that was touched least recently.
        host.apply(request(11, 1, 'p10'), 11)
        for (let more = cut.read(0); more !== null; more = cut.read(0)) text += more
        assert.deepEqual(text.trimEnd().split('\n').sort(), whole.toSorted(), `${touched} after ${reads} lines`)
      }
    }
  })

  it('end where another begins', () => {
    const host = open(detectors, options)
    log.slice(0, 20).forEach((event, offset) => host.apply(event, offset))
    const first = host.cut()
    first.read(0)
    const second = host.cut()
    log.slice(20).forEach((event, offset) => host.apply(event, 20 + offset))
    assert.equal(first.read(1), null)
    assert.equal(second.offset, 20)
    assert.ok(second.read(1)?.includes('"next":20'))
  })

  const written = open(detectors, options)
  log.forEach((event, offset) => written.apply(event, offset))
  const whole = snapshotLines(written)
  const head = JSON.parse(whole[0] ?? '')
  const beheaded = (changes: object) => [JSON.stringify({ ...head, ...changes }), ...whole.slice(1)]
  const refused: readonly {
    name: string
    lines: readonly string[]
    code: string
    detectors?: readonly HostedDetector[]
    latenessMs?: number
  }[] = [
    { name: 'of another format', lines: beheaded({ format: 1 }), code: 'SNAPSHOT_MISMATCH' },
    { name: 'of another partition', lines: beheaded({ partition: 0 }), code: 'SNAPSHOT_MISMATCH' },
    { name: 'of other detectors', lines: whole, code: 'SNAPSHOT_MISMATCH', detectors: detectors.slice(1) },
    { name: 'of other parameters', lines: whole, code: 'SNAPSHOT_MISMATCH', detectors: [hosted(burst), ...detectors.slice(1)] },
    {
      name: 'of another form of state',
      lines: whole,
      code: 'SNAPSHOT_MISMATCH',
      detectors: [hosted({ ...burst, stateVersion: 2 }, { limit: 2 }), ...detectors.slice(1)],
    },
    { name: 'of other limits', lines: whole, code: 'SNAPSHOT_MISMATCH', latenessMs: 3_000 },
    { name: 'that is no snapshot', lines: ['"nonsense"'], code: 'SNAPSHOT_CORRUPT' },
    { name: 'that is no JSON', lines: ['{'], code: 'SNAPSHOT_CORRUPT' },
    { name: 'that is empty', lines: [], code: 'SNAPSHOT_CORRUPT' },
    { name: 'with a missing field', lines: beheaded({ watermark: undefined }), code: 'SNAPSHOT_CORRUPT' },
    {
      name: 'with a state that its detector would not have written',
      lines: [...whole, JSON.stringify({ ...JSON.parse(whole.at(-1) ?? ''), state: { seen: 'many' } })],
      code: 'SNAPSHOT_CORRUPT',
    },
  ]
  for (const { name, lines, code, ...other } of refused) {
    it(`refuse one ${name}`, async () => {
      const host = open(other.detectors ?? detectors, { ...options, latenessMs: other.latenessMs ?? options.latenessMs })
      await assert.rejects(host.restore([lines]), { code })
    })
  }
})
