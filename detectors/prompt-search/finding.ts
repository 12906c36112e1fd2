import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import type { Cluster, Pattern } from './state.ts'

const titles: Record<Pattern, string> = {
  search: 'changing bits of a strange text, again and again, and keeping what helps',
  disguise: 'one text in many spellings',
  persistence: 'asking again what was refused',
  sweep: 'a series that is mostly refused',
}
const families: Record<Pattern, string> = {
  search: 'suffix search (random search, coordinate gradient)',
  disguise: 'best of N (case, order of letters, noise)',
  persistence: 'refinement or resubmission',
  sweep: 'template sweep',
}
/** What only informs: below the threshold, and whatever the evidence for what cannot be told from honest work. */
const mentioned = 0.3
/** Honest jobs of kinds that the weights were not fitted on come to the threshold; below this nobody is to see to it. */
const actionable = 0.7
/** No single kind of evidence is certain beyond this. */
const most = 0.98

/**
 * The threshold is where two honest jobs of a thousand arrived (`test/lab/prompts.ts`), so the odds are even there; what
 * a group has above it is e-fold rarer a nat, as a CUSUM of log-likelihood ratios is (Ville's inequality).
 */
function confidenceOf(pattern: Pattern, above: number): number {
  if (pattern === 'sweep' || above < 0) return mentioned
  return Math.min(most, 1 / (1 + Math.exp(-above)))
}

export function draft(cluster: Cluster, pattern: Pattern, threshold: number, o: EventOf<'prompt'>): FindingDraft {
  const score = cluster.evidence[pattern]
  const confidence = confidenceOf(pattern, score - threshold)
  // Somebody whose prompt merely lay near has no evidence, whether it came last or not.
  const names = cluster.principals.filter((each) => each.evidence > 0)
  return {
    opened: cluster.opened,
    severity: confidence < actionable ? 'info' : confidence < 0.95 ? 'medium' : 'high',
    confidence,
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
