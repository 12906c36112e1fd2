import { side } from '../benign/image.ts'
import { drawings } from './drawings.ts'
import type { Probabilities } from './extraction-attacks.ts'
import { Student } from './extraction-student.ts'
import type { Random } from './random.ts'

/**
 * Knockoff nets with the adaptive strategy: pictures by kind, the kind drawn by a gradient bandit whose reward is the
 * victim's certainty, the novelty of its answer, and the student's error. Orekondy, Schiele and Fritz, "Knockoff nets:
 * stealing functionality of black-box models", CVPR 2019, section 4.1.2.
 */
export function* knockoff(random: Random): Generator<Float32Array, void, Probabilities> {
  const student = new Student(side * side, 32, 10, random)
  const preference = drawings.map(() => 0)
  const usual = new Float32Array(10).fill(0.1)
  let baseline = 0
  for (let n = 1; ; n++) {
    const shares = softmax(preference)
    const kind = drawn(shares, random)
    const image = drawings[kind]?.draw(random) ?? new Float32Array(side * side)
    const answer = yield image
    const reward = certainty(answer) + novelty(answer, usual) + Math.min(1, crossEntropy(student.predict(image), answer) / 4)
    for (let i = 0; i < 10; i++) usual[i] = 0.95 * (usual[i] ?? 0) + 0.05 * (answer[i] ?? 0)
    for (const [k, share] of shares.entries())
      preference[k] = (preference[k] ?? 0) + 0.1 * (reward - baseline) * ((k === kind ? 1 : 0) - share)
    baseline += (reward - baseline) / n
    student.train(image, answer, 0.05)
  }
}

function softmax(values: readonly number[]): number[] {
  const powers = values.map((value) => Math.exp(value - Math.max(...values)))
  const total = powers.reduce((a, b) => a + b, 0)
  return powers.map((value) => value / total)
}

function drawn(shares: readonly number[], random: Random): number {
  let left = random.next()
  for (const [k, share] of shares.entries()) {
    left -= share
    if (left < 0) return k
  }
  return shares.length - 1
}

/** Best less second best. */
function certainty(answer: Probabilities): number {
  const [best = 0, second = 0] = answer.toSorted().reverse()
  return best - second
}

/** How much more the answer says of any class than answers did lately. */
function novelty(answer: Probabilities, usual: Float32Array): number {
  return answer.reduce((sum, value, i) => sum + Math.max(0, value - (usual[i] ?? 0)), 0)
}

function crossEntropy(guess: Float32Array, answer: Probabilities): number {
  return -answer.reduce((sum, value, i) => sum + value * Math.log(Math.max(1e-9, guess[i] ?? 0)), 0)
}
