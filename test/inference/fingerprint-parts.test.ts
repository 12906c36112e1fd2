import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hadamard, hadamardAt } from '../../inference/fingerprint/hadamard.ts'
import { Projection } from '../../inference/fingerprint/projection.ts'
import { seeded } from '../attacks/random.ts'

const random = seeded(3)
const normals = (length: number) => Float64Array.from({ length }, () => random.normal())

/** Stage by stage, in the order of additions that every fingerprint was ever made with. */
function stages(x: Float64Array): Float64Array {
  const out = x.slice()
  for (let half = 1; half < out.length; half *= 2)
    for (let i = 0; i < out.length; i++) {
      if ((i & half) !== 0) continue
      const [a = 0, b = 0] = [out[i], out[i + half]]
      out[i] = a + b
      out[i + half] = a - b
    }
  return out
}

for (const length of [8, 16, 64, 128, 1_024, 4_096]) {
  test(`the transform of ${length} values, whole or in part, is that of one stage after the other, to the bit`, () => {
    const x = normals(length)
    const expected = stages(x)
    const whole = x.slice()
    hadamard(whole)
    assert.deepEqual(whole, expected)
    const rows = Int32Array.from({ length: 32 }, () => random.below(length))
    const out = new Float64Array(rows.length)
    hadamardAt(x.slice(), rows, out)
    assert.deepEqual(
      out,
      Float64Array.from(rows, (row) => expected[row] ?? Number.NaN),
    )
  })
}

for (const count of [1, 8, 20, 32]) {
  test(`${count} rows at once have the sums of one row at a time, to the bit`, () => {
    const width = 97
    const [rows, x, start] = [normals(count * width), normals(width), normals(count)]
    const row = (r: number, begin: number) => {
      let sum = begin
      for (let i = 0; i < width; i++) sum += (rows[r * width + i] ?? 0) * (x[i] ?? 0)
      return sum
    }
    const out = new Float64Array(count)
    new Projection(rows, width).apply(x, out)
    assert.deepEqual(
      out,
      out.map((_, r) => row(r, 0)),
    )
    new Projection(rows, width, start).apply(x, out)
    assert.deepEqual(
      out,
      out.map((_, r) => row(r, start[r] ?? 0)),
    )
  })
}
