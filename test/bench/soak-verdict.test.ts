import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ratioOf, type Sample, theilSen, verdictOf } from './soak-verdict.ts'

const mebibyte = 1_048_576
const rest = { tensorBytes: 4_096, spoolBytes: 0, dropped: 0 }
const flat = { before: rest, after: rest }

/** Sixty slices of ten seconds; memory goes up and down by a sawtooth of 20 MiB, as a garbage collector's does. */
function soak(change: (sample: Sample, slice: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 60 }, (_, slice) => {
    const sample: Sample = {
      minute: slice / 6,
      rssBytes: (200 + 4 * (slice % 5)) * mebibyte,
      liveBytes: 40 * mebibyte + (slice % 3) * 65_536,
      capacity: 2_000,
      cpuMicros: 400,
      p50Ms: 2,
      p99Ms: 10,
      kept: 1,
    }
    return { ...sample, ...change(sample, slice) }
  })
}

const failed = (checks: ReturnType<typeof verdictOf>) => checks.flatMap(({ ok }, index) => (ok ? [] : [index]))

test('a flat soak passes every rule', () => {
  assert.deepEqual(failed(verdictOf(soak(), flat, new Map())), [])
})

test('a sawtooth is no leak; 3 MiB a minute under it is', () => {
  const leaking = soak(({ minute, rssBytes }) => ({ rssBytes: rssBytes + 3 * minute * mebibyte }))
  assert.deepEqual(failed(verdictOf(leaking, flat, new Map())), [0])
})

test('half a mebibyte a minute that no collection takes is a leak, long before resident memory tells', () => {
  const leaking = soak(({ minute, liveBytes }) => ({ liveBytes: liveBytes + (minute * mebibyte) / 2 }))
  assert.deepEqual(failed(verdictOf(leaking, flat, new Map())), [1])
})

test('growth in the first fifth is warm-up', () => {
  const warming = soak(({ rssBytes }, slice) => (slice < 12 ? { rssBytes: rssBytes / 2 + slice * 8 * mebibyte } : {}))
  assert.deepEqual(failed(verdictOf(warming, flat, new Map())), [])
})

test('a soak of two slices proves no growth', () => {
  const [first, second] = soak()
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual(failed(verdictOf([first, { ...second, rssBytes: 2 * first.rssBytes }], flat, new Map())), [])
})

test('answers that become slower fail; one slow slice, and a machine whose speed changes all the time, do not', () => {
  // Twice to half as fast from slice to slice, and a third slower in the later ones.
  const uneven = soak((_, slice) => ({ p99Ms: 10 * 2 ** (((slice * 7) % 11) / 5 - 1) * (slice >= 44 ? 1.33 : 1) }))
  assert.deepEqual(failed(verdictOf(uneven, flat, new Map())), [])
  const slower = uneven.map((sample, slice) => ({ ...sample, p99Ms: sample.p99Ms * (slice >= 44 ? 2.5 : 1) }))
  assert.deepEqual(failed(verdictOf(slower, flat, new Map())), [3])
  assert.deepEqual(
    failed(
      verdictOf(
        soak((_, slice) => ({ p99Ms: slice >= 40 ? 13.1 : 10 })),
        flat,
        new Map(),
      ),
    ),
    [3],
  )
  assert.deepEqual(
    failed(
      verdictOf(
        soak((_, slice) => ({ p99Ms: slice === 50 ? 500 : 10 })),
        flat,
        new Map(),
      ),
    ),
    [],
  )
})

test('a machine that slows down is not the node; a node that takes more CPU time for a request is', () => {
  const machine = soak(({ capacity, p99Ms }, slice) => (slice >= 30 ? { capacity: capacity / 2, p99Ms: 2 * p99Ms } : {}))
  assert.deepEqual(failed(verdictOf(machine, flat, new Map())), [])
  const node = soak(({ capacity, p99Ms, cpuMicros }, slice) =>
    slice >= 30 ? { capacity: capacity / 2, p99Ms: 2 * p99Ms, cpuMicros: 2 * cpuMicros } : {},
  )
  assert.deepEqual(failed(verdictOf(node, flat, new Map())), [4])
})

test('tensors, a rate that was not kept, the spool, and answers that nobody expected', () => {
  assert.deepEqual(failed(verdictOf(soak(), { before: rest, after: { ...rest, tensorBytes: 4_100 } }, new Map())), [2])
  assert.deepEqual(
    failed(
      verdictOf(
        soak(() => ({ kept: 0.9 })),
        flat,
        new Map(),
      ),
    ),
    [5],
  )
  assert.deepEqual(failed(verdictOf(soak(), { before: rest, after: { ...rest, spoolBytes: 1 } }, new Map())), [6])
  assert.deepEqual(failed(verdictOf(soak(), { before: rest, after: { ...rest, dropped: 1 } }, new Map())), [6])
  assert.deepEqual(failed(verdictOf(soak(), flat, new Map([['infer 500', 1]]))), [7])
})

test('the slope of a line is the line, whatever one point says', () => {
  const points = Array.from({ length: 20 }, (_, x) => [x, x === 7 ? 900 : 2 * x + 5] as const)
  const { perMinute, low, high } = theilSen(points)
  assert.equal(perMinute, 2)
  // 190 pairs, of which 19 have the odd point: the interval is within the others'.
  assert.deepEqual([low, high], [2, 2])
})

test('a ratio is known as well as its values agree', () => {
  const even = Array.from({ length: 16 }, () => 10)
  const twice = even.map((value) => 2 * value)
  assert.deepEqual(ratioOf(even, twice), { middle: 2, low: 2, high: 2 })
  assert.deepEqual(ratioOf([10], [20]), { middle: 2, low: 0, high: Number.POSITIVE_INFINITY })
})
