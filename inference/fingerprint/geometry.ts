import { orthonormalise } from './orthonormal.ts'
import type { ReferenceProfile } from './profile.ts'

/** The profile's directions in working precision: `[principal, values of a pooled input]`, orthonormal rows. */
export function workingDirections(profile: Pick<ReferenceProfile, 'directions' | 'directionScale' | 'principal'>): Float64Array {
  const { principal } = profile
  const width = profile.directions.length / principal
  const rows = new Float64Array(principal * width)
  for (let r = 0; r < principal; r++) {
    const scale = profile.directionScale[r] ?? 0
    for (let i = 0; i < width; i++) rows[r * width + i] = (profile.directions[r * width + i] ?? 0) * scale
  }
  orthonormalise(rows, principal, width)
  return rows
}

/** Length of a vector from the principal subspace, from its squared length and its coordinates there. */
export function residualOf(squaredLength: number, coordinates: Float64Array): number {
  let rest = squaredLength
  for (const value of coordinates) rest -= value * value
  return Math.sqrt(Math.max(0, rest))
}

/** Mahalanobis distance: `|whitening · (coordinates − mean)|`, whitening a lower triangle by rows. */
export function mahalanobis(coordinates: Float64Array, mean: Float32Array, whitening: Float32Array): number {
  let total = 0
  let at = 0
  for (let i = 0; i < coordinates.length; i++) {
    let sum = 0
    for (let j = 0; j <= i; j++, at++) sum += (whitening[at] as number) * ((coordinates[j] as number) - (mean[j] as number))
    total += sum * sum
  }
  return Math.sqrt(total)
}

/** Inverse of the Cholesky factor of a covariance, lower triangle by rows. `ridge` keeps it positive definite. */
export function inverseCholesky(covariance: Float64Array, size: number, ridge: number): Float32Array {
  const factor = cholesky(covariance, size, ridge)
  const inverse = new Float64Array(size * size)
  for (let column = 0; column < size; column++) {
    inverse[column * size + column] = 1 / (factor[column * size + column] as number)
    for (let row = column + 1; row < size; row++) {
      let sum = 0
      for (let k = column; k < row; k++) sum += (factor[row * size + k] as number) * (inverse[k * size + column] as number)
      inverse[row * size + column] = -sum / (factor[row * size + row] as number)
    }
  }
  const packed = new Float32Array((size * (size + 1)) / 2)
  let at = 0
  for (let row = 0; row < size; row++) for (let column = 0; column <= row; column++) packed[at++] = inverse[row * size + column] as number
  return packed
}

function cholesky(covariance: Float64Array, size: number, ridge: number): Float64Array {
  const factor = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = covariance[i * size + j] as number
      if (i === j) sum += ridge
      for (let k = 0; k < j; k++) sum -= (factor[i * size + k] as number) * (factor[j * size + k] as number)
      factor[i * size + j] = i === j ? Math.sqrt(Math.max(sum, ridge)) : sum / (factor[j * size + j] as number)
    }
  }
  return factor
}
