import type { Random } from '../attacks/random.ts'
import { side, warp } from './image.ts'

/** Points of the coarse field of displacements; bilinear between them, so that neighbours move together. */
const points = 6
const reach = 1.1

/**
 * Another writing of the same figure: a smooth random field of displacements over it, after a slight turn, zoom and shear.
 * In the manner of Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
 * analysis", ICDAR 2003; a coarse field, interpolated, stands for theirs, smoothed. Generated, not written by anybody:
 * what real people send varies otherwise.
 */
export function rewritten(image: Float32Array, random: Random): Float32Array {
  const pose = { angle: 0.08 * random.normal(), scale: 1 + 0.05 * random.normal(), shear: 0.08 * random.normal() }
  const posed = warp(image, pose)
  const field = Float64Array.from({ length: 2 * points * points }, () => reach * random.normal())
  const out = new Float32Array(image.length)
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [dx, dy] = [at(field, row, column, 0), at(field, row, column, 1)]
      out[row * side + column] = sampled(posed, row + dy, column + dx)
    }
  }
  return out
}

function at(field: Float64Array, row: number, column: number, axis: 0 | 1): number {
  const [v, u] = [(row / (side - 1)) * (points - 1.001), (column / (side - 1)) * (points - 1.001)]
  const [top, left] = [Math.floor(v), Math.floor(u)]
  const [fy, fx] = [v - top, u - left]
  const value = (r: number, c: number) => field[2 * (r * points + c) + axis] ?? 0
  return (
    (1 - fy) * ((1 - fx) * value(top, left) + fx * value(top, left + 1)) +
    fy * ((1 - fx) * value(top + 1, left) + fx * value(top + 1, left + 1))
  )
}

/** Bilinear; paper outside. */
function sampled(image: Float32Array, row: number, column: number): number {
  const [top, left] = [Math.floor(row), Math.floor(column)]
  const [fy, fx] = [row - top, column - left]
  const value = (r: number, c: number) => (r < 0 || c < 0 || r >= side || c >= side ? 0 : (image[r * side + c] ?? 0))
  return (
    (1 - fy) * ((1 - fx) * value(top, left) + fx * value(top, left + 1)) +
    fy * ((1 - fx) * value(top + 1, left) + fx * value(top + 1, left + 1))
  )
}
