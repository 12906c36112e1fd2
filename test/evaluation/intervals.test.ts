import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exactUpper, quantileOf, wilson } from './intervals.ts'

const near = (value: number, expected: number, by = 5e-4) => assert.ok(Math.abs(value - expected) < by, `${value} is not ${expected}`)

describe('intervals', () => {
  it('gives the published Wilson bounds of 81 of 263 (Newcombe 1998, table I)', () => {
    const { low, high } = wilson(81, 263)
    near(low, 0.2553)
    near(high, 0.3662)
  })

  it('gives Wilson bounds that stay within 0 and 1', () => {
    assert.deepEqual([wilson(0, 20).low, wilson(20, 20).high], [0, 1])
    near(wilson(0, 20).high, 0.1611)
    near(wilson(20, 20).low, 0.8389)
    assert.deepEqual(wilson(0, 0), { low: 0, high: 1 })
  })

  it('bounds none of n by 1 − 0.05^(1/n): three million to say one in a million', () => {
    near(exactUpper(0, 100), 1 - 0.05 ** 0.01, 1e-9)
    assert.ok(exactUpper(0, 2_995_733) <= 1e-6)
    assert.ok(exactUpper(0, 2_900_000) > 1e-6)
  })

  it('gives the exact bounds of some, by the binomial sum that they solve', () => {
    // At most 2 of 10 with probability 5 %: p = 0.5069 (Clopper–Pearson, one-sided).
    near(exactUpper(2, 10), 0.5069)
    near(exactUpper(1, 1_000), 0.004735, 1e-6)
    assert.equal(exactUpper(5, 5), 1)
  })

  it('takes quantiles over all runs, so that those without a value count as never', () => {
    assert.equal(quantileOf([3, 1, 2], 3, 0.5), 2)
    assert.equal(quantileOf([3, 1, 2], 4, 0.5), 2)
    assert.equal(quantileOf([3, 1, 2], 4, 0.95), null)
    assert.equal(quantileOf([], 4, 0.5), null)
  })
})
