import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { admit } from '../../inference/server/admission.ts'
import { harden } from '../../inference/server/harden.ts'
import { openPseudonyms } from '../../inference/server/pseudonym.ts'
import { admits, Buckets, emptyBucket, fullBucket, take } from '../../inference/server/throttle.ts'

const quota = { requests: 4, windowMs: 1_000 }

test('a bucket of four a second: one comes back each 250 ms', () => {
  const bucket = fullBucket(quota, 0)
  assert.deepEqual(admits(bucket, 4, 0), { ok: true, remaining: 4 })
  take(bucket, 4, 0)
  assert.deepEqual(admits(bucket, 1, 0), { ok: false, retryMs: 250, never: false })
  assert.deepEqual(admits(bucket, 2, 100), { ok: false, retryMs: 400, never: false })
  assert.deepEqual(admits(bucket, 1, 250), { ok: true, remaining: 1 })
  assert.deepEqual(admits(bucket, 5, 10_000), { ok: false, retryMs: 0, never: true })
  assert.deepEqual(admits(emptyBucket(quota, 0), 1, 0), { ok: false, retryMs: 250, never: false })
})

test('a clock that is set back keeps nobody out for longer than a window', () => {
  const bucket = fullBucket(quota, 3_600_000)
  take(bucket, 4, 3_600_000)
  assert.deepEqual(admits(bucket, 1, 0), { ok: false, retryMs: 250, never: false })
  assert.deepEqual(admits(bucket, 4, 1_000), { ok: true, remaining: 4 })
})

test('of two limits, the one that a request never fits is told, for waiting would be in vain', () => {
  const narrow = { bucket: fullBucket({ requests: 2, windowMs: 1_000 }, 0), lease: 'narrow' }
  const busy = { bucket: emptyBucket({ requests: 100, windowMs: 60_000 }, 0), lease: 'busy' }
  for (const limits of [
    [narrow, busy],
    [busy, narrow],
  ]) {
    assert.throws(() => admit(limits, 3, 0), { code: 'THROTTLED', message: /send fewer in one request/ })
    assert.throws(() => admit(limits, 1, 0), { code: 'THROTTLED', message: /try again in 1 s/ })
  }
})

test('waiting as long as was said is enough, and a millisecond less is not', () => {
  const arbitrary = fc.record({ requests: fc.integer({ min: 1, max: 500 }), windowMs: fc.integer({ min: 1, max: 100_000 }) })
  fc.assert(
    fc.property(arbitrary, fc.array(fc.nat({ max: 5_000 }), { maxLength: 50 }), (quota, waits) => {
      const bucket = fullBucket(quota, 0)
      let now = 0
      for (const wait of waits) {
        now += wait
        const items = 1 + (wait % quota.requests)
        const admission = admits(bucket, items, now)
        if (admission.ok) {
          take(bucket, items, now)
          continue
        }
        assert.ok(admits(bucket, items, now + admission.retryMs).ok)
        assert.ok(!admits(bucket, items, now + admission.retryMs - 1).ok)
      }
    }),
    { seed: 1 },
  )
})

test('never more than a window holds, and what comes back in the time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 200 }), (waits) => {
      const bucket = fullBucket(quota, 0)
      let now = 0
      let taken = 0
      for (const wait of waits) {
        now += wait
        if (!admits(bucket, 1, now).ok) continue
        take(bucket, 1, now)
        taken++
      }
      return taken <= 4 + Math.floor(now / 250)
    }),
    { seed: 1 },
  )
})

test('buckets are bounded: the longest unused goes first', () => {
  const buckets = new Buckets(2, (now) => fullBucket(quota, now))
  const first = buckets.of('a', 0)
  buckets.of('b', 0)
  assert.equal(buckets.of('a', 0), first)
  buckets.of('c', 0)
  assert.equal(buckets.size, 2)
  assert.equal(buckets.of('a', 0), first, 'b was the one')
  for (let i = 0; i < 1_000; i++) buckets.of(`client-${i}`, 0)
  assert.equal(buckets.size, 2)
})

const probabilities = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 10 })
  .map((row) => Float32Array.from(row))
const topOf = (row: ArrayLike<number>) => Array.from(row).indexOf(Math.max(...Array.from(row)))

test('hardening keeps the top class', () => {
  for (const level of ['rounded', 'label-only'] as const) {
    fc.assert(
      fc.property(probabilities, fc.integer({ min: 0, max: 4 }), (row, decimals) => {
        assert.equal(topOf(harden(row, row.length, { level, decimals })), topOf(row))
      }),
      { seed: 1 },
    )
  }
})

test('rounding', () => {
  const row = Float32Array.from([0.123, 0.456, 0.421])
  assert.deepEqual(harden(row, 3, { level: 'rounded', decimals: 2 }), [0.12, 0.46, 0.42])
  assert.deepEqual(harden(row, 3, { level: 'rounded', decimals: 0 }), [0, 1, 0])
  assert.deepEqual(harden(row, 3, { level: 'label-only', decimals: 2 }), [0, 1, 0])
  // 0.46 and 0.47 both round to 0.5: the top class, which stands second, gets a step more.
  assert.deepEqual(harden(Float32Array.from([0.46, 0.47, 0.07]), 3, { level: 'rounded', decimals: 1 }), [0.5, 0.6, 0.1])
})

test('pseudonyms are equal for equal inputs, differ by key and kind, and stay so past the cache', () => {
  const [one, other] = [openPseudonyms(new Uint8Array(32)), openPseudonyms(new Uint8Array(32).fill(1))]
  const first = one('address', '10.0.0.1')
  assert.match(first, /^[0-9a-f]{32}$/)
  assert.notEqual(first, other('address', '10.0.0.1'))
  assert.notEqual(first, one('agent', '10.0.0.1'))
  for (let i = 0; i < 10_000; i++) one('address', `10.0.${i}`)
  assert.equal(one('address', '10.0.0.1'), first)
})
