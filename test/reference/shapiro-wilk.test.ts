import assert from 'node:assert/strict'
import { it } from 'node:test'
import { seeded } from '../attacks/random.ts'
import { shapiroWilk } from './shapiro-wilk.ts'

const ascending = (values: number[]) => values.sort((a, b) => a - b)

it('gives the W of the example of Shapiro and Wilk 1965, weights of eleven men: 0.79', () => {
  const pounds = [148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236]
  assert.equal(shapiroWilk(pounds).toFixed(2), '0.79')
})

it('is near 1 for normal samples and lower for skewed ones', () => {
  const random = seeded(4)
  const normal = ascending(Array.from({ length: 200 }, () => random.normal()))
  const skewed = ascending(Array.from({ length: 200 }, () => -Math.log(1 - random.next())))
  assert.ok(shapiroWilk(normal) > 0.98)
  assert.ok(shapiroWilk(skewed) < 0.9)
})

it('refuses samples too small to judge', () => assert.throws(() => shapiroWilk([1, 2, 3]), RangeError))
