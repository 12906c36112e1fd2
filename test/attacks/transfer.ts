import type { Images } from '../benign/clients.ts'
import { warp } from '../benign/image.ts'
import { Student } from './extraction-student.ts'
import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface TransferOptions {
  readonly random: Random
  readonly budget: number
  /** The attacker's own natural images. */
  readonly images: Images
  /** Ordinary-looking queries whose answers the student learns from. */
  readonly stolen?: number
  /** L∞ bound: `fgsm` takes it in one step, `pgd` in ten with momentum. */
  readonly epsilon?: number
  readonly method?: 'fgsm' | 'pgd'
  readonly units?: number
}

/**
 * Transfer: trains a student on a few stolen answers, crafts the image on the student, and sends it; what fails is
 * learned from. Papernot et al., "Practical black-box attacks against machine learning", AsiaCCS 2017; steps after
 * Goodfellow et al. 2015 (FGSM), Madry et al. 2018 (PGD) and Dong et al. 2018 (momentum).
 */
export function transfer(oracle: Oracle, target: Target, options: TransferOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, options.budget)
  return attempt.run(async () => {
    const student = await trainedStudent(attempt, options)
    await sendCrafted(attempt, student, options, Number.POSITIVE_INFINITY)
  })
}

/** The queries before the attack proper: natural images, each answer taken for true under small changes too. */
export async function trainedStudent(attempt: Attempt, options: TransferOptions): Promise<Student> {
  const { random, images, stolen = 40, units = 32 } = options
  const student = new Student(attempt.target.source.length, units, 10, random)
  const loot = [{ image: attempt.target.source, answer: oneHot(attempt.target.label) }]
  for (let i = 0; i < stolen; i++) {
    const image = images()
    loot.push({ image, answer: (await attempt.ask(image)).probabilities })
  }
  const pose = () => ({ angle: 0.1 * random.normal(), dx: random.normal(), dy: random.normal(), scale: random.between(0.9, 1.1) })
  const shown = loot.flatMap(({ image, answer }) =>
    [image, warp(image, pose()), warp(image, pose())].map((each) => ({ image: each, answer })),
  )
  for (let n = 0; n < 5 * shown.length; n++) {
    const { image, answer } = random.pick(shown)
    student.train(image, answer, 0.03)
  }
  return student
}

/** Crafts and sends until one is misread, `most` are spent or the budget is; that image, else null. */
export async function sendCrafted(
  attempt: Attempt,
  student: Student,
  options: TransferOptions,
  most: number,
): Promise<Float32Array | null> {
  const { random, epsilon = 0.3, method = 'pgd' } = options
  for (let sent = 0; sent < most; sent++) {
    const other = likeliestOther(student, attempt.target, random, sent)
    const image = crafted(student, attempt.target, other, epsilon, method === 'fgsm' ? 1 : 10, random)
    const answer = await attempt.ask(image)
    if (answer.label !== attempt.target.label) return image
    for (let n = 0; n < 8; n++) student.train(image, answer.probabilities, 0.02)
  }
  return null
}

/** The class that the student takes for second; later tries go through the others too. */
function likeliestOther(student: Student, { source, label }: Target, random: Random, sent: number): number {
  const ranked = [...student.predict(source).entries()].filter(([c]) => c !== label).sort((a, b) => b[1] - a[1])
  const [best = 0] = ranked[sent === 0 ? 0 : random.below(Math.min(ranked.length, 2 + sent))] ?? []
  return best
}

function crafted(student: Student, target: Target, other: number, epsilon: number, steps: number, random: Random): Float32Array {
  const { source, label } = target
  const weights = new Float32Array(student.classes)
  weights[label] = -1
  weights[other] = 1
  const within = (value: number, i: number) => {
    const original = source[i] ?? 0
    return Math.min(1, original + epsilon, Math.max(0, original - epsilon, value))
  }
  let image = steps === 1 ? source : source.map((value, i) => within(value + random.between(-epsilon, epsilon) / 2, i))
  let momentum = new Float32Array(source.length)
  for (let n = 0; n < steps; n++) {
    const gradient = student.gradient(image, weights)
    const size = gradient.reduce((sum, value) => sum + Math.abs(value), 0) || 1
    momentum = momentum.map((value, i) => 0.8 * value + (gradient[i] ?? 0) / size)
    const stride = steps === 1 ? epsilon : (2.5 * epsilon) / steps
    image = image.map((value, i) => within(value + stride * Math.sign(momentum[i] ?? 0), i))
  }
  return image
}

function oneHot(label: number): Float32Array {
  const out = new Float32Array(10)
  out[label] = 1
  return out
}
