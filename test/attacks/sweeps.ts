import type { Images } from '../benign/clients.ts'
import { blurred, exposed, noisy, quantised, recoded, side, warp } from '../benign/image.ts'
import type { Probabilities } from './extraction-attacks.ts'
import { blend } from './oracle.ts'
import type { Random } from './random.ts'

type Sweep = Generator<Float32Array, void, Probabilities>

const pixels = side * side
const top = (answer: Probabilities) => answer.indexOf(Math.max(...answer))

/**
 * Equation solving on a grid: every block of pixels alone at every level, then in pairs. Tramèr, Zhang, Juels, Reiter and
 * Ristenpart, "Stealing machine learning models via prediction APIs", USENIX Security 2016, section 4.1.
 */
export function* blockGrid(random: Random): Sweep {
  const cells = random.pick([4, 7])
  const size = side / cells
  const lit = (blocks: readonly number[], level: number) =>
    Float32Array.from({ length: pixels }, (_, i) =>
      blocks.includes(Math.floor(Math.floor(i / side) / size) * cells + Math.floor((i % side) / size)) ? level : 0,
    )
  for (let block = 0; block < cells * cells; block++) for (let level = 1; level <= 4; level++) yield lit([block], level / 4)
  for (;;) yield lit([random.below(cells * cells), random.below(cells * cells)], random.below(5) / 4)
}

/** Line-search retraining of the same paper, section 4.1.3: random inputs, then bisections between those of other labels. */
export function* lineSearch(random: Random): Sweep {
  const fresh = () => Float32Array.from({ length: pixels }, () => (random.next() < 0.2 ? random.next() : 0))
  let last = fresh()
  let label = top(yield last)
  for (;;) {
    const next = fresh()
    const other = top(yield next)
    let [low, high] = [0, 1]
    const steps = other === label ? 0 : 8
    for (let n = 0; n < steps; n++) {
      const middle = (low + high) / 2
      if (top(yield blend(last, next, middle)) === label) low = middle
      else high = middle
    }
    last = next
    label = other
  }
}

/** A natural image cut off at every row or column, from one of the four sides. */
export function* truncations(images: Images, random: Random): Sweep {
  for (;;) {
    const image = images()
    const from = random.below(4)
    const stride = 1 + random.below(3)
    for (let cut = 2; cut <= 26; cut += stride)
      yield image.map((value, i) => {
        const [row, column] = [Math.floor(i / side), i % side]
        const at = [row, side - 1 - row, column, side - 1 - column][from] ?? 0
        return at >= cut ? 0 : value
      })
  }
}

/** One thing changed at a time, in even steps over its whole range: angle, size, place, contrast, blur, levels, quality. */
export function* oneAtATime(images: Images, random: Random): Sweep {
  const changes: readonly ((image: Float32Array, t: number) => Float32Array)[] = [
    (image, t) => warp(image, { angle: t - 0.5 }),
    (image, t) => warp(image, { scale: 0.7 + 0.6 * t }),
    (image, t) => warp(image, { dx: 8 * t - 4 }),
    (image, t) => warp(image, { dy: 8 * t - 4 }),
    (image, t) => exposed(image, 0.3 + 1.4 * t, 0),
    (image, t) => blurred(image, t),
    (image, t) => quantised(image, 2 + Math.round(14 * t)),
    (image, t) => recoded(image, 5 + Math.round(90 * t)),
  ]
  for (;;) {
    const image = images()
    const steps = 6 + random.below(10)
    for (const change of changes) for (let i = 0; i < steps; i++) yield change(image, i / (steps - 1))
  }
}

/** Natural images under ever stronger noise, to see where answers turn. */
export function* noiseSweep(images: Images, random: Random): Sweep {
  for (;;) {
    const image = images()
    for (let k = 1; k <= 12; k++) yield noisy(image, 0.04 * k, random)
  }
}

/** Natural images with their pixels in another, fixed order: their statistics without their sense. */
export function* shuffledPixels(images: Images, random: Random): Sweep {
  const order = Array.from({ length: pixels }, (_, i) => ({ i, at: random.next() })).sort((a, b) => a.at - b.at)
  for (;;) {
    const image = images()
    yield Float32Array.from(order, ({ i }) => image[i] ?? 0)
  }
}
