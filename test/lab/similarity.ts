import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSketch, sketchDistance } from '../../detectors/statistics/sketch.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { wideImage, wideProfile } from '../inference/wide-images.ts'
import { labOptions } from './options.ts'

const about = `Measures the fingerprint's distances: how far from the true L2 distance, and whether what is near shares a band, for changes of one input
and for different inputs, on handwriting and on wide images.`

const options = labOptions(about, {
  inputs: { type: 'string', default: '200' },
  wide: { type: 'string', default: '20' },
  seed: { type: 'string', default: '4800001' },
  json: { type: 'boolean', default: false },
})

/** `[side, side, channels]`, 0..1. */
interface Size {
  readonly side: number
  readonly channels: number
}
type Change = (image: Float32Array, size: Size, random: Random) => Float32Array

const clip = (value: number) => Math.min(1, Math.max(0, value))

function noise(deviation: number): Change {
  return (image, _, random) => image.map((value) => clip(value + deviation * random.normal()))
}

/** Each pixel from where `place` says in the original, bilinear; outside is the nearest edge. */
function moved(image: Float32Array, { side, channels }: Size, place: (at: number) => number, placeAcross = place): Float32Array {
  const out = new Float32Array(image.length)
  const within = (at: number) => Math.min(side - 1, Math.max(0, at))
  for (let row = 0; row < side; row++) {
    const y = within(place(row))
    const [top, bottom] = [Math.floor(y), Math.ceil(y)]
    for (let column = 0; column < side; column++) {
      const x = within(placeAcross(column))
      const [left, right] = [Math.floor(x), Math.ceil(x)]
      for (let c = 0; c < channels; c++) {
        const at = (r: number, k: number) => image[(r * side + k) * channels + c] as number
        const upper = at(top, left) * (1 - x + left) + at(top, right) * (x - left)
        const lower = at(bottom, left) * (1 - x + left) + at(bottom, right) * (x - left)
        out[(row * side + column) * channels + c] = upper * (1 - y + top) + lower * (y - top)
      }
    }
  }
  return out
}

const shifted =
  (by: number): Change =>
  (image, size) =>
    moved(
      image,
      size,
      (at) => at,
      (at) => at - by,
    )
/** The middle, this share of each side, drawn larger. */
const cropped =
  (share: number): Change =>
  (image, size) =>
    moved(image, size, (at) => (at - (size.side - 1) / 2) * share + (size.side - 1) / 2)
const contrasted =
  (by: number): Change =>
  (image) =>
    image.map((value) => clip(0.5 + by * (value - 0.5)))

/** Made smaller by the mean of blocks, and large again. */
const resized =
  (by: number): Change =>
  (image, { side, channels }) => {
    const small = Math.ceil(side / by)
    const sums = new Float32Array(small * small * channels)
    const counts = new Float32Array(small * small)
    const cell = (i: number) => {
      const pixel = Math.floor(i / channels)
      return Math.floor(Math.floor(pixel / side) / by) * small + Math.floor((pixel % side) / by)
    }
    image.forEach((value, i) => {
      const to = cell(i)
      sums[to * channels + (i % channels)] = (sums[to * channels + (i % channels)] as number) + value
      if (i % channels === 0) counts[to] = (counts[to] as number) + 1
    })
    return image.map((_, i) => (sums[cell(i) * channels + (i % channels)] as number) / (counts[cell(i)] as number))
  }

const cosines = Float64Array.from({ length: 64 }, (_, i) => {
  const [frequency, at] = [i >> 3, i % 8]
  return Math.sqrt((frequency === 0 ? 1 : 2) / 8) * Math.cos(((2 * at + 1) * frequency * Math.PI) / 16)
})

/** What JPEG does to each channel: cosines of 8×8 blocks, rounded to steps that grow with frequency. */
const compressed =
  (step: number): Change =>
  (image, { side, channels }) => {
    const out = image.slice()
    const block = new Float64Array(64)
    for (let top = 0; top < side; top += 8)
      for (let left = 0; left < side; left += 8)
        for (let c = 0; c < channels; c++) {
          const at = (i: number) => (Math.min(side - 1, top + (i >> 3)) * side + Math.min(side - 1, left + (i % 8))) * channels + c
          for (let i = 0; i < 64; i++) block[i] = image[at(i)] as number
          transform(block, false)
          for (let i = 0; i < 64; i++) {
            const width = (step * (1 + (i >> 3) + (i % 8))) / 2
            block[i] = Math.round((block[i] as number) / width) * width
          }
          transform(block, true)
          for (let i = 0; i < 64; i++) if (top + (i >> 3) < side && left + (i % 8) < side) out[at(i)] = clip(block[i] as number)
        }
    return out
  }

/** In place, rows and then columns. */
function transform(block: Float64Array, back: boolean): void {
  const line = new Float64Array(8)
  for (const [stride, next] of [
    [1, 8],
    [8, 1],
  ] as const)
    for (let l = 0; l < 8; l++) {
      for (let k = 0; k < 8; k++) {
        let sum = 0
        for (let i = 0; i < 8; i++) sum += (cosines[back ? i * 8 + k : k * 8 + i] as number) * (block[l * next + i * stride] as number)
        line[k] = sum
      }
      for (let k = 0; k < 8; k++) block[l * next + k * stride] = line[k] as number
    }
}

/** Shifts are of a 28th of the side, whatever the side. */
function changesOf({ side }: Size): readonly (readonly [string, Change])[] {
  const unit = side / 28
  return [
    ...[0.01, 0.02, 0.05, 0.1].map((deviation) => [`noise σ ${deviation}`, noise(deviation)] as const),
    ...[0.5, 1, 2].map((by) => [`shift ${by}/28 of the side`, shifted(by * unit)] as const),
    ...[0.95, 0.9, 0.8].map((share) => [`crop to ${100 * share} %`, cropped(share)] as const),
    ...[0.9, 0.7, 1.3].map((by) => [`contrast × ${by}`, contrasted(by)] as const),
    ...[0.1, 0.3].map((step) => [`JPEG-like, step ${step}`, compressed(step)] as const),
    ['half of the size and back', resized(2)],
    ['a quarter of the size and back', resized(4)],
  ]
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2
  return Math.sqrt(sum)
}

function meet(a: Fingerprint, b: Fingerprint): boolean {
  const [own, other] = [Buffer.from(a.bands, 'base64'), Buffer.from(b.bands, 'base64')]
  for (let at = 0; at < own.length; at += 4) if (own.readUInt32LE(at) === other.readUInt32LE(at)) return true
  return false
}

const rows: Record<string, string | number>[] = []

function measure(what: string, images: readonly Float32Array[], profile: Uint8Array, size: Size): void {
  const fingerprinter = openFingerprinter({ profile, key: new Uint8Array(32).fill(9), epoch: 0 })
  const output = Float32Array.from({ length: 10 }, (_, i) => (i === 0 ? 0.91 : 0.01))
  const of = (image: Float32Array) => fingerprinter.fingerprint(image, output)
  const known = images.map((image) => ({ image, print: of(image), sketch: readSketch(of(image).sketch).slice() }))
  const line = (change: string, pairs: readonly (readonly [(typeof known)[number], Float32Array])[]) => {
    let [links, relative, squares, length] = [0, 0, 0, 0]
    for (const [{ image, print, sketch }, other] of pairs) {
      const found = of(other)
      const [truth, estimate] = [distance(image, other), sketchDistance(sketch, readSketch(found.sketch)) * found.scale]
      if (meet(print, found)) links++
      squares += (estimate / truth - 1) ** 2
      relative += truth / print.referenceDistance
      length += truth
    }
    const mean = (sum: number) => (sum / pairs.length).toPrecision(2)
    rows.push({
      what,
      change,
      pairs: pairs.length,
      l2: mean(length),
      'to the nearest reference': mean(relative),
      'error of the distance, RMS %': (100 * Math.sqrt(squares / pairs.length)).toFixed(1),
      'bands meet, %': ((100 * links) / pairs.length).toFixed(1),
    })
  }
  const random = seeded(Number(options.seed))
  for (const [name, change] of changesOf(size))
    line(
      name,
      known.map((each) => [each, change(each.image, size, random)] as const),
    )
  line(
    'another input',
    known.map((each, i) => [each, (known[(i + 1) % known.length] ?? each).image] as const),
  )
}

const digits = loadMnist('test')
const random = seeded(Number(options.seed) + 1)
const digit = () => {
  const at = digits.count / 2 + random.below(digits.count / 2)
  return digits.images.subarray(at * pixels, (at + 1) * pixels)
}
const builtIn = readFileSync(fileURLToPath(new URL('../../inference/models/digits/1/profile.bin', import.meta.url)))
measure('28×28', Array.from({ length: Number(options.inputs) }, digit), builtIn, { side: 28, channels: 1 })
const wide = Array.from({ length: Number(options.wide) }, (_, i) => wideImage(Number(options.seed) + 10 + i))
if (wide.length > 0) measure('224×224×3', wide, wideProfile([224, 224, 3], wideImage), { side: 224, channels: 3 })
if (options.json) console.log(JSON.stringify(rows, null, 2))
else {
  const names = Object.keys(rows[0] ?? {})
  console.log(`| ${names.join(' | ')} |\n|${names.map(() => ' --- |').join('')}`)
  for (const row of rows) console.log(`| ${names.map((name) => row[name]).join(' | ')} |`)
}
