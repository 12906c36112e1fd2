import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { scoreOf, structural, suspects } from './cluster.ts'
import { drawingOf, round } from './drawing.ts'
import { seen } from './link.ts'
import { neighbourhoodOf } from './neighbourhood.ts'
import { type Cluster, type Pattern, patterns, type State } from './state.ts'

const titles: Record<Pattern, string> = {
  bisection: 'bisecting between inputs that the model reads differently',
  antithetic: 'probing in opposite pairs around one input',
  sparse: 'changing one input value at a time',
  walk: 'trying random steps from one point to the next',
  search: 'changing the best input so far, again and again, by what the model answers',
  steered: 'asking next where the model was least sure',
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
  steered: 'evolution or gradient estimate',
  creep: 'gradient estimate or random walk, noise added',
  boundary: 'decision-based (boundary walk)',
  strange: 'random search (Square)',
}
/** Prior odds against a cluster being an attack, in nats. */
const prior = 5

/**
 * The evidence: `score` and what each pattern adds, in nats, the `family` of attack that the path looks like, and the
 * cluster's last points (drawing.ts) and place (neighbourhood.ts). Under 4 KB.
 */
export function draft(state: State, cluster: Cluster, o: EventOf<'fingerprint'>, scale: number): FindingDraft {
  const score = scoreOf(cluster)
  const confidence = 1 / (1 + Math.exp(prior - score))
  const leading = structural.reduce((best, each) => (cluster.evidence[each] > cluster.evidence[best] ? each : best))
  const names = suspects(cluster)
  const members = seen(state.memory, cluster.members)
  const { profile, epoch } = o.data
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
      ...drawingOf(members, scale),
      ...neighbourhoodOf(members, cluster, { profile, epoch, scale }),
    },
  }
}
