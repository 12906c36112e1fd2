import type { EventOf, Severity } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import { confidences } from './judge.ts'
import { answersOf, mapsOf, refusals, resubmissions, settingsOf, since, toldProbabilities, tries } from './memory.ts'
import type { Episode, Pattern, Remembered, State } from './state.ts'

const severityOf: readonly Severity[] = ['info', 'info', 'low', 'medium', 'medium', 'high', 'critical']

/** What each pattern is of ATLAS: extraction, jailbreak, prompt injection, the system prompt, leakage. */
export const threatsOf: Readonly<Record<Pattern, readonly string[]>> = {
  canary: ['AML.T0057', 'AML.T0056'],
  bias: ['AML.T0024.002'],
  magnitudes: ['AML.T0024.002'],
  resubmission: ['AML.T0054'],
  settings: ['AML.T0054'],
  divergence: ['AML.T0057', 'AML.T0024.000'],
  harvest: ['AML.T0024.002'],
  refusals: ['AML.T0054', 'AML.T0051'],
  system: ['AML.T0056'],
  repetition: ['AML.T0054'],
}

export function draft(event: EventOf<'prompt'>, state: State, entry: Remembered, episode: Episode): FindingDraft {
  const { data, time } = event
  const { pattern, degree } = episode
  return {
    opened: episode.opened,
    severity: severityOf[degree] ?? 'low',
    confidence: confidences[degree] ?? 0,
    title: titleOf(pattern, data.principal, data.model),
    principals: [data.principal],
    organizations: data.organization === null ? [] : [data.organization],
    model: data.model,
    workload: null,
    pool: null,
    window: { from: Math.min(episode.from, time), until: time },
    eventsSeen: state.prompts - episode.firstPrompt + 1,
    evidence: {
      pattern,
      prompt: data.exact,
      promptSince: Math.min(since(entry), time),
      answersDrawn: entry[tries],
      differentAnswers: answersOf(entry),
      biasMaps: mapsOf(entry),
      withLogProbabilities: toldProbabilities(entry),
      settings: settingsOf(entry),
      refusals: entry[refusals],
      resubmissions: entry[resubmissions],
      insistence: rounded(state.insistence),
      refusalRateBefore: rounded(state.refusalRate),
      refusalLogE: rounded(state.climb / Math.LN10),
      repetitivePrompts: rounded(state.divergences),
      differentPrompts: Math.round(state.fresh),
      longAnswers: Math.round(state.long),
      canaries: data.canaries.slice(),
      prompts: state.prompts,
    },
    threats: threatsOf[pattern],
  }
}

function titleOf(pattern: Pattern, principal: string, model: string): string {
  switch (pattern) {
    case 'canary':
      return `${model} told ${principal} a planted text: a leak`
    case 'bias':
      return `${principal} turns logit biases on one prompt to ${model}: its logits are being read out`
    case 'magnitudes':
      return `${principal} searches ${model} for logits by ever other biases`
    case 'resubmission':
      return `${principal} sends ${model} a refused prompt again and again`
    case 'settings':
      return `${principal} turns temperature and top-p on one prompt to ${model}`
    case 'divergence':
      return `${principal} makes ${model} repeat words without end, as probes for training data do`
    case 'harvest':
      return `${principal} collects long answers of ${model} to ever new prompts, as for a student`
    case 'refusals':
      return `${model} refuses more and more of what ${principal} asks`
    case 'system':
      return `answers of ${model} to ${principal} are as long as its system prompt, time after time`
    case 'repetition':
      return `${principal} draws many answers of ${model} to one prompt`
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
