import { FingerprintError } from './errors.ts'
import { doubtOf } from './fingerprint.ts'
import { inverseCholesky, mahalanobis, project, residualOf, workingDirections } from './geometry.ts'
import { keystream } from './keystream.ts'
import { nearestReference } from './nearest-reference.ts'
import { principalDirections } from './principal.ts'
import { type ClassProfile, encodeProfile, type ReferenceProfile } from './profile.ts'
import { blockFor, type Reduction, reduce, reductionOf } from './reduction.ts'
import { tailTable } from './tail.ts'

/** Inputs one after the other, wherever they lie; what `at` returns is good until the next call. */
export interface Samples {
  readonly count: number
  at(item: number): Float32Array
}

/** @param inputs `[items, width]` row-major */
export function samplesOf(inputs: Float32Array, width: number): Samples {
  return { count: Math.floor(inputs.length / width), at: (item) => inputs.subarray(item * width, (item + 1) * width) }
}

export interface ReferenceSet {
  /** Dimensions of one input; see {@link reductionOf} for how they are read. */
  readonly shape: readonly number[]
  readonly range: readonly [number, number]
  /** What the principal directions are taken from; the training set will do. */
  readonly inputs: Samples
  /** Held out from training, since tails on data that the model knows would be too thin. */
  readonly calibration: Samples
  /** `[calibration.count, classes]`: the model's probabilities for the calibration inputs. */
  readonly outputs: Float32Array
  readonly classes: number
}

interface Calibrated {
  readonly coordinates: Float64Array
  readonly residual: number
  readonly label: number
  readonly doubt: number
}

const principal = 32
const referencesPerClass = 200
/** A class with fewer calibration inputs than this borrows everybody's tails. */
const leastPerClass = 200

/** Directions are taken from at most so many inputs. */
const mostInputs = 60_000

/**
 * Builds the reference profile of one model version (seconds for 28×28, a minute for 224×224×3). The same set gives the
 * same bytes.
 *
 * @returns the content of `profile.bin`
 * @throws FingerprintError `REFERENCE_TOO_SMALL`
 */
export function buildProfile(set: ReferenceSet): Uint8Array {
  const { shape, range, inputs, calibration } = set
  const least = Math.min(inputs.count, calibration.count)
  if (least < leastPerClass)
    throw new FingerprintError('REFERENCE_TOO_SMALL', `A reference profile needs at least ${leastPerClass} inputs; got ${least}.`)
  const block = blockFor(shape)
  const reduction = reductionOf(shape, block)
  const count = Math.min(principal, 4 * Math.floor(reduction.reduced / 4))
  const seed = keystream(new Uint8Array(32), 'principal directions')
  const { mean, pooled } = pool(inputs, reduction)
  const found = principalDirections(pooled, reduction.reduced, count, () => seed.normal())
  const quantised = quantiseRows(found.directions, count, reduction.reduced)
  const kept = Float32Array.from(reduction.cells === null ? found.mean : mean)
  const geometry = { principal: count, width: reduction.width, shape, block, mean: kept, ...quantised }
  const calibrated = calibrate(set, geometry, reduction)
  const byClass = Array.from({ length: set.classes }, (_, c) => calibrated.filter((each) => each.label === c))
  const classes = byClass.map((own) => classProfile(own.length >= leastPerClass ? own : calibrated, count))
  const profile = { ...geometry, range, classes, nearScale: 1, ...references(byClass, count) }
  return encodeProfile({ ...profile, nearScale: nearScaleOf({ ...profile, id: '' }, byClass) })
}

/** The inputs' mean, and the inputs pooled, `[items, reduced]`. */
function pool(inputs: Samples, reduction: Reduction): { mean: Float64Array; pooled: Float32Array } {
  const { width, reduced } = reduction
  const items = Math.min(inputs.count, mostInputs)
  const mean = new Float64Array(width)
  const pooled = new Float32Array(items * reduced)
  const [whole, cells] = [new Float64Array(width), new Float64Array(reduced)]
  for (let item = 0; item < items; item++) {
    whole.set(inputs.at(item))
    for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (whole[i] as number) / items
    reduce(reduction, whole, cells)
    pooled.set(cells, item * reduced)
  }
  return { mean, pooled }
}

function quantiseRows(rows: Float64Array, count: number, width: number): { directions: Int16Array; directionScale: Float32Array } {
  const directions = new Int16Array(count * width)
  const directionScale = new Float32Array(count)
  for (let r = 0; r < count; r++) {
    let largest = 0
    for (let i = 0; i < width; i++) largest = Math.max(largest, Math.abs(rows[r * width + i] ?? 0))
    const scale = Math.fround((largest || 1) / 32_767)
    directionScale[r] = scale
    for (let i = 0; i < width; i++)
      directions[r * width + i] = Math.max(-32_767, Math.min(32_767, Math.round((rows[r * width + i] ?? 0) / scale)))
  }
  return { directions, directionScale }
}

function calibrate(
  { calibration, outputs, classes }: ReferenceSet,
  geometry: Pick<ReferenceProfile, 'directions' | 'directionScale' | 'principal' | 'width' | 'mean'>,
  reduction: Reduction,
): Calibrated[] {
  const { width } = geometry
  const directions = workingDirections(geometry)
  const [centred, pooled] = [new Float64Array(width), new Float64Array(reduction.reduced)]
  return Array.from({ length: calibration.count }, (_, item) => {
    const input = calibration.at(item)
    let squared = 0
    for (let i = 0; i < width; i++) {
      const value = (input[i] ?? 0) - (geometry.mean[i] ?? 0)
      centred[i] = value
      squared += value * value
    }
    const coordinates = new Float64Array(geometry.principal)
    reduce(reduction, centred, pooled)
    project(directions, pooled, reduction.reduced, coordinates)
    const row = outputs.subarray(item * classes, (item + 1) * classes)
    const label = row.indexOf(Math.max(...row))
    return { coordinates, residual: residualOf(squared, coordinates), label, doubt: doubtOf(row[label] ?? 0) }
  })
}

function classProfile(own: readonly Calibrated[], size: number): ClassProfile {
  const mean = new Float64Array(size)
  for (const { coordinates } of own) for (let i = 0; i < size; i++) mean[i] = (mean[i] ?? 0) + (coordinates[i] ?? 0) / own.length
  const covariance = new Float64Array(size * size)
  for (const { coordinates } of own)
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        const product = ((coordinates[i] ?? 0) - (mean[i] ?? 0)) * ((coordinates[j] ?? 0) - (mean[j] ?? 0))
        covariance[i * size + j] = (covariance[i * size + j] ?? 0) + product / own.length
      }
  let trace = 0
  for (let i = 0; i < size; i++) trace += covariance[i * size + i] ?? 0
  const whitening = inverseCholesky(covariance, size, (1e-3 * trace) / size + 1e-9)
  const center = Float32Array.from(mean)
  const tableOf = (statistic: (each: Calibrated) => number) => tailTable(Float64Array.from(own, statistic))
  return {
    mean: center,
    whitening,
    residual: tableOf((each) => each.residual),
    doubt: tableOf((each) => each.doubt),
    distance: tableOf((each) => mahalanobis(each.coordinates, center, whitening)),
  }
}

/** The first of each predicted class: the calibration set is in no order. */
function references(byClass: readonly (readonly Calibrated[])[], size: number) {
  const kept = byClass.map((own) => own.slice(0, referencesPerClass))
  const all = kept.flat()
  let largest = 0
  for (const { coordinates } of all) for (const value of coordinates) largest = Math.max(largest, Math.abs(value))
  const referenceScale = Math.fround((largest || 1) / 32_767)
  const stored = new Int16Array(all.length * size)
  all.forEach(({ coordinates }, r) => {
    for (let i = 0; i < size; i++)
      stored[r * size + i] = Math.max(-32_767, Math.min(32_767, Math.round((coordinates[i] ?? 0) / referenceScale)))
  })
  let start = 0
  const classStart = Int32Array.from([0, ...kept.map((own) => (start += own.length))])
  return { references: stored, referenceScale, referenceResidual: Float32Array.from(all, (each) => each.residual), classStart }
}

/** Median over inputs that are not references themselves. */
function nearScaleOf(profile: ReferenceProfile, byClass: readonly (readonly Calibrated[])[]): number {
  const nearest = nearestReference(profile)
  const others = byClass.flatMap((own) => own.slice(referencesPerClass, 2 * referencesPerClass))
  if (others.length === 0) return (profile.range[1] - profile.range[0]) * Math.sqrt(profile.width) * 0.1
  const distances = Float64Array.from(others, (each) => nearest(each.coordinates, each.residual, each.label)).sort()
  return distances[distances.length >> 1] ?? 1
}
