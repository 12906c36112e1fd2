import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hadamard, hadamardAt } from '../../inference/fingerprint/hadamard.ts'
import { nearestReference } from '../../inference/fingerprint/nearest-reference.ts'
import { decodeProfile } from '../../inference/fingerprint/profile.ts'
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

for (const principal of [4, 12, 32]) {
  test(`of classes of any size the nearest in ${principal} coordinates is that of all, to the bit`, () => {
    const path = new URL('../../inference/models/digits/2/profile.bin', import.meta.url)
    const digits = decodeProfile(readFileSync(path))
    const classes = digits.classes.map((each) => ({ ...each, mean: each.mean.subarray(0, principal) }))
    const classStart = Int32Array.of(0, 0, 1, 4, 40, 41, 90, 200, 300, 301, 500)
    const profile = { ...digits, principal, classes, classStart, referenceResidual: digits.referenceResidual.subarray(0, 500) }
    const valueAt = (r: number, i: number) => Math.fround((profile.references[r * principal + i] ?? 0) * profile.referenceScale)
    const squared = (x: Float64Array, r: number) => {
      let sum = (profile.referenceResidual[r] ?? 0) ** 2
      for (let i = 0; i < principal; i += 4) {
        const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((j) => ((x[i + j] ?? 0) - valueAt(r, i + j)) ** 2)
        sum += a + b + c + d
      }
      return sum
    }
    const nearest = nearestReference(profile)
    for (let n = 0; n < 200; n++) {
      // Anywhere, or close to the one and then the other of a pair.
      const x = normals(principal).map((value, i) => (n % 2 === 0 ? value : valueAt(n, i) + value / 50))
      const least = Math.min(...Array.from({ length: 500 }, (_, r) => squared(x, r)))
      assert.equal(nearest(x, 1.5), Math.sqrt(least + 1.5 * 1.5))
    }
    assert.equal(nearestReference({ ...profile, classStart: new Int32Array(11) })(normals(principal), 1), 0)
  })
}
