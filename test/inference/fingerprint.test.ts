import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { decodeSketch, remainderDimensions, sketchDistance } from '../../detectors/statistics/sketch.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import { fingerprintKeyId } from '../../inference/fingerprint/keystream.ts'
import { decodeProfile, encodeProfile } from '../../inference/fingerprint/profile.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { FingerprintEvent } from '../../schemas/index.ts'
import { l2 } from '../attacks/oracle.ts'
import { seeded } from '../attacks/random.ts'
import { noisy } from '../benign/image.ts'

const profile = readFileSync(fileURLToPath(new URL('../../inference/models/digits/1/profile.bin', import.meta.url)))
const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * pixels, (i + 1) * pixels)
/** A confident answer; the sketch does not depend on it. */
const answer = Float32Array.from({ length: 10 }, (_, i) => (i === 3 ? 0.991 : 0.001))
const key = (byte: number) => new Uint8Array(32).fill(byte)
const open = (byte = 1, epoch = 0) => openFingerprinter({ profile, key: key(byte), epoch })
const estimate = (a: Fingerprint, b: Fingerprint) => sketchDistance(decodeSketch(a.sketch), decodeSketch(b.sketch)) * a.scale
const quantile = (values: number[], share: number) => values.sort((a, b) => a - b)[Math.floor(share * values.length)] ?? Number.NaN

describe('fingerprint', () => {
  test('keys are told apart by a name that says nothing of them', () => {
    const names = [1, 1, 2].map((byte) => fingerprintKeyId(key(byte)))
    assert.match(names[0] ?? '', /^[0-9a-f]{16}$/)
    assert.equal(names[0], names[1])
    assert.notEqual(names[0], names[2])
  })

  test('fits the event schema, with room to spare', () => {
    const data = open().fingerprint(image(0), answer)
    const shape = FingerprintEvent.omit({
      request: true,
      index: true,
      principal: true,
      organization: true,
      keyId: true,
      model: true,
      version: true,
      node: true,
      hardening: true,
      answered: true,
      client: true,
      agent: true,
      keyCreatedAt: true,
    })
    assert.deepEqual(shape.parse(data), data)
    assert.ok(JSON.stringify(data).length < 700, `${JSON.stringify(data).length} bytes`)
  })

  for (const sigma of [0.01, 0.02, 0.05, 0.1]) {
    test(`estimates the distance of noise of σ = ${sigma} within 8 % (median) and 20 % (p95)`, () => {
      const random = seeded(1)
      const prints = open()
      const errors = Array.from({ length: 300 }, (_, i) => {
        const changed = noisy(image(i), sigma, random)
        const estimated = estimate(prints.fingerprint(image(i), answer), prints.fingerprint(changed, answer))
        return Math.abs(estimated / l2(image(i), changed) - 1)
      })
      assert.ok(quantile(errors, 0.5) < 0.08, `median ${quantile(errors, 0.5)}`)
      assert.ok(quantile(errors, 0.95) < 0.2, `p95 ${quantile(errors, 0.95)}`)
    })
  }

  test('is the same when other inputs come, and its own is written over, before the answer does', () => {
    const prints = open()
    const inputs = [0, 1, 2].map((i) => image(i).slice())
    const begun = inputs.map((input) => prints.begin(input))
    for (const input of inputs) input.fill(0)
    const late = begun.toReversed().map((impression) => impression(answer))
    assert.deepEqual(
      late.toReversed(),
      [0, 1, 2].map((i) => open().fingerprint(image(i), answer)),
    )
  })

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`makes none of an input with ${value}: its distances would be no numbers`, () => {
      const input = image(0).slice()
      input[100] = value
      assert.throws(() => open().fingerprint(input, answer), { code: 'INPUT_NOT_FINITE' })
    })
  }

  test('distances of unrelated images hold too', () => {
    const prints = open()
    const all = Array.from({ length: 200 }, (_, i) => prints.fingerprint(image(i), answer))
    const errors = all.slice(1).map((each, i) => Math.abs(estimate(all[i] ?? each, each) / l2(image(i), image(i + 1)) - 1))
    assert.ok(quantile(errors, 0.95) < 0.1, `p95 ${quantile(errors, 0.95)}`)
  })

  test('steps of L2 0.02 survive the rounding to int16', () => {
    const prints = open()
    const random = seeded(2)
    const errors = Array.from({ length: 100 }, (_, i) => {
      const direction = Float32Array.from({ length: pixels }, () => random.normal())
      const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0))
      const grey = image(i).map((value) => 0.1 + 0.8 * value)
      const changed = grey.map((value, p) => value + (0.02 * (direction[p] ?? 0)) / length)
      return Math.abs(estimate(prints.fingerprint(grey, answer), prints.fingerprint(changed, answer)) / 0.02 - 1)
    })
    assert.ok(quantile(errors, 0.95) < 0.25, `p95 ${quantile(errors, 0.95)}`)
  })

  test('the sketch is linear: the middle of two inputs has the middle of their sketches', () => {
    const prints = open()
    const middle = image(0).map((value, p) => (value + (image(1)[p] ?? 0)) / 2)
    const [a, b, m] = [image(0), image(1), middle].map((each) => decodeSketch(prints.fingerprint(each, answer).sketch))
    assert.ok(a && b && m)
    for (let i = 0; i < m.length; i++) assert.ok(Math.abs((m[i] ?? 0) - ((a[i] ?? 0) + (b[i] ?? 0)) / 2) <= 2)
  })

  test('the same input has the same exact hash, and any other input or key another', () => {
    const { exact } = open().fingerprint(image(5), answer)
    const changed = image(5).slice()
    changed[400] = (changed[400] ?? 0) + 1e-6
    assert.equal(open().fingerprint(image(5).slice(), answer).exact, exact)
    assert.notEqual(open().fingerprint(changed, answer).exact, exact)
    assert.notEqual(open(2).fingerprint(image(5), answer).exact, exact)
    assert.notEqual(open(1, 1).fingerprint(image(5), answer).exact, exact)
  })

  for (const [what, other] of [
    ['key', open(2)],
    ['epoch', open(1, 1)],
  ] as const) {
    test(`sketches under another ${what} have nothing in common`, () => {
      const prints = open()
      const cosines = Array.from({ length: 200 }, (_, i) => {
        const a = decodeSketch(prints.fingerprint(image(i), answer).sketch)
        const b = decodeSketch(other.fingerprint(image(i), answer).sketch)
        const product = (x: Int16Array, y: Int16Array) => x.reduce((sum, value, k) => sum + value * (y[k] ?? 0), 0)
        return product(a, b) / Math.sqrt(product(a, a) * product(b, b))
      })
      const mean = cosines.reduce((sum, value) => sum + Math.abs(value), 0) / cosines.length
      assert.ok(mean < 0.25, `mean |cosine| ${mean}`)
    })
  }

  test('near-duplicates share bands, strangers hardly do', () => {
    const prints = open()
    const random = seeded(3)
    const bands = (x: Float32Array) =>
      new Set(new Uint32Array(Uint8Array.from(Buffer.from(prints.fingerprint(x, answer).bands, 'base64')).buffer))
    const shared = (x: Float32Array, y: Float32Array) => [...bands(x)].filter((band) => bands(y).has(band)).length > 0
    let near = 0
    let far = 0
    for (let i = 0; i < 200; i++) {
      if (shared(image(i), noisy(image(i), 0.02, random))) near++
      if (shared(image(i), image(i + 1))) far++
    }
    assert.ok(near >= 195, `${near} of 200 near-duplicates`)
    assert.ok(far <= 30, `${far} of 200 strangers`)
  })

  test('tails of test images are spread evenly, and noise images are far out', () => {
    const prints = open()
    const tails = Array.from({ length: 1_000 }, (_, i) => {
      const right = Float32Array.from({ length: 10 }, (_, c) => (c === images.labels[i] ? 0.991 : 0.001))
      return prints.fingerprint(image(i), right).residualTail
    })
    assert.ok(Math.abs(quantile(tails, 0.5) - 0.5) < 0.06, `median ${quantile(tails, 0.5)}`)
    assert.ok(Math.abs(quantile(tails, 0.1) - 0.1) < 0.04, `10 % ${quantile(tails, 0.1)}`)
    const random = seeded(4)
    const noise = prints.fingerprint(
      Float32Array.from({ length: pixels }, () => random.next()),
      answer,
    )
    assert.ok(noise.residualTail < 1e-6)
    assert.ok(noise.residualTail > 0)
  })

  test('a nearer reference distance for ordinary images than for noise', () => {
    const random = seeded(5)
    const ordinary = open().fingerprint(image(7), answer).referenceDistance
    const noise = open().fingerprint(
      Float32Array.from({ length: pixels }, () => random.next()),
      answer,
    ).referenceDistance
    assert.ok(ordinary > 2 && ordinary < 9, `${ordinary}`)
    assert.ok(noise > 12, `${noise}`)
  })

  test('remainder coordinates come last, as detectors expect', () => {
    assert.equal(decodeSketch(open().fingerprint(image(0), answer).sketch).length, decodeProfile(profile).principal + remainderDimensions)
  })
})

describe('reference profile', () => {
  test('reads back as written', () => {
    const { id, ...rest } = decodeProfile(profile)
    assert.deepEqual(decodeProfile(encodeProfile(rest)), { id, ...rest })
  })

  test('is small', () => assert.ok(profile.length < 400_000))

  for (const [what, bytes, code] of [
    ['nothing', new Uint8Array(0), 'PROFILE_MALFORMED'],
    ['another file', Buffer.from('x'.repeat(100)), 'PROFILE_MALFORMED'],
    ['a cut one', profile.subarray(0, 1_000), 'PROFILE_MALFORMED'],
    ['a flipped bit', profile.map((byte, i) => (i === 5_000 ? byte ^ 1 : byte)), 'PROFILE_MALFORMED'],
  ] as const) {
    test(`refuses ${what}`, () => assert.throws(() => decodeProfile(bytes), { code }))
  }

  test('a short key and an input of another size are refused', () => {
    assert.throws(() => openFingerprinter({ profile, key: new Uint8Array(16), epoch: 0 }), { code: 'KEY_LENGTH' })
    assert.throws(() => open().fingerprint(new Float32Array(10), answer), { code: 'INPUT_LENGTH' })
  })
})
