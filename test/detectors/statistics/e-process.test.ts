import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bet, bettor, combined, evidence, wealth } from '../../../detectors/statistics/e-process.ts'
import { seeded } from '../../attacks/random.ts'

const bets = bettor({ cap: 30, junk: 0.01, inflation: 1 })

/** The highest evidence of a stream of p-values. */
function peak(length: number, p: (n: number) => number): number {
  const w = wealth(1)
  let most = 0
  for (let n = 0; n < length; n++) {
    bet(w, [p(n)], bets)
    most = Math.max(most, evidence(w, 0))
  }
  return most
}

test('a bet at p = 1 loses, one at p = 1e-12 wins the cap, less what junk costs', () => {
  const out = new Float64Array(2)
  bets(1, out)
  // κ = 0.2: the capped calibrator integrates to 30 · (0.2/30)^1.25 + 1 − (0.2/30)^0.25 = 0.771; with 1 % junk 0.99 · 0.771 + 0.3 = 1.063.
  assert.ok(Math.abs((out[0] ?? 0) - 0.2 / 1.0634) < 1e-3)
  bets(1e-12, out)
  assert.ok(Math.abs((out[0] ?? 0) - 30 / 1.0634) < 1e-2)
})

test('the expectation of a bet on uniform p-values is at most 1', () => {
  const out = new Float64Array(2)
  const sums = [0, 0]
  const steps = 200_000
  for (let i = 0; i < steps; i++) {
    bets((i + 0.5) / steps, out)
    for (const k of [0, 1]) sums[k] = (sums[k] ?? 0) + (out[k] ?? 0) / steps
  }
  for (const sum of sums) assert.ok(sum < 1, `${sum}`)
})

test('the stake comes in over all time and never exceeds 1: p-values that neither win nor lose keep it below', () => {
  const w = wealth(1)
  // With no bet won, evidence only falls.
  for (let n = 0; n < 1_000; n++) bet(w, [1], bets)
  assert.ok(evidence(w, 0) < 1)
})

test('uniform p-values: of 400 streams of 2,000, none reaches 1,000 and at most one in ten reaches 10', () => {
  let ten = 0
  for (let seed = 0; seed < 400; seed++) {
    const random = seeded(seed)
    const most = peak(2_000, () => 1 - random.next())
    assert.ok(most < 1_000, `seed ${seed}: ${most}`)
    if (most >= 10) ten++
  }
  assert.ok(ten <= 40, `${ten}`)
})

test('one junk value in a hundred does not add up in 20,000', () => {
  const random = seeded(9)
  assert.ok(peak(20_000, (n) => (n % 100 === 50 ? 1e-12 : 1 - random.next())) < 100)
})

for (const { every, by } of [
  { every: 1, by: 4 },
  { every: 2, by: 10 },
  { every: 10, by: 150 },
])
  test(`one value of 1e-9 in ${every}: evidence of 10⁴ by value ${by}, from the start and after 3,000 ordinary ones`, () => {
    const random = seeded(4)
    const value = (n: number) => (n % every === 0 ? 1e-9 : 1 - random.next())
    assert.ok(peak(by, value) >= 1e4, `${peak(by, value)}`)
    // The stake left after 3,000 is smaller: about three times as many are needed.
    const late = 3_000
    assert.ok(peak(late, () => 1 - random.next()) < 1e3)
    assert.ok(peak(late + 3 * by, (n) => (n < late ? 1 - random.next() : value(n))) >= 1e4)
  })

test("Fisher's combination: three of e^−2 are e^−6 · (1 + 6 + 18) when independent", () => {
  const p = Math.exp(-2)
  assert.ok(Math.abs(combined(p, p, p, 1) - Math.exp(-6) * 25) < 1e-12)
  assert.equal(combined(1, 1, 1, 0.7), 1)
  assert.ok(combined(p, p, p, 0.7) > combined(p, p, p, 1))
})
