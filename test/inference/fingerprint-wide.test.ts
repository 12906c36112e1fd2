import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeSketch, sketchDistance } from '../../detectors/statistics/sketch.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import { decodeProfile } from '../../inference/fingerprint/profile.ts'
import { blockFor, expand, reduce, reductionOf } from '../../inference/fingerprint/reduction.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { l2 } from '../attacks/oracle.ts'
import { seeded } from '../attacks/random.ts'
import { channelsFirst, wideImage, wideProfile } from './wide-images.ts'

const answer = Float32Array.of(0.99, 0.01)
const key = new Uint8Array(32).fill(5)
const photo = [224, 224, 3]
const profile = wideProfile(photo, wideImage)
const prints = openFingerprinter({ profile, key, epoch: 0 })
const estimate = (a: Fingerprint, b: Fingerprint) => sketchDistance(decodeSketch(a.sketch), decodeSketch(b.sketch)) * a.scale

/** Ways in which an image changes that L2 measures well or badly, but that every fingerprint must follow. */
const changes: Readonly<Record<string, (image: Float32Array, seed: number) => Float32Array>> = {
  'noise of σ 0.01': (image, seed) => noisy(image, 0.01, seed),
  'noise of σ 0.1': (image, seed) => noisy(image, 0.1, seed),
  'a shift by two columns': (image) => Float32Array.from(image, (_, i) => image[Math.floor(i / 672) * 672 + (((i % 672) + 6) % 672)] ?? 0),
  'more contrast': (image) => image.map((value) => Math.min(1, Math.max(0, 0.5 + 1.2 * (value - 0.5)))),
  'eight grey levels fewer': (image) => image.map((value) => Math.round(value * 32) / 32),
  'a patch': (image) => image.map((value, i) => (Math.floor(i / 672) < 60 && i % 672 < 180 ? 1 : value)),
}

function noisy(image: Float32Array, sigma: number, seed: number): Float32Array {
  const random = seeded(seed)
  return image.map((value) => value + sigma * random.normal())
}

describe('fingerprint of 224×224×3', () => {
  for (const [what, change] of Object.entries(changes)) {
    test(`estimates how far ${what} moves an image`, () => {
      const errors = Array.from({ length: 8 }, (_, i) => {
        const image = wideImage(i)
        const changed = change(image, i)
        return Math.abs(estimate(prints.fingerprint(image, answer), prints.fingerprint(changed, answer)) / l2(image, changed) - 1)
      }).sort((a, b) => a - b)
      assert.ok((errors[4] ?? 1) < 0.1, `median ${errors[4]}`)
      assert.ok((errors[7] ?? 1) < 0.3, `worst ${errors[7]}`)
    })
  }

  test('fits 512 bytes before base64, and knows ordinary images from noise', () => {
    const ordinary = prints.fingerprint(wideImage(77), answer)
    assert.ok(Buffer.from(ordinary.sketch, 'base64').length + Buffer.from(ordinary.bands, 'base64').length <= 512)
    assert.ok(ordinary.residualTail > 0.01, `${ordinary.residualTail}`)
    const random = seeded(3)
    const noise = prints.fingerprint(
      Float32Array.from({ length: 224 * 224 * 3 }, () => random.next()),
      answer,
    )
    assert.ok(noise.residualTail < 1e-6)
  })

  test('is the same with the channels first', () => {
    const small = (seed: number) => wideImage(seed, 64)
    const last = openFingerprinter({ profile: wideProfile([64, 64, 3], small), key, epoch: 0 })
    const first = openFingerprinter({ profile: wideProfile([3, 64, 64], (seed) => channelsFirst(small(seed))), key, epoch: 0 })
    const [a, b] = [small(1), small(2)]
    const [print, turned] = [last.fingerprint(a, answer), first.fingerprint(channelsFirst(a), answer)]
    assert.ok(Math.abs(turned.residual / print.residual - 1) < 1e-3)
    const there = estimate(turned, first.fingerprint(channelsFirst(b), answer))
    assert.ok(Math.abs(there / estimate(print, last.fingerprint(b, answer)) - 1) < 0.25)
  })

  test('the profile says its shape, and is refused where that is impossible', () => {
    const { shape, block, principal, directions } = decodeProfile(profile)
    assert.deepEqual([...shape], photo)
    assert.equal(block, 7)
    assert.equal(directions.length, principal * 32 * 32 * 3)
  })
})

describe('pooling', () => {
  for (const shape of [[30, 20, 3], [3, 30, 20], [50, 41], [97]]) {
    test(`keeps lengths along what it sees: ${shape.join('×')}`, () => {
      const reduction = reductionOf(shape, 4)
      const random = seeded(9)
      const pooled = Float64Array.from({ length: reduction.reduced }, () => random.normal())
      const whole = new Float64Array(reduction.width)
      const back = new Float64Array(reduction.reduced)
      expand(reduction, pooled, whole)
      reduce(reduction, whole, back)
      back.forEach((value, i) => assert.ok(Math.abs(value - (pooled[i] ?? 0)) < 1e-5))
      assert.ok(Math.abs(Math.hypot(...whole) / Math.hypot(...pooled) - 1) < 1e-5)
    })
  }

  test('is left out where inputs are narrow', () => {
    assert.deepEqual([[28, 28, 1], [784], [1_536], [32, 32, 3], [224, 224, 3], [4_096]].map(blockFor), [1, 1, 1, 1, 7, 2])
  })
})
