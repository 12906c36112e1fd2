import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { openDigitsOracle } from '../attacks/digits-oracle.ts'
import { seeded } from '../attacks/random.ts'
import { noisy, warp } from '../benign/image.ts'
import type { ReferenceAnswer } from './port.ts'
import { referenceDetectors } from './reference-detectors.ts'

interface Stream {
  readonly images: readonly Float32Array[]
  readonly answers: readonly ReferenceAnswer[]
}

describe('published detectors', () => {
  const test = loadMnist('test')
  const image = (i: number) => test.images.subarray(i * pixels, (i + 1) * pixels)
  const many = (count: number, from: number) => Array.from({ length: count }, (_, i) => image(from + i))
  const reference = many(600, 9_000)
  const random = seeded(21)
  let oracle: Awaited<ReturnType<typeof openDigitsOracle>>
  const streams: Record<string, Stream> = {}

  async function answered(images: readonly Float32Array[]): Promise<Stream> {
    const answers = await Promise.all(images.map((each) => oracle.query(each)))
    return { images, answers: answers.map((answer) => (answer.refused ? { label: 0, probabilities: new Float32Array(10) } : answer)) }
  }

  before(async () => {
    oracle = await openDigitsOracle()
    const asked: Float32Array[] = []
    const watched = { query: (shown: Float32Array) => oracle.query(asked[asked.push(shown.slice()) - 1] ?? shown) }
    await boundaryAttack(watched, { source: image(3), label: 0 }, { random: seeded(9), budget: 160, start: image(5) })
    const scene = image(8)
    streams.boundary = await answered(asked)
    streams.blurredBoundary = await answered(asked.map((each) => noisy(each, 0.1, random)))
    streams.ordinary = await answered(many(160, 100))
    streams.noise = await answered(Array.from({ length: 100 }, () => Float32Array.from({ length: pixels }, () => random.next())))
    streams.retries = await answered(many(60, 400).flatMap((each) => [each, each]))
    streams.video = await answered(Array.from({ length: 100 }, (_, i) => warp(scene, { angle: 0.004 * i, dx: 0.02 * i })))
    streams.long = await answered(many(800, 1_000))
  })
  after(() => oracle.close())

  /** Which query first flags the one principal who asks them all; null where none does. */
  function flaggedAt(name: string, stream: string): number | null {
    const detector = referenceDetectors(reference).find((each) => each.name === name)
    assert.ok(detector)
    const { images, answers } = streams[stream] ?? { images: [], answers: [] }
    for (const [i, shown] of images.entries()) {
      const answer = answers[i]
      assert.ok(answer)
      if (detector.observe('someone', shown, answer, i * 1_000).length > 0) return i + 1
    }
    return null
  }

  // [detector, stream, earliest and latest query that flags; null where nothing does]
  const rows: readonly (readonly [string, string, [number, number] | null])[] = [
    ['blacklight', 'boundary', [2, 20]],
    ['blacklight', 'ordinary', null],
    // Its known blindness: noise on the whole image leaves no exact window.
    ['blacklight', 'blurredBoundary', null],
    // Its known false alarms.
    ['blacklight', 'retries', [2, 2]],
    ['blacklight', 'video', [2, 20]],
    // 101 distances, each to an earlier query of the same class.
    ['prada', 'boundary', [102, 130]],
    ['prada', 'ordinary', null],
    ['prada', 'noise', null],
    // 64 cosines take 66 queries; 24 take 26.
    ['delta cosine 64', 'boundary', [66, 66]],
    ['delta cosine 24', 'boundary', [26, 26]],
    ['delta cosine 64', 'ordinary', null],
    ['delta cosine 64', 'video', [66, 66]],
    ['mmd 50', 'noise', [50, 50]],
    ['mmd 50', 'boundary', [50, 50]],
    ['mmd 50', 'ordinary', null],
    ['seat-like', 'boundary', [10, 30]],
    ['seat-like', 'ordinary', null],
    // Pairs grow with the square of the volume, whoever sends.
    ['seat-like', 'long', [200, 800]],
  ]
  for (const [name, stream, bounds] of rows) {
    it(`${name} on ${stream}: ${bounds === null ? 'nothing' : `flags at ${bounds.join('–')}`}`, () => {
      const at = flaggedAt(name, stream)
      if (bounds === null) assert.equal(at, null)
      else assert.ok(at !== null && at >= bounds[0] && at <= bounds[1], `flagged at ${at}`)
    })
  }

  it('tells principals apart, Blacklight excepted: an attack over 50 of them is nobody’s', () => {
    const { images, answers } = streams.boundary ?? { images: [], answers: [] }
    const flagged = new Set<string>()
    for (const detector of referenceDetectors(reference))
      for (const [i, shown] of images.entries()) {
        const answer = answers[i]
        if (answer && detector.observe(`one of 50: ${i % 50}`, shown, answer, i).length > 0) flagged.add(detector.name)
      }
    assert.deepEqual([...flagged], ['blacklight'])
  })
})
