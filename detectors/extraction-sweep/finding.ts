import type { EventOf, Severity } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { type Evidence, tests, weights } from './judge.ts'
import type { Parameters } from './parameters.ts'
import type { Episode, State } from './state.ts'

/** By degree: a sweep alone, suspected, likely, certain, beyond doubt. Playbooks contain from 0.5, 0.7 and 0.9 on. */
const confidences = [0, 0.45, 0.6, 0.75, 0.93, 0.98] as const
const severityOf: readonly Severity[] = ['info', 'low', 'low', 'medium', 'high', 'critical']
const unlike = 4

/**
 * How sure. What is like itself (all shifted alike, grainy, one input varied) is suspected at most, and near-duplicates of own
 * inputs never more than likely: honest clients with another camera, and ensembles over augmentations, do alike.
 */
export function degreeOf(state: State, e: Evidence, p: Parameters): number {
  let outside = 0
  for (let test = 0; test < unlike; test++) outside += (weights[test] as number) * (e.byTest[test] ?? 0)
  const unexplained = state.steadiness === 'none' ? state.novel : 0
  if (outside >= p.certain && unexplained >= p.certainNovel) return outside >= p.beyondDoubt ? 5 : 4
  if (e.total - outside >= p.likely || (e.total >= p.likely && unexplained >= p.likelyNovel)) return 3
  const sweeping = sweepDegree(state, p)
  if ((outside >= p.likely && unexplained >= p.suspectedNovel) || sweeping === 2) return 2
  const alike = state.steadiness !== 'none' && state.steadiness !== 'few'
  return sweeping === 1 || (alike && outside >= p.likely) ? 1 : 0
}

/** A tool goes along a line from a few inputs, a slider or a fade; over a grid, or value by value, from hardly more than one. */
export function sweepDegree({ lines, lattices }: State, p: Parameters): 0 | 1 | 2 {
  if (lattices >= p.lattices || lines + lattices >= p.manyLines) return 2
  return lines + lattices >= p.lines ? 1 : 0
}

export function draft(event: EventOf<'fingerprint'>, state: State, episode: Episode, e: Evidence): FindingDraft {
  const { data } = event
  const leading = e.byTest.indexOf(Math.max(...e.byTest))
  const sweeping = e.total < 10 && state.chains > 0
  return {
    opened: episode.opened,
    severity: severityOf[episode.degree] ?? 'low',
    confidence: confidences[episode.degree] ?? 0.45,
    title: sweeping
      ? `${data.principal} varies ${state.chains} inputs step by step`
      : titleOf(tests[leading] ?? 'joint', data.principal, data.model),
    principals: [data.principal],
    organizations: data.organization === null ? [] : [data.organization],
    model: data.model,
    workload: null,
    pool: null,
    window: { from: Math.min(episode.from, event.time), until: event.time },
    eventsSeen: state.queries - episode.firstQuery + 1,
    evidence: {
      leading: sweeping ? 'sweep' : (tests[leading] ?? 'joint'),
      ...Object.fromEntries(tests.map((test, i) => [`${test}LogE`, log10(e.byTest[i] ?? 0)])),
      queries: state.queries,
      distinct: state.fresh,
      variedInputs: state.chains,
      lines: state.lines,
      lattices: state.lattices,
      returns: state.returns,
      unexplained: Number(state.novel.toFixed(2)),
      alike: state.steadiness,
      oddResiduals: state.odd[0] ?? 0,
      oddConfidences: state.odd[1] ?? 0,
      oddClassDistances: state.odd[2] ?? 0,
      labels: state.labels.slice(),
      labelEntropy: Number(entropyOf(state.labels).toPrecision(3)),
      residual: data.residual,
      residualTail: data.residualTail,
      confidenceTail: data.confidenceTail,
      classTail: data.classTail,
    },
    threats: ['AML.T0024.002', 'AML.T0005.001'],
  }
}

function titleOf(leading: (typeof tests)[number], principal: string, model: string): string {
  if (leading === 'return') return `${principal} comes back to its earlier inputs to ${model} with small changes, as augmentation does`
  if (leading === 'confidence') return `${principal} asks ${model} about what it is unsure of, again and again`
  return `${principal} sends ${model} inputs unlike its ordinary traffic`
}

/** Share of the largest possible entropy, over the labels seen by the model so far: 0 one label, 1 all alike. */
function entropyOf(counts: readonly number[]): number {
  const total = counts.reduce((a, b) => a + b, 0)
  if (counts.length < 2 || total === 0) return 0
  let entropy = 0
  for (const count of counts) if (count > 0) entropy -= (count / total) * Math.log(count / total)
  return entropy / Math.log(counts.length)
}

function log10(e: number): number {
  return Number(Math.log10(Math.max(e, 1e-30)).toFixed(2))
}
