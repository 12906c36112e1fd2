import { side } from '../benign/image.ts'
import type { Probabilities } from './extraction-attacks.ts'
import { Student } from './extraction-student.ts'
import type { Random } from './random.ts'

const pixels = side * side
const latent = 12
const sigmoid = (value: number) => 1 / (1 + Math.exp(-value))

/**
 * Theft without data: a generator makes images on which student and victim disagree; since the victim gives no gradient,
 * the disagreement's is estimated from a few more queries around each image. Truong, Maini, Walls and Papernot,
 * "Data-free model extraction", CVPR 2021; Kariyappa, Prakash and Qureshi, "MAZE", CVPR 2021. One layer, as small as
 * the student.
 */
export function* dataFree(random: Random): Generator<Float32Array, void, Probabilities> {
  const student = new Student(pixels, 32, 10, random)
  const weights = Float32Array.from({ length: pixels * latent }, () => random.normal())
  const bias = new Float32Array(pixels).fill(-1.5)
  const probes = 1 + random.below(4)
  const epsilon = random.between(0.005, 0.05)
  const replay: { image: Float32Array; answer: Probabilities }[] = []
  for (;;) {
    const z = Float32Array.from({ length: latent }, () => random.normal())
    const image = bias.map((value, i) => sigmoid(value + dot(weights, i * latent, z)))
    const answer = yield image
    const here = disagreement(student.predict(image), answer)
    const gradient = new Float32Array(pixels)
    for (let k = 0; k < probes; k++) {
      const u = Float32Array.from({ length: pixels }, () => random.normal())
      const near = image.map((value, i) => Math.min(1, Math.max(0, value + epsilon * (u[i] ?? 0))))
      const slope = (disagreement(student.predict(near), yield near) - here) / (epsilon * probes)
      for (let i = 0; i < pixels; i++) gradient[i] = (gradient[i] ?? 0) + slope * (u[i] ?? 0)
    }
    climb(weights, bias, z, image, gradient)
    if (replay.length >= 1_000) replay.shift()
    replay.push({ image, answer })
    for (let n = 0; n < 4; n++) {
      const old = n === 0 ? { image, answer } : random.pick(replay)
      student.train(old.image, old.answer, 0.03)
    }
  }
}

/** One step of the generator towards more disagreement, of fixed length. */
function climb(weights: Float32Array, bias: Float32Array, z: Float32Array, image: Float32Array, gradient: Float32Array): void {
  const back = gradient.map((value, i) => value * (image[i] ?? 0) * (1 - (image[i] ?? 0)))
  const length = Math.hypot(...back)
  // Nor where the student came to nothing finite.
  if (!(length > 0)) return
  for (let i = 0; i < back.length; i++) {
    const push = (3 * (back[i] ?? 0)) / length
    bias[i] = (bias[i] ?? 0) + push
    for (let k = 0; k < latent; k++) weights[i * latent + k] = (weights[i * latent + k] ?? 0) + push * (z[k] ?? 0)
  }
}

function dot(weights: Float32Array, from: number, z: Float32Array): number {
  let sum = 0
  for (let k = 0; k < z.length; k++) sum += (weights[from + k] as number) * (z[k] as number)
  return sum
}

/** L1 distance of the logarithms, as the papers have it of recovered logits; bounded below so that no answer is infinite. */
function disagreement(guess: Float32Array, answer: Probabilities): number {
  const log = (value: number) => Math.log(Math.max(1e-6, value))
  return answer.reduce((sum, value, i) => sum + Math.abs(log(value) - log(guess[i] ?? 0)), 0) / answer.length
}
