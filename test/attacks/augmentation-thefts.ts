import type { Images } from '../benign/clients.ts'
import { side } from '../benign/image.ts'
import type { Probabilities } from './extraction-attacks.ts'
import { Student } from './extraction-student.ts'
import { step } from './oracle.ts'
import type { Random } from './random.ts'

interface Pair {
  readonly image: Float32Array
  readonly answer: Probabilities
}

const top = (answer: Probabilities) => answer.indexOf(Math.max(...answer))

function* seedsOf(images: Images, count: number): Generator<Float32Array, Pair[], Probabilities> {
  const set: Pair[] = []
  while (set.length < count) {
    const image = images()
    set.push({ image, answer: yield image })
  }
  return set
}

function retrain(student: Student, set: readonly Pair[], random: Random): void {
  for (let n = 0; n < Math.min(1_500, 4 * set.length); n++) {
    const { image, answer } = random.pick(set)
    student.train(image, answer, 0.02)
  }
}

/**
 * Jacobian augmentation with few seeds, step sizes that change sign by the round, and reservoir sampling: from the third
 * round on only `reservoir` images are moved. Papernot et al., "Practical black-box attacks against machine learning",
 * AsiaCCS 2017, sections 5.2 and 5.3.
 */
export function* reservoirJacobian(images: Images, random: Random, seeds: number): Generator<Float32Array, void, Probabilities> {
  const student = new Student(side * side, 32, 10, random)
  const lambda = random.between(0.05, 0.2)
  const reservoir = 40 + random.below(80)
  const set = yield* seedsOf(images, seeds)
  for (let round = 0; ; round++) {
    retrain(student, set, random)
    const chosen = round < 2 ? set.slice() : Array.from({ length: reservoir }, () => random.pick(set))
    const signed = round % 6 < 3 ? lambda : -lambda
    for (const { image, answer } of chosen) {
      const moved = step(image, student.gradientSign(image, top(answer)), signed)
      set.push({ image: moved, answer: yield moved })
    }
  }
}

/**
 * Images moved towards a random other class by several small steps on the student: T-RND of Juuti, Szyller, Marchal and
 * Asokan, "PRADA", EuroS&P 2019, section 3.3.
 */
export function* targetedSynthesis(images: Images, random: Random, seeds: number): Generator<Float32Array, void, Probabilities> {
  const student = new Student(side * side, 32, 10, random)
  const stride = random.between(0.02, 0.08)
  const set = yield* seedsOf(images, seeds)
  for (;;) {
    retrain(student, set, random)
    for (const { image, answer } of set.slice(-200)) {
      const wanted = (top(answer) + 1 + random.below(9)) % 10
      let moved = image
      for (let n = 0; n < 5; n++) moved = step(moved, student.gradientSign(moved, wanted), stride)
      set.push({ image: moved, answer: yield moved })
    }
  }
}

/** Natural images mixed two by two, in part or whole (mixup, cutmix), in distribution. */
export function* mixtures(images: Images, random: Random): Generator<Float32Array, void, Probabilities> {
  const pasted = random.next() < 0.5
  for (;;) {
    const [a, b] = [images(), images()]
    const share = random.between(0.2, 0.8)
    const cut = Math.round(share * side)
    yield a.map((value, i) => (pasted ? (i % side < cut ? value : (b[i] ?? 0)) : share * value + (1 - share) * (b[i] ?? 0)))
  }
}
