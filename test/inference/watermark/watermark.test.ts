import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadMnist, pixels } from '../../../inference/datasets/mnist.ts'
import { openAnswerKey } from '../../../inference/hardening/answer-key.ts'
import { openCells } from '../../../inference/hardening/cells.ts'
import { binomialTail } from '../../../inference/watermark/binomial.ts'
import { type Bearer, openMarker } from '../../../inference/watermark/marker.ts'
import { verifyWatermark } from '../../../inference/watermark/verify.ts'
import { Student } from '../../attacks/extraction-student.ts'
import { seeded } from '../../attacks/random.ts'

const digits = loadMnist('test')
const shape = [28, 28, 1]
const secret = new Uint8Array(32).fill(3)
const marker = openMarker(secret)
const mallory: Bearer = { principal: 'mallory', model: 'digits' }
const imageOf = (index: number) => digits.images.subarray(index * pixels, (index + 1) * pixels)
const markOf = (bearer: Bearer, index: number, share: number) =>
  marker.mark(bearer, imageOf(index), shape, digits.labels[index] ?? 0, 10, share)

describe('the binomial tail', () => {
  for (const [trials, hits, rate, expected] of [
    [10, 1, 0.1, 0.6513215599],
    [10, 8, 0.5, 56 / 1024],
    [10, 5, 0.5, 638 / 1024],
    [10, 0, 0.5, 1],
    [10, 10, 1, 1],
    [10, 1, 0, 0],
    [100, 100, 1e-3, 1e-300],
    // The sum of C(1000, i)·0.02^i·0.98^(1000−i), in 64 bits; and (1 + P(X = 500,000)) / 2
    [1_000, 30, 0.02, 0.02069651867],
    [1_000_000, 500_000, 0.5, 0.5 + 0.5 * 7.978843e-4],
  ] as const) {
    it(`of ${hits} or more of ${trials} at ${rate} is ${expected}`, () => {
      const tail = binomialTail(trials, hits, rate)
      assert.ok(Math.abs(tail - expected) <= 2e-6 * expected, `${tail}`)
    })
  }
})

describe('marks', () => {
  it('are about as many as asked for, none the right answer, the same each time', () => {
    const marks = Array.from({ length: 5_000 }, (_, index) => markOf(mallory, index, 0.01))
    const count = marks.filter((mark) => mark !== null).length
    // 50 expected, standard deviation 7.
    assert.ok(count > 25 && count < 75, `${count}`)
    assert.ok(marks.every((mark, index) => mark !== digits.labels[index]))
    assert.deepEqual(
      Array.from({ length: 200 }, (_, index) => markOf(mallory, index, 0.01)),
      marks.slice(0, 200),
    )
    assert.ok(marks.every((_, index) => markOf(mallory, index, 0) === null))
  })

  it('are others for another principal, model or secret', () => {
    const marked = (one: typeof marker, bearer: Bearer) =>
      Array.from({ length: 5_000 }, (_, i) => i).filter((i) => one.mark(bearer, imageOf(i), shape, 0, 10, 0.01) !== null)
    const own = new Set(marked(marker, mallory))
    for (const others of [
      marked(marker, { ...mallory, principal: 'alice' }),
      marked(marker, { ...mallory, model: 'letters' }),
      marked(openMarker(new Uint8Array(32)), mallory),
    ]) {
      assert.ok(others.filter((index) => own.has(index)).length < 0.2 * own.size)
    }
  })

  it('stay where noise is small', () => {
    const random = seeded(1)
    const marked = Array.from({ length: 10_000 }, (_, i) => i).filter((i) => markOf(mallory, i, 0.01) !== null)
    const kept = marked.filter((index) => {
      const noisy = imageOf(index).map((value) => value + 0.005 * random.normal())
      return marker.mark(mallory, noisy, shape, digits.labels[index] ?? 0, 10, 0.01) === markOf(mallory, index, 0.01)
    })
    assert.ok(kept.length > 0.8 * marked.length, `${kept.length} of ${marked.length}`)
  })

  it('cells tell inputs apart, of few values and of many', () => {
    for (const size of [[2, 2, 1], [5], [3, 40, 40], [2_000]]) {
      const cellOf = openCells(secret, size)
      const random = seeded(2)
      const width = size.reduce((a, b) => a * b, 1)
      const cells = new Set(Array.from({ length: 50 }, () => cellOf(Float32Array.from({ length: width }, () => random.normal())).join()))
      assert.ok(cells.size > 10, `${size}: ${cells.size}`)
    }
  })
})

describe('answers under a key', () => {
  const answers = openAnswerKey(secret)
  const rows = (index: number) => Float32Array.from({ length: 10 }, (_, c) => (c === digits.labels[index] ? 0.91 : 0.01))
  const told = (index: number, share: number, noise: number) =>
    answers.disguise({ ...mallory, version: '1' }, { inputs: imageOf(index), shape, rows: rows(index), classes: 10 }, share, noise)
  const topOf = (row: Float32Array) => row.indexOf(Math.max(...row))

  it('say the wrong class as surely as the right one, with noise or without', () => {
    for (let index = 0; index < 2_000; index++) {
      const top = markOf(mallory, index, 0.01) ?? digits.labels[index]
      assert.equal(topOf(told(index, 0.01, 0)), top)
      assert.equal(topOf(told(index, 0.01, 0.1)), top)
      assert.equal(Math.max(...told(index, 0.01, 0)), Math.max(...rows(index)))
    }
  })

  it('are the same however often they are asked for', () => {
    assert.deepEqual(told(1, 0, 0.1), told(1, 0, 0.1))
    assert.notDeepEqual(told(1, 0, 0.1), rows(1))
    assert.deepEqual(told(1, 0, 0), rows(1))
  })
})

/** Half as wide and high: a small student learns it in a second. */
function shrunk(index: number): Float32Array {
  const small = new Float32Array(196)
  const image = imageOf(index)
  for (let i = 0; i < pixels; i++) {
    const at = Math.floor(i / 56) * 14 + ((i % 28) >> 1)
    small[at] = (small[at] as number) + (image[i] as number) / 4
  }
  return small
}

describe('a copy', () => {
  const count = 1_000
  const share = 0.01
  const inputs = Array.from({ length: count }, (_, index) => shrunk(index))
  const learned = (labelOf: (index: number) => number, seed: number): number[] => {
    const student = new Student(196, 32, 10, seeded(seed))
    const target = (label: number) => Float32Array.from({ length: 10 }, (_, c) => Number(c === label))
    for (let epoch = 0; epoch < 40; epoch++)
      for (const [index, input] of inputs.entries()) student.train(input, target(labelOf(index)), 0.05 * (1 - epoch / 45))
    return inputs.map((input) => {
      const row = student.predict(input)
      return row.indexOf(Math.max(...row))
    })
  }
  const verdict = (suspect: readonly number[], bearer = mallory) =>
    verifyWatermark(marker, bearer, share, { count, at: imageOf, shape, classes: 10, own: digits.labels, suspect })
  const labelOf = (index: number) => digits.labels[index] ?? 0

  it('made from marked answers is known by them, and by whose they were', () => {
    const suspect = learned((index) => markOf(mallory, index, share) ?? labelOf(index), 1)
    const { p, hits, marked } = verdict(suspect)
    assert.ok(p < 0.001, `${hits} of ${marked}: p = ${p}`)
    assert.ok(verdict(suspect, { ...mallory, principal: 'alice' }).p > 0.05)
  })

  it('made from answers without marks is not', () => {
    const suspect = learned(labelOf, 2)
    for (const principal of ['mallory', 'alice', 'bob', 'carol']) assert.ok(verdict(suspect, { ...mallory, principal }).p > 0.05)
  })
})
