import { FingerprintError } from './errors.ts'
import { doubtOf } from './fingerprint.ts'
import { inverseCholesky, mahalanobis, residualOf, workingDirections } from './geometry.ts'
import { keystream } from './keystream.ts'
import { nearestReference } from './nearest-reference.ts'
import { logNormal, mostOrdinary, oddness } from './ordinary.ts'
import { type Principal, principalDirections } from './principal.ts'
import { type ClassProfile, encodeProfile, type ReferenceProfile } from './profile.ts'
import { Projection } from './projection.ts'
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
  /**
   * Share of both that may be an attacker's, because they were taken from traffic; at most 0.3, default 0. Up to so many that
   * lie farther out than the tails of the others explain are then no example.
   */
  readonly suspect?: number
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

/** What is suspect is left out so many times, each time by what the last one left. */
const trimmings = 3
const directionTrimmings = 2
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
  const { shape, range, inputs, calibration, suspect = 0 } = set
  const least = Math.min(inputs.count, calibration.count)
  if (least < leastPerClass)
    throw new FingerprintError('REFERENCE_TOO_SMALL', `A reference profile needs at least ${leastPerClass} inputs; got ${least}.`)
  const block = blockFor(shape)
  const reduction = reductionOf(shape, block)
  const count = Math.min(principal, 4 * Math.floor(reduction.reduced / 4))
  const found = directionsOf(set, reduction, count)
  const quantised = quantiseRows(found.directions, count, reduction.reduced)
  const geometry = { principal: count, width: reduction.width, shape, block, mean: found.whole, ...quantised }
  const all = calibrate(set, geometry, reduction)
  const calibrated = suspect === 0 ? all : ordinaryOf(all, set.classes, count, suspect)
  const byClass = Array.from({ length: set.classes }, (_, c) => calibrated.filter((each) => each.label === c))
  const classes = byClass.map((own) => classProfile(own.length >= leastPerClass ? own : calibrated, count, suspect > 0))
  const profile = { ...geometry, range, classes, nearScale: 1, ...references(byClass, count) }
  return encodeProfile({ ...profile, nearScale: nearScaleOf({ ...profile, id: '' }, byClass) })
}

interface Directions {
  readonly directions: Float64Array
  /** Mean of the inputs as they are, not pooled. */
  readonly whole: Float32Array
}

/** Where some are suspect, those that lie too far from the directions are left out, and the directions are taken once more. */
function directionsOf({ inputs, suspect = 0 }: ReferenceSet, reduction: Reduction, count: number): Directions {
  const seed = keystream(new Uint8Array(32), 'principal directions')
  const { reduced } = reduction
  const items = Array.from({ length: Math.min(inputs.count, mostInputs) }, (_, item) => item)
  const everything = pool(inputs, items, reduction)
  let { mean, pooled } = everything
  let found = principalDirections(pooled, reduced, count, () => seed.normal())
  const rounds = suspect > 0 ? directionTrimmings : 0
  for (let round = 0; round < rounds; round++) {
    const residuals = residualsOf(everything.pooled, found, reduced)
    const most = mostOrdinary(residuals, suspect, logNormal)
    const kept = items.filter((item) => (residuals[item] as number) <= most)
    ;({ mean, pooled } = pool(inputs, kept, reduction))
    found = principalDirections(pooled, reduced, count, () => seed.normal())
  }
  return { directions: found.directions, whole: Float32Array.from(reduction.cells === null ? found.mean : mean) }
}

/** The mean of some inputs, and these inputs pooled, `[items, reduced]`. */
function pool(inputs: Samples, items: readonly number[], reduction: Reduction): { mean: Float64Array; pooled: Float32Array } {
  const { width, reduced } = reduction
  const mean = new Float64Array(width)
  const pooled = new Float32Array(items.length * reduced)
  const [whole, cells] = [new Float64Array(width), new Float64Array(reduced)]
  items.forEach((item, to) => {
    whole.set(inputs.at(item))
    for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (whole[i] as number) / items.length
    reduce(reduction, whole, cells)
    pooled.set(cells, to * reduced)
  })
  return { mean, pooled }
}

/** Distance of each pooled input from the subspace. */
function residualsOf(pooled: Float32Array, { mean, directions }: Principal, width: number): Float64Array {
  const projection = new Projection(directions, width)
  const [centred, along] = [new Float64Array(width), new Float64Array(directions.length / width)]
  return Float64Array.from({ length: pooled.length / width }, (_, item) => {
    let squared = 0
    for (let i = 0; i < width; i++) {
      const value = (pooled[item * width + i] as number) - (mean[i] as number)
      centred[i] = value
      squared += value * value
    }
    projection.apply(centred, along)
    return residualOf(squared, along)
  })
}

type Statistic = (each: Calibrated) => number

/**
 * Without those that an attacker brought. First those that are far out in all of the traffic: an attack may be most of the class
 * that it is taken for. Then, against their own class, those that are odd in residual, doubt and distance together.
 */
function ordinaryOf(all: readonly Calibrated[], classes: number, size: number, suspect: number): readonly Calibrated[] {
  const residuals = Float64Array.from(all, (each) => each.residual)
  const most = mostOrdinary(residuals, suspect, logNormal)
  let left = all.filter((each) => each.residual <= most)
  let budget = suspect * all.length - (all.length - left.length)
  for (let round = 0; round < trimmings && budget >= 1; round++) {
    const known = oddnessOf(left, classes, size)
    const oddnessAt = (each: Calibrated) => known.get(each) ?? 0
    const limit = mostOrdinary(Float64Array.from(left, oddnessAt), budget / left.length, oddness)
    const kept = left.filter((each) => oddnessAt(each) <= limit)
    budget -= left.length - kept.length
    left = kept
  }
  return left
}

/** By how many deviations of its class's lower half an input is above the middle, in all three together. */
function oddnessOf(all: readonly Calibrated[], classes: number, size: number): ReadonlyMap<Calibrated, number> {
  const known = new Map<Calibrated, number>()
  for (let c = 0; c < classes; c++) {
    const own = all.filter((each) => each.label === c)
    if (own.length <= 2 * size) continue
    const { center, whitening } = momentsOf(own, size)
    const statistics: readonly Statistic[] = [
      (each) => each.residual,
      (each) => each.doubt,
      (each) => unknownDistance(mahalanobis(each.coordinates, center, whitening), own.length),
    ]
    for (const statistic of statistics) {
      const values = own.map((each) => Math.log(Math.max(statistic(each), 1e-9)))
      const sorted = values.toSorted((a, b) => a - b)
      const [low = 0, middle = 0] = [sorted[Math.floor(0.1 * own.length)], sorted[own.length >> 1]]
      own.forEach((each, i) => {
        const above = Math.max(0, (values[i] as number) - middle) / Math.max(middle - low, 1e-9)
        known.set(each, (known.get(each) ?? 0) + above)
      })
    }
  }
  return known
}

/**
 * What an item's distance would be had it not been among the items that mean and covariance were taken from (the
 * Sherman–Morrison formula). Far ones draw both towards them: without this, tails are too thin.
 */
function unknownDistance(distance: number, items: number): number {
  const squared = distance * distance
  return Math.sqrt((items / (items - 1)) * (squared / Math.max(1e-3, 1 - squared / (items - 1))))
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
  const projection = new Projection(workingDirections(geometry), reduction.reduced)
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
    projection.apply(pooled, coordinates)
    const row = outputs.subarray(item * classes, (item + 1) * classes)
    const label = row.indexOf(Math.max(...row))
    return { coordinates, residual: residualOf(squared, coordinates), label, doubt: doubtOf(row[label] ?? 0) }
  })
}

/** @param unknown whether distances are as those of items that are not among `own` */
function classProfile(own: readonly Calibrated[], size: number, unknown: boolean): ClassProfile {
  const { center, whitening } = momentsOf(own, size)
  const tableOf = (statistic: Statistic) => tailTable(Float64Array.from(own, statistic))
  const distanceOf: Statistic = ({ coordinates }) => mahalanobis(coordinates, center, whitening)
  return {
    mean: center,
    whitening,
    residual: tableOf((each) => each.residual),
    doubt: tableOf((each) => each.doubt),
    distance: tableOf(unknown ? (each) => unknownDistance(distanceOf(each), own.length) : distanceOf),
  }
}

/** Mean and inverse Cholesky factor of the covariance, in principal coordinates. */
function momentsOf(own: readonly Calibrated[], size: number): { center: Float32Array; whitening: Float32Array } {
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
  return { center: Float32Array.from(mean), whitening: inverseCholesky(covariance, size, (1e-3 * trace) / size + 1e-9) }
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
  const distances = Float64Array.from(others, (each) => nearest(each.coordinates, each.residual)).sort()
  return distances[distances.length >> 1] ?? 1
}
