import type { ReferenceProfile } from './profile.ts'

/**
 * Distance to the nearest reference input. What two inputs have outside the principal subspace is close to
 * orthogonal unless one was made from the other, so d² = |coordinates' difference|² + residual² + residual².
 */
export function nearestReference(profile: ReferenceProfile): (coordinates: Float64Array, residual: number, label: number) => number {
  const { principal, classStart, referenceResidual } = profile
  const references = Float32Array.from(profile.references, (value) => value * profile.referenceScale)
  const count = referenceResidual.length

  // Partial sums, a quarter at a time, against the best so far: most references are out after eight coordinates.
  const scan = (coordinates: Float64Array, from: number, until: number, bound: number) => {
    let best = bound
    for (let r = from; r < until; r++) {
      const rest = referenceResidual[r] as number
      let sum = rest * rest
      const base = r * principal
      for (let i = 0; i < principal && sum < best; i += 4) {
        const a = (coordinates[i] as number) - (references[base + i] as number)
        const b = (coordinates[i + 1] as number) - (references[base + i + 1] as number)
        const c = (coordinates[i + 2] as number) - (references[base + i + 2] as number)
        const d = (coordinates[i + 3] as number) - (references[base + i + 3] as number)
        sum += a * a + b * b + c * c + d * d
      }
      if (sum < best) best = sum
    }
    return best
  }
  return (coordinates, residual, label) => {
    // The class predicted first: its references are near, and a near one early prunes the rest.
    const own = scan(coordinates, classStart[label] ?? 0, classStart[label + 1] ?? 0, Number.POSITIVE_INFINITY)
    const best = scan(coordinates, 0, count, own)
    return Number.isFinite(best) ? Math.sqrt(best + residual * residual) : 0
  }
}
