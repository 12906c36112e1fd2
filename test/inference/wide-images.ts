import { buildProfile } from '../../inference/fingerprint/build-profile.ts'
import { seeded } from '../attacks/random.ts'

const channels = 3

/** Smooth coloured fields with a little grain, 0..1: as photographs have, most of what varies is coarse. */
export function wideImage(seed: number, side = 224): Float32Array {
  const random = seeded(seed)
  const waves = Array.from({ length: 8 }, (_, i) => ({
    down: Float32Array.from({ length: side }, wave((1 + i / 2) / side, random.next())),
    across: Float32Array.from({ length: side }, wave((1 + i / 2) / side, random.next())),
    colour: Array.from({ length: channels }, () => (random.normal() * 0.25) / (1 + i / 2)),
  }))
  const image = new Float32Array(side * side * channels)
  for (let row = 0, at = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      for (let channel = 0; channel < channels; channel++, at++) {
        let value = 0.5 + 0.04 * (random.next() - 0.5)
        for (const { down, across, colour } of waves)
          value += (down[row] as number) * (across[column] as number) * (colour[channel] as number)
        image[at] = Math.min(1, Math.max(0, value))
      }
    }
  }
  return image
}

function wave(frequency: number, phase: number): (_: unknown, i: number) => number {
  return (_, i) => Math.cos(2 * Math.PI * (phase + frequency * i))
}

/** The same image with the channels first. */
export function channelsFirst(image: Float32Array): Float32Array {
  const plane = image.length / channels
  return Float32Array.from(image, (_, i) => image[(i % plane) * channels + Math.floor(i / plane)] ?? 0)
}

/** A profile of such images, for a model of two classes that is always sure. */
export function wideProfile(shape: readonly number[], imageOf: (seed: number) => Float32Array): Uint8Array {
  const count = 200
  const outputs = Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 0.99 : 0.01))
  const samples = (first: number) => ({ count, at: (item: number) => imageOf(first + item) })
  return buildProfile({ shape, range: [0, 1], inputs: samples(1_000), calibration: samples(2_000), outputs, classes: 2 })
}
