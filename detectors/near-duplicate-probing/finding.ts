import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { scoreOf, structural } from './cluster.ts'
import { seen } from './link.ts'
import { type Cluster, type Pattern, patterns, type State } from './state.ts'

const titles: Record<Pattern, string> = {
  bisection: 'bisecting between inputs that the model reads differently',
  antithetic: 'probing in opposite pairs around one input',
  sparse: 'changing one input value at a time',
  walk: 'trying random steps from one point to the next',
  search: 'changing the best input so far, again and again, by what the model answers',
  creep: 'creeping away from ordinary inputs under noise',
  boundary: 'walking where the model is undecided',
  strange: 'varying an input that is unlike any ordinary one',
}
const families: Record<Pattern, string> = {
  bisection: 'decision-based (boundary, HopSkipJump, GeoDA, Sign-OPT)',
  antithetic: 'gradient estimate (NES, HopSkipJump)',
  sparse: 'coordinate search (SimBA, ZOO, one pixel)',
  walk: 'random walk (boundary, SimBA, Square)',
  search: 'greedy search (Square, SimBA, coordinate search)',
  creep: 'gradient estimate or random walk, noise added',
  boundary: 'decision-based (boundary walk)',
  strange: 'random search (Square)',
}
/** Prior odds against a cluster being an attack, in nats. */
const prior = 5

export function draft(state: State, cluster: Cluster, o: EventOf<'fingerprint'>, scale: number): FindingDraft {
  const score = scoreOf(cluster)
  const confidence = 1 / (1 + Math.exp(prior - score))
  const leading = structural.reduce((best, each) => (cluster.evidence[each] > cluster.evidence[best] ? each : best))
  const points = seen(state.memory, cluster.members).map(({ point }) => point)
  // One query without evidence may be a stranger's, whose image the attacker happened to start from.
  const names = cluster.principals.filter((each) => each.evidence >= 0.5 || (each.queries > 1 && each.queries >= cluster.count * 0.2))
  return {
    opened: cluster.opened,
    severity: score >= 12 ? 'high' : 'medium',
    confidence,
    title: `Near-duplicate probing of ${o.data.model}: ${titles[leading]}`,
    principals: names.map((each) => each.name),
    organizations: [...new Set(names.flatMap((each) => (each.organization === null ? [] : [each.organization])))],
    model: o.data.model,
    workload: null,
    pool: null,
    window: { from: cluster.openedAt, until: o.time },
    eventsSeen: cluster.count,
    evidence: {
      score: round(score),
      family: families[leading],
      points: cluster.count,
      ...Object.fromEntries(patterns.map((each) => [each, round(cluster.evidence[each])])),
      order: points.map((point) => point.seq),
      parents: points.map((point) => point.parent),
      distances: points.map((point) => round(point.step * scale)),
      labels: points.map((point) => point.label),
      margins: points.map((point) => round(point.margin)),
      by: points.map((point) => point.principal),
    },
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
