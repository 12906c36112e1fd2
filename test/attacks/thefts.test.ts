import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openDigitsOracle } from './digits-oracle.ts'
import { Student } from './extraction-student.ts'
import { seeded } from './random.ts'
import { thefts } from './thefts.ts'

const queries = 300
// What share of the victim's labels a student trained on 300 answers gives on digits: chance is about 0.1.
const least: Readonly<Record<string, number>> = {
  'Jacobian, reservoir': 0.45,
  'targeted synthesis': 0.55,
  'active uncertain then k-center on digits': 0.55,
  'knockoff, adaptive': 0.2,
  'one at a time': 0.2,
  truncations: 0.3,
  'noise sweep': 0.3,
  mixtures: 0.5,
  'active entropy on pictures': 0.25,
  'active k-center on pictures': 0.25,
}

describe('thefts of the digits model', () => {
  const test = loadMnist('test')
  const image = (i: number) => test.images.subarray(i * pixels, (i + 1) * pixels)
  const shown = Array.from({ length: 200 }, (_, i) => image(5_000 + i))
  let oracle: Awaited<ReturnType<typeof openDigitsOracle>>
  let labels: number[] = []
  const stolen = new Map<string, { image: Float32Array; probabilities: Float32Array }[]>()

  const ask = async (asked: Float32Array) => {
    const answer = await oracle.query(asked)
    assert.equal(answer.refused, false)
    return answer.refused ? new Float32Array(10) : answer.probabilities
  }

  before(async () => {
    oracle = await openDigitsOracle()
    labels = (await Promise.all(shown.map(ask))).map((answer) => answer.indexOf(Math.max(...answer)))
    await Promise.all(
      thefts.map(async (theft) => {
        const random = seeded(77)
        const generator = theft.queries(() => image(random.below(5_000)), random)
        const loot: { image: Float32Array; probabilities: Float32Array }[] = []
        let next = generator.next()
        while (loot.length < queries && !next.done) {
          const probabilities = await ask(next.value)
          loot.push({ image: next.value.slice(), probabilities })
          next = generator.next(probabilities)
        }
        stolen.set(theft.name, loot)
      }),
    )
  })
  after(() => oracle.close())

  for (const { name, seeds } of thefts) {
    it(`${name}: proper images, few repeats, and a student that learns`, () => {
      const loot = stolen.get(name) ?? []
      assert.equal(loot.length, queries)
      for (const each of loot) {
        assert.equal(each.image.length, pixels)
        assert.ok(Math.min(...each.image) >= 0 && Math.max(...each.image) <= 1, 'a pixel outside 0..1')
      }
      assert.ok(new Set(loot.map((each) => textOf(each.image))).size > 0.5 * queries, 'mostly repeats')
      const natural = loot.slice(0, seeds).every((each) => each.image.filter((value) => value > 0).length < 400)
      assert.ok(natural, 'its seeds are digits')
      const wanted = least[name]
      if (wanted === undefined) return
      const share = fidelity(loot)
      assert.ok(share >= wanted, `${share} of the labels`)
    })
  }

  it('is the same for the same seed', () => {
    for (const theft of thefts) {
      const first = () => {
        const random = seeded(5)
        const generator = theft.queries(() => image(random.below(100)), random)
        generator.next()
        return generator.next(new Float32Array(10).fill(0.1)).value?.join(' ')
      }
      assert.equal(first(), first())
    }
  })

  const textOf = (x: Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('latin1')

  function fidelity(loot: readonly { image: Float32Array; probabilities: Float32Array }[]): number {
    const random = seeded(3)
    const student = new Student(pixels, 24, 10, random)
    for (let n = 0; n < 6 * loot.length; n++) {
      const { image: x, probabilities } = random.pick(loot)
      student.train(x, probabilities, 0.03)
    }
    const right = shown.filter((x, i) => {
      const guess = student.predict(x)
      return guess.indexOf(Math.max(...guess)) === labels[i]
    })
    return right.length / shown.length
  }
})
