import assert from 'node:assert/strict'
import { test } from 'node:test'
import { periodicity } from '../../../detectors/statistics/periodicity.ts'
import { seeded } from '../../attacks/random.ts'

/** Times with these gaps between them, from 0 on. */
function beats(gaps: readonly number[]): number[] {
  const times = [0]
  for (const gap of gaps) times.push((times.at(-1) ?? 0) + gap)
  return times
}

test('an exact beat of seven gaps: ln(1/chance) for each but the median, less the search over tolerances', () => {
  const found = periodicity(beats([10, 10, 10, 10, 10, 10, 10]))
  // Chance of a gap within ±3 % of 1, 2 or 3 periods is at most 0.0366: six gaps carry 6·3.308 = 19.85 nats, five tolerances cost ln 5 = 1.61.
  assert.equal(found?.period, 10)
  assert.equal(found?.jitter, 0)
  assert.equal(found?.fit, 1)
  assert.ok(Math.abs((found?.score ?? 0) - 18.24) < 0.01, `score ${found?.score}`)
})

test('fewer than six gaps say nothing', () => assert.equal(periodicity(beats([10, 10, 10, 10, 10])), null))

test('simultaneous events say nothing', () => assert.equal(periodicity([5, 5, 5, 5, 5, 5, 5, 5]), null))

test('a missed beat doubles a gap and still fits', () => {
  const found = periodicity(beats([10, 20, 10, 10, 10, 20, 10, 10]))
  assert.equal(found?.fit, 1)
  assert.equal(found?.period, 10)
})

for (const { jitter, missed, by } of [
  { jitter: 0.05, missed: 0, by: 9 },
  { jitter: 0.2, missed: 0.1, by: 20 },
  { jitter: 0.4, missed: 0, by: 24 },
])
  test(`jitter ±${100 * jitter} %, ${100 * missed} % missed: 10 nats by beat ${by} in nine of ten runs`, () => {
    let found = 0
    for (let seed = 0; seed < 40; seed++) {
      const random = seeded(seed)
      const gap = (): number => 1 + jitter * (2 * random.next() - 1) + (random.next() < missed ? gap() : 0)
      const times = beats(Array.from({ length: by - 1 }, gap))
      for (let n = 8; n <= by; n++)
        if ((periodicity(times.slice(0, n))?.score ?? 0) >= 10) {
          found++
          break
        }
    }
    assert.ok(found >= 36, `${found} of 40`)
  })

test('Poisson arrivals stay below 10 nats over 120 events on 300 seeds', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seeded(seed)
    const times = beats(Array.from({ length: 120 }, () => -Math.log(1 - random.next())))
    for (let n = 32; n <= times.length; n += 4) assert.ok((periodicity(times.slice(n - 32, n))?.score ?? 0) < 10, `seed ${seed}`)
  }
})
