import type { Evidence } from '../../schemas/index.ts'
import { cosine, difference, sketchDistance } from '../statistics/sketch.ts'
import type { Seen } from './point.ts'

/** Points that a finding carries: where the attack began, and how it went on. */
const mostPoints = 24
const begun = 4
const rounds = 30

/**
 * What a console draws of a cluster, column by column, all of one length, oldest first: `order` (sequence numbers), `parents`
 * (of which near-duplicate), `x` and `y` (input units, the plane in which the points differ most), `distances` (to the parent),
 * `anchor` (distance to the cluster's oldest known point), `labels`, `margins`, and `principal`, an index into `by`.
 */
export function drawingOf(members: readonly Seen[], scale: number): Evidence {
  const shown = members.length > mostPoints ? [...members.slice(0, begun), ...members.slice(begun - mostPoints)] : members
  const by = [...new Set(shown.map(({ point }) => point.principal))]
  const [x, y] = planeOf(shown)
  const anchor = shown[0]
  return {
    order: shown.map(({ point }) => point.seq),
    parents: shown.map(({ point }) => point.parent),
    x: x.map((value) => round(value * scale)),
    y: y.map((value) => round(value * scale)),
    distances: shown.map(({ point }) => round(point.step * scale)),
    anchor: shown.map(({ vector }) => (anchor ? round(sketchDistance(vector, anchor.vector) * scale) : 0)),
    labels: shown.map(({ point }) => point.label),
    margins: shown.map(({ point }) => round(point.margin)),
    principal: shown.map(({ point }) => by.indexOf(point.principal)),
    by: by.map((name) => name.slice(0, 64)),
  }
}

/** Coordinates on the two leading principal directions of the points, by power iteration on their Gram matrix. */
function planeOf(points: readonly Seen[]): [number[], number[]] {
  const center = centerOf(points)
  const ways = points.map(({ vector }) => difference(vector, center))
  const gram = ways.map((a) => ways.map((b) => cosine(a, b) * a.length * b.length))
  const first = leading(gram)
  const rest = gram.map((row, i) => row.map((value, j) => value - (first[i] as number) * (first[j] as number)))
  return [first, leading(rest)]
}

function centerOf(points: readonly Seen[]): Float64Array {
  const center = new Float64Array(points[0]?.vector.length ?? 0)
  for (const { vector } of points)
    for (let i = 0; i < center.length; i++) center[i] = (center[i] as number) + (vector[i] as number) / points.length
  return center
}

/** The leading eigenvector of a symmetric matrix, times the root of its eigenvalue. */
function leading(matrix: readonly (readonly number[])[]): number[] {
  // A start that no point's order is orthogonal to.
  let vector = matrix.map((_, i) => 1 + 0.37 * i * (i % 2 === 0 ? 1 : -1))
  let value = 0
  for (let round = 0; round < rounds; round++) {
    const next = matrix.map((row) => row.reduce((sum, each, j) => sum + each * (vector[j] as number), 0))
    value = Math.hypot(...next)
    if (value < 1e-9) return matrix.map(() => 0)
    vector = next.map((each) => each / value)
  }
  return vector.map((each) => each * Math.sqrt(value))
}

export function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
