import type { Scene } from './geometry.ts'
import type { Seen } from './point.ts'

/** Members that a query is compared with. */
const fewest = 6
/** Of the distance to the nearest reference input: farther members say nothing of why this query was asked. */
const nearShare = 0.8
/** Correlation of nearness with age beyond which a series just goes on, and answers that change with it steer nothing. */
const mostAged = 0.5
/** Share of the directions open to them in which the members differ; in fewer, one axis explains both where they lie and what is answered. */
const leastSpread = 0.5

/**
 * Standard scores by which a query lies nearer to those members whose label led least than to the others: 0 ± 1 for who does not
 * read the answers. Whoever searches by them (evolution, genetic algorithms, gradient estimates) asks next where the model was least sure,
 * whatever his steps look like. To cameras, augmentations and noise any order of the answers is as likely, so that this is a rank
 * correlation, in its standard deviations over all orders.
 *
 * 0 where nothing can be said: too few members, a series in time, or one that changes along few directions.
 */
export function steered(scene: Scene): number {
  const { query, apart } = scene
  const around = comparable(scene)
  const count = around.length
  if (count < fewest) return 0
  const usual = around.map((each) => {
    let sum = 0
    for (const other of around) if (other !== each) sum += apart.squared(each, other)
    return sum / (count - 1)
  })
  const nearness = around.map((each, i) => (usual[i] as number) - apart.squared(each, query))
  if (correlation(nearness, (i) => i) > mostAged || spread(around, usual, scene) < leastSpread) return 0
  const rank = around.map((each) => {
    let above = 0
    for (const other of around) above += Math.sign(other.point.margin - each.point.margin)
    return above
  })
  return correlation(nearness, (i) => rank[i] as number) * Math.sqrt(count - 1)
}

/** The last members about the query that were read as its parent was, so that their margins are leads of one label. */
function comparable({ query, parent, trail, apart, reach }: Scene): Seen[] {
  const around: Seen[] = []
  const bound = (nearShare * reach) ** 2
  for (const each of trail) if (each.point.label === parent.point.label && apart.squared(each, query) < bound) around.push(each)
  return around
}

/** Effective number of dimensions of some members against as many as they could have: (tr G)² / tr G² of their centred Gram matrix. */
function spread(members: readonly Seen[], usual: readonly number[], { apart }: Scene): number {
  const count = members.length
  // Mean squared distances, the member itself included.
  const share = (count - 1) / count
  let all = 0
  for (const each of usual) all += (each * share) / count
  let trace = 0
  let squares = 0
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      const distance = i === j ? 0 : apart.squared(members[i] as Seen, members[j] as Seen)
      const product = (((usual[i] as number) + (usual[j] as number)) * share - all - distance) / 2
      if (i === j) trace += product
      squares += (i === j ? 1 : 2) * product * product
    }
  }
  return squares > 0 ? (trace * trace) / squares / (count - 1) : 0
}

function correlation(values: readonly number[], of: (i: number) => number): number {
  const count = values.length
  let [a, b] = [0, 0]
  for (let i = 0; i < count; i++) {
    a += values[i] as number
    b += of(i)
  }
  a /= count
  b /= count
  let [both, first, second] = [0, 0, 0]
  for (let i = 0; i < count; i++) {
    const x = (values[i] as number) - a
    const y = of(i) - b
    both += x * y
    first += x * x
    second += y * y
  }
  return first * second > 0 ? both / Math.sqrt(first * second) : 0
}
