import { featureSigns, lowest } from '../../detectors/prompt-search/features.ts'
import { seeded } from '../attacks/random.ts'

/** The links of one job, in order. */
export interface Path {
  readonly clusters: number[]
  /** The prompts of the job up to each. */
  readonly asked: number[]
  /** The most that each may say, nats. */
  readonly atMost: number[]
  /** Those of all links behind one another. */
  readonly features: number[]
}
export interface Sequence {
  readonly kind: string
  readonly attack: boolean
  readonly path: Path
}

const threshold = 7
/** Honest jobs of the fit stay below this, so that others have room up to the threshold. */
const honestAtMost = 5.4
/** A job in which nothing was seen counts as seen after so many prompts. */
const never = 45

const scores = new Map<number, number>()

/** Follows a job's evidence as the detector does. @returns when it reaches `until`, if it does, and its highest */
function follow({ clusters, asked, atMost, features }: Path, weights: Float64Array, scale: number, until: number) {
  scores.clear()
  let peak = 0
  for (let i = 0; i < asked.length; i++) {
    let evidence = 0
    for (let j = 0; j < weights.length; j++) evidence += (weights[j] as number) * (features[i * weights.length + j] as number)
    evidence = Math.min(atMost[i] as number, Math.max(lowest, evidence * scale))
    const cluster = clusters[i] as number
    const score = Math.max(0, (scores.get(cluster) ?? 0) + evidence)
    scores.set(cluster, score)
    peak = Math.max(peak, score)
    if (score >= until) return { at: asked[i] ?? null, peak }
  }
  return { at: null, peak }
}

export const peakOf = (path: Path, weights: Float64Array): number => follow(path, weights, 1, Number.POSITIVE_INFINITY).peak
export const detectedAt = (path: Path, weights: Float64Array): number | null => follow(path, weights, 1, threshold).at

/** Prompts until attacks are seen, the mean over families and the worst of them, once weights are scaled so that the nearest honest job stays where it must. */
function cost(honest: readonly Path[], families: readonly (readonly Path[])[], weights: Float64Array): { cost: number; scale: number } {
  let peak = 0.1
  for (const path of honest) peak = Math.max(peak, follow(path, weights, 1, Number.POSITIVE_INFINITY).peak)
  const scale = honestAtMost / peak
  const means = families.map((paths) => {
    let sum = 0
    for (const path of paths) sum += Math.min(never, follow(path, weights, scale, threshold).at ?? never)
    return sum / paths.length
  })
  return { cost: (0.7 * means.reduce((sum, mean) => sum + mean, 0)) / means.length + 0.3 * Math.max(...means), scale }
}

const steps = (path: Path) => path.atMost.filter((most) => most > 0).length

/** Keeps each weight on the side that its feature may speak for. */
const sided = (weights: Float64Array) => weights.map((weight, i) => (weight * (featureSigns[i] ?? 0) < 0 ? 0 : weight))

/**
 * Weights that see all families soon under the constraint that no honest job comes near the threshold: a logistic
 * regression that weighs the kinds it does worst on (Sagawa et al. 2020, distributionally robust), then a random local
 * search on the detection time itself.
 */
export function fitWeights(sequences: readonly Sequence[], size: number, rounds: number): Float64Array {
  const random = seeded(20)
  // Only steps are evidence, so jobs without two of them cannot come near.
  const honest = sequences.filter(({ attack, path }) => !attack && steps(path) > 1).map(({ path }) => path)
  const kinds = [...new Set(sequences.filter(({ attack }) => attack).map(({ kind }) => kind))]
  const families = kinds.map((kind) => sequences.filter((each) => each.kind === kind).map(({ path }) => path))
  let best = sided(regress(sequences, size))
  let least = cost(honest, families, best).cost
  let width = 0.4
  for (let round = 0; round < rounds; round++) {
    const tried = best.slice()
    for (let i = 0; i <= random.below(3); i++) {
      const at = random.below(size)
      tried[at] = (tried[at] as number) + width * random.normal()
    }
    const allowed = sided(tried)
    const found = cost(honest, families, allowed)
    if (found.cost < least) {
      best = allowed.map((weight) => weight * found.scale)
      least = found.cost
      width = Math.min(0.8, width * 1.15)
    } else width = Math.max(0.08, width * 0.995)
  }
  const { scale } = cost(honest, families, best)
  return best.map((weight) => weight * scale)
}

function regress(sequences: readonly Sequence[], size: number): Float64Array {
  const weights = new Float64Array(size)
  const kinds = new Map<string, { attack: boolean; weight: number; paths: Path[] }>()
  for (const { kind, attack, path } of sequences) {
    if (path.asked.length === 0) continue
    const known = kinds.get(kind)
    if (known) known.paths.push(path)
    else kinds.set(kind, { attack, weight: 1, paths: [path] })
  }
  for (let step = 0; step < 150; step++) {
    const gradient = new Float64Array(size)
    for (const attack of [true, false]) {
      const side = [...kinds.values()].filter((kind) => kind.attack === attack)
      const total = side.reduce((sum, { weight }) => sum + weight, 0)
      for (const kind of side) kind.weight *= Math.exp(0.1 * descend(kind.paths, attack, weights, gradient, kind.weight / total))
    }
    for (let i = 0; i < size; i++) weights[i] = (weights[i] as number) - 1.5 * (gradient[i] as number)
  }
  return weights
}

/** Adds a kind's gradient, `share` of it. @returns its loss */
function descend(paths: readonly Path[], attack: boolean, weights: Float64Array, gradient: Float64Array, share: number): number {
  const sign = attack ? 1 : -1
  const count = paths.reduce((sum, { asked }) => sum + asked.length, 0)
  const size = weights.length
  let loss = 0
  for (const { asked, features } of paths) {
    for (let i = 0; i < asked.length; i++) {
      let sum = 0
      for (let j = 0; j < size; j++) sum += (weights[j] as number) * (features[i * size + j] as number)
      const wrong = 1 / (1 + Math.exp(sign * sum))
      loss -= Math.log(1 - wrong + 1e-9)
      for (let j = 0; j < size; j++)
        gradient[j] = (gradient[j] as number) - (share * sign * wrong * (features[i * size + j] as number)) / count
    }
  }
  return loss / count
}
