import { type AttackResult, Attempt, blend, l2, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'

export interface BoundaryOptions {
  readonly random: Random
  readonly budget: number
  /** An image that the model reads as something else; without it, uniform noise until one is found. */
  readonly start?: Float32Array
  /** Length of the orthogonal step, and of the step towards the source, against the distance left. */
  readonly orthogonal?: number
  readonly towards?: number
  /** Bisect from the start to the boundary before walking along it. */
  readonly bisect?: boolean
}

/**
 * Boundary attack: decision-based, walks along the boundary towards the source.
 * Brendel, Rauber and Bethge, "Decision-based adversarial attacks: reliable attacks against black-box machine
 * learning models", ICLR 2018. Step sizes adapt to the share of successes as there (25 % and 50 %).
 */
export function boundaryAttack(oracle: Oracle, target: Target, options: BoundaryOptions): Promise<AttackResult> {
  const attempt = new Attempt(oracle, target, options.budget)
  return attempt.run(async () => {
    let current = options.start ?? (await noiseStart(attempt, options.random))
    if (current === null) return
    if (options.start !== undefined && !(await attempt.fools(current))) return
    if (options.bisect ?? true) current = await bisectToBoundary(attempt, current, 0.005)
    let orthogonal = options.orthogonal ?? 0.05
    let towards = options.towards ?? 0.05
    let trials = 0
    let sideways = 0
    let forwards = 0
    for (;;) {
      const round = sphericalStep(current, target.source, orthogonal, options.random)
      trials++
      if (await attempt.fools(round)) {
        sideways++
        const nearer = blend(round, target.source, towards)
        if (await attempt.fools(nearer)) {
          forwards++
          current = nearer
        }
      }
      if (trials === 10) {
        orthogonal *= sideways / trials < 0.5 ? 0.9 : 1.1
        towards *= sideways > 0 && forwards / sideways < 0.25 ? 0.8 : 1.2
        trials = sideways = forwards = 0
      }
    }
  })
}

/**
 * Noise that the model reads as something else than the target: uniform, weaker at every try, since a model may
 * read all strong noise as one class. Null after 12 tries.
 */
export async function noiseStart(attempt: Attempt, random: Random): Promise<Float32Array | null> {
  for (let strength = 1; strength > 0.04; strength *= 0.75) {
    const noise = Float32Array.from(attempt.target.source, () => strength * random.next())
    if (await attempt.fools(noise)) return noise
  }
  return null
}

/** Binary search between the source and a misread image; returns the misread end. `tolerance` is a share of the segment. */
export async function bisectToBoundary(attempt: Attempt, misread: Float32Array, tolerance: number): Promise<Float32Array> {
  const { source } = attempt.target
  let low = 0
  let high = 1
  while (high - low > tolerance) {
    const middle = (low + high) / 2
    if (await attempt.fools(blend(source, misread, middle))) high = middle
    else low = middle
  }
  return blend(source, misread, high)
}

/** A random step of `length` times the distance to the source, on the sphere around it. */
function sphericalStep(current: Float32Array, source: Float32Array, length: number, random: Random): Float32Array {
  const distance = l2(current, source)
  const away = current.map((value, i) => value - (source[i] ?? 0))
  const noise = Float32Array.from(current, () => random.normal())
  let along = 0
  for (let i = 0; i < noise.length; i++) along += ((noise[i] ?? 0) * (away[i] ?? 0)) / distance ** 2
  let squared = 0
  for (let i = 0; i < noise.length; i++) {
    noise[i] = (noise[i] ?? 0) - along * (away[i] ?? 0)
    squared += (noise[i] ?? 0) ** 2
  }
  const factor = (length * distance) / Math.sqrt(squared)
  const moved = away.map((value, i) => value + factor * (noise[i] ?? 0))
  const shrink = distance / Math.sqrt(moved.reduce((sum, value) => sum + value * value, 0))
  return source.map((value, i) => Math.min(1, Math.max(0, value + shrink * (moved[i] ?? 0))))
}
