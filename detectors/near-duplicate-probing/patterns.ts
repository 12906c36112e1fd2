import {
  alternates,
  antithetic,
  type Between,
  type Corner,
  change,
  cornerOf,
  insideSegment,
  noiseShare,
  type Scene,
  type Seen,
  type Shift,
  shiftOf,
  sparsity,
} from './geometry.ts'

/** What one link says. All are measured on the query and its surroundings at that moment. */
export interface Features {
  /** Distance to the parent against the distance to the nearest reference input. */
  readonly relative: number
  readonly between: Between
  /** The step against the one that led to the parent. */
  readonly shrinkage: number
  /** Standard scores of being opposite to an earlier query, as antithetic pairs are. */
  readonly opposite: number
  /** Near 1 when one input value changed. */
  readonly kurtosis: number
  /** Share of the change inside the principal subspace; sensor noise has little. */
  readonly principalShare: number
  readonly corner: Corner
  /** Every second step goes the same way, those between do not. */
  readonly alternates: boolean
  /** The parent was itself a small step from something. */
  readonly deep: boolean
  /** Share of near members that were reached by steps like noise: hardly any of it in the principal subspace. */
  readonly noiselike: number
  /** The parent was read differently. */
  readonly flip: boolean
  /** Near members, the query included. */
  readonly near: number
  /** Their mean doubt and strangeness: about 1 for ordinary queries. */
  readonly doubt: number
  readonly strangeness: number
  /** Share of consecutive near members that were read differently. */
  readonly flips: number
  /** About 1 for noise around one scene, more for a walk. */
  readonly drift: number
  /** Over many members, now and then. */
  readonly shift: Shift | null
  /** Largest number of near members that share one parent, against their number. */
  readonly star: number
}

/** Near members are those within this many parent distances, or this share of the reference distance. */
const nearShare = 0.6
const nearCount = 12

/** @param scale input units of one step */
export function featuresOf(scene: Scene, scale: number): Features {
  const { query, parent } = scene
  const link = change(scene)
  const radius = (nearShare * query.point.reference) / scale
  const near = nearMembers(scene, radius)
  const points = near.map((each) => each.point)
  return {
    relative: (link.length * scale) / Math.max(query.point.reference, 1e-9),
    between: insideSegment(scene),
    shrinkage: parent.point.step > 0 ? link.length / parent.point.step : 1,
    opposite: antithetic(scene),
    kurtosis: sparsity(scene),
    principalShare: link.principalShare,
    corner: cornerOf(scene),
    alternates: alternates(scene),
    deep: parent.point.parent > 0 && parent.point.step * scale < 0.3 * parent.point.reference,
    noiselike: mean(points.map((point) => (point.parent > 0 && point.share < noiseShare ? 1 : 0))),
    flip: query.point.label !== parent.point.label,
    near: near.length,
    doubt: mean(points.map((point) => point.doubt)),
    strangeness: mean(points.map((point) => point.strangeness)),
    flips: changes(points.map((point) => point.label)),
    drift: shiftOf(near).drift,
    shift: scene.past.length > 0 ? shiftOf(scene.past) : null,
    star: commonest(points.map((point) => point.parent)),
  }
}

function nearMembers({ query, trail }: Scene, radius: number): readonly Seen[] {
  const near = trail.slice(-nearCount + 1).filter((each) => within(each.vector, query.vector, radius))
  return [...near, query]
}

function within(a: Int16Array, b: Int16Array, radius: number): boolean {
  const bound = radius * radius
  let sum = 0
  for (let i = 0; i < a.length && sum <= bound; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2
  return sum <= bound
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}

function changes(labels: readonly number[]): number {
  let count = 0
  for (let i = 1; i < labels.length; i++) if (labels[i] !== labels[i - 1]) count++
  return labels.length > 1 ? count / (labels.length - 1) : 0
}

function commonest(values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) if (value > 0) counts.set(value, (counts.get(value) ?? 0) + 1)
  return values.length > 0 ? Math.max(0, ...counts.values()) / values.length : 0
}
