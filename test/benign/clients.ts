import type { Random } from '../attacks/random.ts'
import { blurred, exposed, noisy, type Pose, quantised, recoded, side, warp } from './image.ts'
import { drawnSteps } from './strokes.ts'

/** Gives natural images, one at a time. */
export type Images = () => Float32Array

/** One kind of ordinary client: its requests, in order. */
export interface BenignKind {
  readonly name: string
  readonly requests: (images: Images, random: Random) => Float32Array[]
}

const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))

/** A smooth path: each pose parameter swings with its own speed and phase. */
function motion(random: Random, reach: number): (t: number) => Pose {
  const swing = (size: number) => {
    const phase = random.between(0, 6)
    const speed = random.between(0.3, 1)
    return (t: number) => size * Math.sin(phase + speed * t)
  }
  const [angle, dx, dy, zoom] = [swing(0.4 * reach), swing(3 * reach), swing(3 * reach), swing(0.12 * reach)]
  return (t) => ({ angle: angle(t), dx: dx(t), dy: dy(t), scale: 1 + zoom(t) })
}

/** Frames of a digit moving and turning smoothly; `sigma` is the sensor's noise. */
function video(images: Images, random: Random, sigma: number): Float32Array[] {
  const image = images()
  const path = motion(random, random.between(0.3, 1.5))
  const rate = random.between(0.02, 0.4)
  return times(80, (i) => noisy(warp(image, path(i * rate)), sigma, random))
}

function pose(random: Random): Pose {
  return {
    angle: 0.2 * random.normal(),
    dx: random.between(-2, 2),
    dy: random.between(-2, 2),
    scale: random.between(0.9, 1.1),
    shear: 0.1 * random.normal(),
  }
}

/** Whole-image augmentations as a test-time ensemble makes them: eight or so for each of several images. */
function augmented(images: Images, random: Random): Float32Array[] {
  const count = 4 + random.below(12)
  return times(10, images).flatMap((image) => [
    image,
    ...times(count, (): Float32Array => {
      const kind = random.below(4)
      if (kind === 0) return warp(image, { dx: random.below(5) - 2, dy: random.below(5) - 2 })
      if (kind === 1) return warp(image, { angle: random.between(-0.25, 0.25) })
      return kind === 2 ? warp(image, pose(random)) : exposed(image, random.between(0.8, 1.2), random.between(-0.1, 0.1))
    }),
  ])
}

function recodings(images: Images, random: Random): Float32Array[] {
  return times(12, images).flatMap((image) => [
    image,
    ...times(6, () => (random.next() < 0.6 ? recoded(image, 20 + random.below(75)) : quantised(image, random.pick([4, 8, 16, 32, 64])))),
  ])
}

/** A user pulls a slider over one image: contrast, brightness, zoom, turn or blur in equal steps. */
function slider(images: Images, random: Random): Float32Array[] {
  return times(4, images).flatMap((image) => {
    const steps = 8 + random.below(16)
    const kind = random.below(5)
    return times(steps, (i) => {
      const t = i / (steps - 1)
      if (kind === 0) return exposed(image, 1, 0.4 * (t - 0.5))
      if (kind === 1) return exposed(image, 0.5 + t, 0)
      if (kind === 2) return warp(image, { scale: 0.7 + 0.6 * t })
      return kind === 3 ? warp(image, { angle: t - 0.5 }) : blurred(image, t)
    })
  })
}

/** One scene dissolves into the next, as in slide shows. */
function fades(images: Images, random: Random): Float32Array[] {
  return times(5, () => [images(), images()] as const).flatMap(([from, to]) => {
    const steps = 3 + random.below(6)
    return times(steps, (i) => from.map((value, p) => value + (i / (steps - 1)) * ((to[p] ?? 0) - value)))
  })
}

function retries(images: Images, random: Random): Float32Array[] {
  return times(60, images).flatMap((image) => times(random.next() < 0.3 ? 1 + random.below(6) : 1, () => image))
}

function staticCamera(images: Images, random: Random, sigma: number): Float32Array[] {
  const scene = warp(images(), pose(random))
  const light = random.between(0, 0.03)
  return times(100, (i) => noisy(exposed(scene, 1, light * Math.sin(i / 15)), sigma, random))
}

/** Randomised smoothing: many noisy copies of each image, for a vote. */
function smoothing(images: Images, random: Random): Float32Array[] {
  const sigma = random.between(0.05, 0.25)
  return times(4, images).flatMap((image) => [image, ...times(20, () => noisy(image, sigma, random))])
}

/** The same probe image again and again, with other work between. */
function healthCheck(images: Images, random: Random): Float32Array[] {
  const probe = images()
  return times(120, () => (random.next() < 0.5 ? probe : images()))
}

/** A client whose images are unlike the reference, all in the same way: white on black, dim, framed, soft or grainy. */
function shifted(images: Images, random: Random): Float32Array[] {
  const kind = random.below(5)
  const frame = random.between(0.3, 1)
  return times(100, () => {
    const image = images()
    if (kind === 0) return image.map((value) => 1 - value)
    if (kind === 1) return exposed(image, 0.4, -0.1)
    if (kind === 2) return image.map((value, i) => (i % side < 2 || i % side > 25 || i < 2 * side || i >= 26 * side ? frame : value))
    return kind === 3 ? blurred(blurred(image, 1), 1) : noisy(image, 0.3, random)
  })
}

/** Which part of an image matters: a grey patch moves over it, row by row (Zeiler and Fergus, 2014). */
function occlusion(images: Images, random: Random): Float32Array[] {
  const size = 4 + random.below(6)
  const grey = random.pick([0, 0.5, 1])
  return times(2, images).flatMap((image) =>
    times(36, (k) => {
      const top = Math.floor(k / 6) * 4
      const left = (k % 6) * 4
      return image.map((value, i) => {
        const row = Math.floor(i / side) - top
        const column = (i % side) - left
        return row >= 0 && row < size && column >= 0 && column < size ? grey : value
      })
    }),
  )
}

export const benignKinds: readonly BenignKind[] = [
  { name: 'ordinary', requests: (images) => times(100, images) },
  { name: 'retries', requests: retries },
  { name: 'health check', requests: healthCheck },
  { name: 'video', requests: (images, random) => video(images, random, 0) },
  { name: 'noisy video', requests: (images, random) => video(images, random, random.between(0.01, 0.05)) },
  { name: 'static camera 0.01', requests: (images, random) => staticCamera(images, random, 0.01) },
  { name: 'static camera 0.02', requests: (images, random) => staticCamera(images, random, 0.02) },
  { name: 'static camera 0.05', requests: (images, random) => staticCamera(images, random, 0.05) },
  { name: 'augmentation', requests: augmented },
  { name: 're-encoding', requests: recodings },
  { name: 'slider', requests: slider },
  { name: 'fades', requests: fades },
  { name: 'smoothing', requests: smoothing },
  { name: 'shifted', requests: shifted },
  { name: 'occlusion map', requests: occlusion },
  { name: 'drawing', requests: (images, random) => times(4, images).flatMap((image) => drawnSteps(image, 10 + random.below(30), random)) },
]

export const pixels = side * side
