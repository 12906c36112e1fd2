import { side } from '../benign/image.ts'
import { letter } from './extraction-letters.ts'
import type { Random } from './random.ts'
import { Waves } from './waves.ts'

/** Kinds of pictures that are no digits: what a thief without data of the model's own kind has lying around. */
export interface Drawing {
  readonly name: string
  readonly draw: (random: Random) => Float32Array
}

const clip = (value: number) => Math.min(1, Math.max(0, value))
const waves = new Waves(side, 12)

function filled(shade: (x: number, y: number) => number): Float32Array {
  return Float32Array.from({ length: side * side }, (_, i) => clip(shade(i % side, Math.floor(i / side))))
}

/** A pen that wanders and turns slowly. */
function scribble(random: Random): Float32Array {
  const image = new Float32Array(side * side)
  let [x, y, heading] = [random.between(8, 20), random.between(8, 20), random.between(0, 6.28)]
  let turn = 0
  for (let n = 40 + random.below(60); n > 0; n--) {
    turn = 0.8 * turn + 0.25 * random.normal()
    heading += turn
    // Back to the middle at the margin.
    if (Math.hypot(x - 14, y - 14) > 9) heading = Math.atan2(14 - y, 14 - x) + 0.5 * random.normal()
    x += 0.6 * Math.cos(heading)
    y += 0.6 * Math.sin(heading)
    dab(image, x, y)
  }
  return image
}

function dab(image: Float32Array, x: number, y: number): void {
  for (let row = Math.floor(y) - 1; row <= y + 2; row++)
    for (let column = Math.floor(x) - 1; column <= x + 2; column++) {
      if (row < 0 || column < 0 || row >= side || column >= side) continue
      const at = row * side + column
      image[at] = Math.max(image[at] ?? 0, clip(1.8 - Math.hypot(column - x, row - y)))
    }
}

/** A sign of two to four straight or bent strokes on a grid, as in unknown scripts. */
function glyph(random: Random): Float32Array {
  const image = new Float32Array(side * side)
  for (let strokes = 2 + random.below(3); strokes > 0; strokes--) {
    const point = () => [6 + 4 * random.below(5), 6 + 4 * random.below(5)] as const
    const [from, bend, to] = [point(), point(), point()]
    const bent = random.next() < 0.5
    for (let t = 0; t <= 1; t += 0.02) {
      const at = (k: 0 | 1) => (bent ? (1 - t) ** 2 * from[k] + 2 * t * (1 - t) * bend[k] + t * t * to[k] : from[k] + t * (to[k] - from[k]))
      dab(image, at(0), at(1))
    }
  }
  return image
}

/** Soft clouds with the spectrum of photographs, amplitudes falling as 1/f. */
function clouds(random: Random): Float32Array {
  const coefficients = Float32Array.from(
    { length: waves.size },
    (_, i) => (4 * random.normal()) / (0.5 + Math.hypot(i % 12, Math.floor(i / 12))),
  )
  return waves.image(coefficients).map((value) => clip(value + 0.3))
}

function checks(random: Random): Float32Array {
  const [size, shift] = [2 + random.below(6), random.below(6)]
  const tilt = random.between(-0.5, 0.5)
  return filled((x, y) => (Math.floor((x + shift + tilt * y) / size) + Math.floor((y - tilt * x) / size)) & 1)
}

function ramp(random: Random): Float32Array {
  const [dx, dy, middle] = [random.normal(), random.normal(), random.between(0.2, 0.8)]
  return filled((x, y) => middle + 0.06 * (dx * (x - 14) + dy * (y - 14)))
}

/** A face: an oval with eyes and a mouth. */
function face(random: Random): Float32Array {
  const [rx, ry, smile] = [random.between(7, 11), random.between(8, 12), random.between(-2, 3)]
  const near = (d: number) => 1.6 - Math.abs(d)
  return filled((x, y) => {
    const [u, v] = [x - 14, y - 14]
    const outline = near((Math.hypot(u / rx, v / ry) - 1) * 9)
    const eyes = 2 - Math.hypot(Math.abs(u) - 3.5, v + 3)
    const mouth = Math.abs(u) < 5 ? near(v - 5 + smile * (u / 5) ** 2) : 0
    return Math.max(outline, eyes, mouth)
  })
}

/** Two letters over each other. */
function monogram(random: Random): Float32Array {
  const [a, b] = [letter(random), letter(random)]
  return a.map((value, i) => Math.max(value, b[i] ?? 0))
}

export const drawings: readonly Drawing[] = [
  { name: 'letters', draw: letter },
  { name: 'scribbles', draw: scribble },
  { name: 'glyphs', draw: glyph },
  { name: 'clouds', draw: clouds },
  { name: 'checks', draw: checks },
  { name: 'ramps', draw: ramp },
  { name: 'faces', draw: face },
  { name: 'monograms', draw: monogram },
]
