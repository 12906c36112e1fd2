import type { Images } from '../benign/clients.ts'
import { side } from '../benign/image.ts'
import type { Probabilities } from './extraction-attacks.ts'
import { Student } from './extraction-student.ts'
import { l2 } from './oracle.ts'
import type { Random } from './random.ts'

/** Which of a pool is asked next: what the student is least sure of, or what it answers least like anything asked. */
export type Strategy = 'entropy' | 'k-center' | 'uncertain then k-center'

export interface ActiveTheft {
  readonly strategy: Strategy
  readonly seeds: number
  readonly candidate: () => Float32Array
}

const poolSize = 60
const batchSize = 10
const maxCenters = 200

/**
 * Active learning in batches out of a pool. Pal et al., "ActiveThief: model extraction using active learning and
 * unannotated public data", AAAI 2020; k-center after Sener and Savarese, ICLR 2018.
 */
export function* activeTheft(
  images: Images,
  random: Random,
  { strategy, seeds, candidate }: ActiveTheft,
): Generator<Float32Array, void, Probabilities> {
  const student = new Student(side * side, 32, 10, random)
  const set: { image: Float32Array; answer: Probabilities }[] = []
  for (let i = 0; i < seeds; i++) {
    const image = images()
    set.push({ image, answer: yield image })
  }
  for (;;) {
    for (let n = 0; n < Math.min(300, 2 * set.length); n++) {
      const { image, answer } = random.pick(set)
      student.train(image, answer, 0.03)
    }
    const pool = Array.from({ length: poolSize }, candidate)
    const asked = set.slice(-maxCenters).map(({ answer }) => answer)
    for (const image of chosen(pool, asked, student, strategy)) set.push({ image, answer: yield image })
  }
}

function chosen(pool: readonly Float32Array[], asked: readonly Probabilities[], student: Student, strategy: Strategy): Float32Array[] {
  const rated = pool.map((image) => ({ image, guess: student.predict(image) }))
  if (strategy === 'entropy') return byEntropy(rated, batchSize).map(({ image }) => image)
  const from = strategy === 'k-center' ? rated : byEntropy(rated, 3 * batchSize)
  const centers = [...asked]
  const found: Float32Array[] = []
  while (found.length < batchSize) {
    let farthest = from[0]
    let most = -1
    for (const each of from) {
      const nearest = centers.reduce((least, center) => Math.min(least, l2(each.guess, center)), Number.POSITIVE_INFINITY)
      if (nearest <= most) continue
      most = nearest
      farthest = each
    }
    if (farthest === undefined) break
    found.push(farthest.image)
    centers.push(farthest.guess)
  }
  return found
}

function byEntropy<T extends { readonly guess: Float32Array }>(rated: readonly T[], count: number): T[] {
  const entropy = (p: Float32Array) => -p.reduce((sum, value) => sum + (value > 0 ? value * Math.log(value) : 0), 0)
  return rated.toSorted((a, b) => entropy(b.guess) - entropy(a.guess)).slice(0, count)
}
