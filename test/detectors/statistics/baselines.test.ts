import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raise } from '../../../detectors/statistics/ceiling.ts'
import { pour } from '../../../detectors/statistics/leaky-sum.ts'
import { learn, robustScale } from '../../../detectors/statistics/robust-scale.ts'
import { seeded } from '../../attacks/random.ts'

const hour = 3_600_000

test('a robust scale finds location and scale of a Gaussian', () => {
  const random = seeded(1)
  const r = robustScale(1)
  for (let i = 0; i < 2_000; i++) learn(r, 7 + 0.5 * random.normal(), 0.05)
  assert.ok(Math.abs(r.location - 7) < 0.1, `location ${r.location}`)
  assert.ok(Math.abs(r.scale - 0.5) < 0.1, `scale ${r.scale}`)
})

test('one absurd value moves the location by at most three scales times the rate', () => {
  const r = { n: 1_000, location: 7, scale: 0.5 }
  learn(r, 1e9, 0.05)
  // 7 + 0.01 · 3 · 0.5
  assert.equal(r.location, 7.015)
})

for (const { name, from, x, hours, growth, free, to } of [
  { name: 'unsettled, it takes anything', from: 10, x: 1_000, hours: 0, growth: Number.POSITIVE_INFINITY, free: 0, to: 1_000 },
  { name: 'settled, it grows by half in an hour', from: 10, x: 1_000, hours: 1, growth: 1.5, free: 0, to: 15 },
  { name: 'a long pause does not save up growth', from: 10, x: 1_000, hours: 100, growth: 1.5, free: 0, to: 15 },
  { name: 'at once, it does not grow', from: 10, x: 1_000, hours: 0, growth: 1.5, free: 0, to: 10 },
  { name: 'what is too small to matter is free', from: 10, x: 1_000, hours: 0, growth: 1.5, free: 40, to: 40 },
  { name: 'it never falls', from: 10, x: 3, hours: 1, growth: 1.5, free: 0, to: 10 },
])
  test(`ceiling: ${name}`, () => {
    const ceiling = { value: from, at: 0 }
    raise(ceiling, x, hours * hour, growth, free)
    assert.equal(ceiling.value, to)
  })

test('a leaky sum halves in tau · ln 2, and time never runs backwards', () => {
  const sum = { value: 0, at: 0 }
  pour(sum, 100, 0, 1_000)
  assert.ok(Math.abs(pour(sum, 0, 1_000 * Math.LN2, 1_000) - 50) < 1e-9)
  assert.ok(Math.abs(pour(sum, 1, 0, 1_000) - 51) < 1e-9)
})
