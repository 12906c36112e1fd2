import type { Images } from '../benign/clients.ts'
import { exposed, side, warp } from '../benign/image.ts'
import { letter } from './extraction-letters.ts'
import { Student } from './extraction-student.ts'
import { blend, step } from './oracle.ts'
import type { Random } from './random.ts'

/** Probabilities of the answer to the image that was yielded last. */
export type Probabilities = Float32Array

/** One way of stealing a model: yields queries and is told the answers. Endless; the caller keeps the budget. */
export interface ExtractionAttack {
  readonly name: string
  /** Natural queries before the attack proper begins. */
  readonly seeds: number
  readonly queries: (images: Images, random: Random) => Generator<Float32Array, void, Probabilities>
}

const pixels = side * side
const clip = (value: number) => Math.min(1, Math.max(0, value))

/** An attack whose queries don't depend on the answers. */
function open(name: string, make: (images: Images, random: Random) => Float32Array): ExtractionAttack {
  return {
    name,
    seeds: 0,
    queries: function* (images, random) {
      for (;;) yield make(images, random)
    },
  }
}

/** An attack in rounds, each a batch around another seed. */
function rounds(name: string, make: (images: Images, random: Random) => Iterable<Float32Array>): ExtractionAttack {
  return {
    name,
    seeds: 0,
    queries: function* (images, random) {
      for (;;) yield* make(images, random)
    },
  }
}

function crop(image: Float32Array, random: Random): Float32Array {
  const size = 8 + random.below(10)
  const [top, left] = [random.below(side - size), random.below(side - size)]
  return Float32Array.from({ length: pixels }, (_, i) => {
    const row = top + Math.floor((Math.floor(i / side) * size) / side)
    const column = left + Math.floor(((i % side) * size) / side)
    return image[row * side + column] ?? 0
  })
}

function shape(random: Random): Float32Array {
  const [cx, cy] = [random.between(9, 19), random.between(9, 19)]
  const [rx, ry] = [random.between(3, 10), random.between(3, 10)]
  const round = random.next() < 0.5
  const hollow = random.next() < 0.5 ? random.between(0.4, 0.8) : 0
  return Float32Array.from({ length: pixels }, (_, i) => {
    const [u, v] = [Math.abs((i % side) - cx) / rx, Math.abs(Math.floor(i / side) - cy) / ry]
    const r = round ? Math.hypot(u, v) : Math.max(u, v)
    return r <= 1 && r >= hollow ? 1 : 0
  })
}

function texture(random: Random): Float32Array {
  const [fx, fy, phase] = [random.between(-1.2, 1.2), random.between(-1.2, 1.2), random.between(0, 6.28)]
  return Float32Array.from({ length: pixels }, (_, i) => clip(0.5 + 0.5 * Math.sin(fx * (i % side) + fy * Math.floor(i / side) + phase)))
}

function augmented(image: Float32Array, random: Random): Float32Array {
  return warp(image, {
    angle: 0.2 * random.normal(),
    dx: random.between(-2, 2),
    dy: random.between(-2, 2),
    scale: random.between(0.85, 1.15),
    shear: 0.15 * random.normal(),
  })
}

function* brightness(images: Images): Generator<Float32Array> {
  const image = images()
  for (let i = 0; i < 16; i++) yield exposed(image, 0.4 + 0.08 * i, 0)
}

function* grid(images: Images): Generator<Float32Array> {
  const image = images()
  for (let a = -3; a <= 3; a++) for (let s = -2; s <= 2; s++) yield warp(image, { angle: 0.1 * a, scale: 1 + 0.07 * s })
}

function* interpolation(images: Images): Generator<Float32Array> {
  const [from, to] = [images(), images()]
  for (let i = 0; i <= 10; i++) yield blend(from, to, i / 10)
}

function* onePixel(images: Images, random: Random): Generator<Float32Array> {
  const image = images()
  for (let n = 0; n < 64; n++) {
    const changed = image.slice()
    const at = random.below(pixels)
    changed[at] = 1 - (changed[at] ?? 0)
    yield changed
  }
}

/** Papernot et al. 2017: natural seeds, then in each round every image so far moved along the student's gradient sign. */
function* jacobian(images: Images, random: Random, seeds: number): Generator<Float32Array, void, Probabilities> {
  const student = new Student(pixels, 32, 10, random)
  const set: { image: Float32Array; answer: Probabilities }[] = []
  for (let i = 0; i < seeds; i++) {
    const image = images()
    set.push({ image, answer: yield image })
  }
  for (;;) {
    for (let n = 0; n < Math.min(2_000, 4 * set.length); n++) {
      const { image, answer } = random.pick(set)
      student.train(image, answer, 0.02)
    }
    for (const { image, answer } of set.slice()) {
      const moved = step(image, student.gradientSign(image, answer.indexOf(Math.max(...answer))), random.next() < 0.5 ? 0.1 : -0.1)
      set.push({ image: moved, answer: yield moved })
    }
  }
}

/** Queries what the student is least sure of, out of candidates from `candidate`. */
function* active(images: Images, random: Random, candidate: () => Float32Array): Generator<Float32Array, void, Probabilities> {
  const student = new Student(pixels, 32, 10, random)
  for (let i = 0; i < 50; i++) {
    const image = images()
    student.train(image, yield image, 0.05)
  }
  for (;;) {
    let chosen = candidate()
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < 12; i++) {
      const image = candidate()
      const sorted = student.predict(image).sort()
      const margin = (sorted[9] ?? 0) - (sorted[8] ?? 0)
      if (margin < least) {
        least = margin
        chosen = image
      }
    }
    student.train(chosen, yield chosen, 0.05)
  }
}

/** What a thief has; all but the last two can be told from ordinary queries. */
export const extractionAttacks: readonly ExtractionAttack[] = [
  open('uniform noise', (_, random) => Float32Array.from({ length: pixels }, () => random.next())),
  open('crops', (images, random) => crop(images(), random)),
  open('letters', (_, random) => letter(random)),
  open('shapes', (_, random) => shape(random)),
  open('textures', (_, random) => texture(random)),
  open('inverted digits', (images) => images().map((value) => 1 - value)),
  rounds('brightness sweep', brightness),
  rounds('grid sweep', grid),
  rounds('interpolation', interpolation),
  rounds('one pixel at a time', onePixel),
  { name: 'Jacobian augmentation', seeds: 150, queries: (images, random) => jacobian(images, random, 150) },
  { name: 'active learning on letters', seeds: 50, queries: (images, random) => active(images, random, () => letter(random)) },
  {
    name: 'active learning on digits',
    seeds: 50,
    queries: (images, random) => active(images, random, () => augmented(images(), random)),
  },
  open('augmented digits', (images, random) => augmented(images(), random)),
  open('digits of the same source', (images) => images()),
]
