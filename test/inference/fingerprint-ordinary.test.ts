import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { logNormal, mostOrdinary, oddness } from '../../inference/fingerprint/ordinary.ts'
import { seeded } from '../attacks/random.ts'

const random = seeded(5)
const lengths = Array.from({ length: 2_000 }, () => 4 * Math.exp(0.2 * random.normal()))
const sums = Array.from({ length: 2_000 }, () => -1.5 * Math.log(1 - random.next()))

function leftOut(sample: readonly number[], most: number, tail: Parameters<typeof mostOrdinary>[2]): number[] {
  const limit = mostOrdinary(Float64Array.from(sample), most, tail)
  return sample.filter((value) => value > limit)
}

describe('what an attacker brought to what a profile is learned from', () => {
  for (const [what, sample, tail] of [
    ['lengths', lengths, logNormal],
    ['oddness', sums, oddness],
  ] as const) {
    test(`nothing is left out of ordinary ${what}, however much is suspect`, () => {
      assert.deepEqual(leftOut(sample, 0.3, tail), [])
    })

    test(`${what} that lie apart are left out to the last one, and few others with them`, () => {
      const brought = Array.from({ length: 200 }, () => 20 + random.next())
      const out = leftOut([...sample, ...brought], 0.12, tail)
      assert.ok(out.filter((value) => value >= 20).length === 200 && out.length <= 220, `${out.length} are left out`)
    })

    test(`never more ${what} are left out than are suspect`, () => {
      const brought = Array.from({ length: 1_000 }, () => 20 + random.next())
      assert.ok(leftOut([...sample, ...brought], 0.1, tail).length <= 300)
    })
  }
})
