import type { EventOf } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { bandOf, compositionOf, neededFor } from './estimate.ts'
import type { Parameters } from './parameters.ts'
import { hourlyRate } from './rate.ts'
import type { State } from './state.ts'

export interface Budget {
  readonly fidelity: number
  readonly enforce: boolean
  /** How much easier than those that were measured the model is to copy, on the logit. */
  readonly offset: number
  /** 0 where it is not known how many the model has. */
  readonly classes: number
}

/** An honest account that asks for long leaks as much: only an operator's word makes more than a notice of it. */
const confidences = { informs: 0.2, enforced: 0.92 } as const

/** @param episode what is stated now */
export function draft(
  event: EventOf<'fingerprint'>,
  state: State,
  episode: NonNullable<State['episode']>,
  { fidelity: budget, enforce, offset, classes }: Budget,
  p: Parameters,
): FindingDraft {
  const { data } = event
  const composition = compositionOf(state.summary, classes)
  const needed = neededFor(budget, composition, offset)
  const rate = hourlyRate(state, p.halfLifeMs)
  const left = Math.max(0, needed - composition.distinct)
  const contains = enforce && episode.degree === 2
  const { low, high } = bandOf(composition, state.fidelity)
  return {
    opened: episode.opened,
    severity: contains ? 'high' : enforce ? 'low' : 'info',
    confidence: contains ? confidences.enforced : confidences.informs,
    title:
      episode.degree === 2
        ? `${data.principal} has answers enough to copy about ${percent(state.fidelity)} of ${data.model}: the budget is spent`
        : `${data.principal} has about half of the answers it takes to copy ${percent(budget)} of ${data.model}`,
    principals: [data.principal],
    organizations: data.organization === null ? [] : [data.organization],
    model: data.model,
    workload: null,
    pool: null,
    window: { from: Math.min(state.from, event.time), until: event.time },
    eventsSeen: state.summary.answers,
    evidence: {
      fidelity: brief(state.fidelity),
      fidelityLow: brief(low),
      fidelityHigh: brief(high),
      budget,
      enforced: enforce,
      answers: state.summary.answers,
      distinctEstimate: Math.round(composition.distinct),
      distinctForBudget: Number.isFinite(needed) ? Math.round(needed) : null,
      newPerHour: brief(rate),
      hoursToBudget: Number.isFinite(left) && rate > 0 ? brief(left / rate) : null,
      cells: Math.round(composition.cells),
      newnessShare: brief((composition.fresh + composition.strange) / Math.max(1, composition.distinct)),
      ordinaryShare: brief(composition.ordinary),
      classes: composition.classes,
      labelOnlyShare: brief(composition.labelOnly),
      modelVersion: data.version,
    },
    threats: ['AML.T0024.002', 'AML.T0005.001'],
  }
}

/** No more digits than the estimate is good for. */
function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

function brief(value: number): number {
  return Number(value.toPrecision(3))
}
