import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import type { Cluster, Pattern } from './state.ts'

const titles: Record<Pattern, string> = {
  search: 'changing bits of a strange text, again and again, and keeping what helps',
  disguise: 'one text in many spellings',
  persistence: 'asking again, in other words, what was refused',
}
const families: Record<Pattern, string> = {
  search: 'suffix search (random search, coordinate gradient)',
  disguise: 'best of N (case, order of letters, noise)',
  persistence: 'template sweep, refinement or resubmission',
}
/** Prior odds against a group being an attack, in nats. */
const prior = 6.4

export function draft(cluster: Cluster, pattern: Pattern, o: EventOf<'prompt'>): FindingDraft {
  const score = cluster.evidence[pattern]
  // Somebody whose prompt merely lay near has no evidence.
  const names = cluster.principals.filter((each) => each.evidence > 0 || each.name === o.data.principal)
  return {
    opened: cluster.opened,
    severity: score >= 12 ? 'high' : 'medium',
    confidence: 1 / (1 + Math.exp(prior - score)),
    title: `Prompt search against ${o.data.model}: ${titles[pattern]}`,
    principals: names.map((each) => each.name),
    organizations: [...new Set(names.flatMap((each) => (each.organization === null ? [] : [each.organization])))],
    model: o.data.model,
    workload: null,
    pool: null,
    window: { from: Math.min(cluster.openedAt, o.time), until: o.time },
    eventsSeen: cluster.count + 1,
    evidence: {
      score: Math.round(score * 100) / 100,
      family: families[pattern],
      prompts: cluster.count + 1,
      ...Object.fromEntries(Object.entries(cluster.evidence).map(([name, value]) => [name, Math.round(value * 100) / 100])),
    },
  }
}
