import { unit } from './hopskipjump.ts'
import { l2 } from './oracle.ts'

/** The plane through a source, a misread image and a direction, with the source as its origin. */
export interface Plane {
  /** From the source to the misread image. */
  readonly distance: number
  /** The image so far towards the misread one, and so far aside from that, cut to 0..1. */
  at(forth: number, aside: number): Float32Array
}

export function planeOf(source: Float32Array, current: Float32Array, direction: Float32Array): Plane {
  const towards = unit(current.map((value, i) => value - (source[i] ?? 0)))
  let along = 0
  for (let i = 0; i < towards.length; i++) along += (towards[i] ?? 0) * (direction[i] ?? 0)
  const across = unit(direction.map((value, i) => value - along * (towards[i] ?? 0)))
  return {
    distance: l2(current, source),
    at: (forth, aside) => source.map((value, i) => Math.min(1, Math.max(0, value + forth * (towards[i] ?? 0) + aside * (across[i] ?? 0)))),
  }
}

/** The point of the circle over source and misread image at so many radians from the latter: every point of it is nearer. */
export function onCircle({ distance, at }: Plane, radians: number): Float32Array {
  return at(distance * Math.cos(radians) ** 2, distance * Math.cos(radians) * Math.sin(radians))
}
