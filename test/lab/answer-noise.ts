import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openAnswerKey } from '../../inference/hardening/answer-key.ts'
import { openDigitsOracle } from '../attacks/digits-oracle.ts'
import { seeded } from '../attacks/random.ts'

/**
 * What is left of the noise on an answer when a thief asks again, and averages: the same input, or inputs that differ by a little.
 * Distances are L1 from what the model says of the input itself; the last column is what the same average would be off without noise.
 *
 * `node test/lab/answer-noise.ts`
 */
const test = loadMnist('test')
const oracle = await openDigitsOracle()
const answers = openAnswerKey(new Uint8Array(32).fill(5))
const random = seeded(3)
const noise = 0.1
const addressee = { principal: 'mallory', model: 'digits', version: '1' }
const shape = [28, 28, 1]

const said = async (image: Float32Array): Promise<Float32Array> => {
  const answer = await oracle.query(image)
  return answer.refused ? new Float32Array(10) : answer.probabilities
}
const told = (image: Float32Array, rows: Float32Array) => answers.disguise(addressee, { inputs: image, shape, rows, classes: 10 }, 0, noise)
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0)
const meanOf = (rows: readonly Float32Array[]) =>
  Float64Array.from({ length: 10 }, (_, c) => rows.reduce((sum, row) => sum + (row[c] ?? 0), 0) / rows.length)
/** What a thief makes of an average who knows how noise is drawn: a quarter of the bound is mixed in, evenly, on average. */
const undone = (row: ArrayLike<number>) => Array.from(row, (value) => (value - noise / 40) / (1 - noise / 4))
const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

const images = Array.from({ length: 100 }, (_, i) => test.images.slice(i * pixels, (i + 1) * pixels))
const truth = await Promise.all(images.map(said))
console.log(
  `one answer is off by ${average(images.map((image, i) => distance(told(image, truth[i] as Float32Array), truth[i] as Float32Array))).toFixed(4)}`,
)
for (const sigma of [0, 0.003, 0.01, 0.03, 0.1]) {
  for (const times of [10, 50]) {
    const [off, alone]: [number[], number[]] = [[], []]
    for (const [i, image] of images.entries()) {
      const near = Array.from({ length: times }, () => image.map((value) => Math.min(1, Math.max(0, value + sigma * random.normal()))))
      const rows = await Promise.all(near.map(said))
      off.push(distance(undone(meanOf(near.map((one, j) => told(one, rows[j] as Float32Array)))), truth[i] as Float32Array))
      alone.push(distance(meanOf(rows), truth[i] as Float32Array))
    }
    console.log(`σ ${sigma}, ${times} times, undone: off by ${average(off).toFixed(4)}; without noise ${average(alone).toFixed(4)}`)
  }
}
await oracle.close()
