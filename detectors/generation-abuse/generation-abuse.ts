import type { EventOf, Observation } from '../../schemas/index.ts'
import type { DetectorLogic, Step } from '../contract.ts'
import { defineDetector } from '../contract.ts'
import { renews } from '../statistics/renewal.ts'
import { draft } from './finding.ts'
import { type Judgement, judge } from './judge.ts'
import { Parameters } from './parameters.ts'
import { type Episode, patterns, State } from './state.ts'

const day = 24 * 3_600_000

/** Abuse of a language model by one principal, as far as hashes, counts and settings show it. */
export const generationAbuse = defineDetector({
  id: 'generation-abuse',
  version: 2,
  summary:
    'What shows of an attack on a language model in how one principal samples it and what it refuses: logit biases turned on one prompt to read out logits, settings turned to get past refusals, refused prompts sent again, probes for memorised text, harvesting for a student, climbing refusals, and planted texts that leak.',
  threats: ['AML.T0024.002', 'AML.T0024.000', 'AML.T0051', 'AML.T0054', 'AML.T0056', 'AML.T0057'],
  observes: ['prompt'],
  params: Parameters,
  state: State,
  maxKeys: 50_000,
  idleMs: 7 * day,
  // A model's name may hold no slash, nor may a principal's: the key is unambiguous.
  scope: (o: Observation) => (o.kind === 'prompt' ? `${o.data.model}/${o.data.principal}` : null),
  topicKey: (scope) => scope.slice(0, scope.indexOf('/')),
  start: (p): DetectorLogic<State> => ({
    initial: (at) => initialState(at),
    onEvent: (state, o) => (o.kind === 'prompt' ? onPrompt(state, o, p) : undefined),
  }),
})

function initialState(at: number): State {
  return {
    ...{
      prompts: 0,
      at,
      salt: 0,
      memory: [],
      magnitudes: 0,
      divergences: 0,
      insistence: 0,
      refusedPrompts: 0,
      climb: 0,
      refusalRate: 0,
      judged: 0,
    },
    ...{ fresh: 0, long: 0, told: 0, talks: 0, tokensIn: 0, tokensOut: 0, gap: 0, gapSpread: 0 },
    ...{ system: 0, systemChanges: 0, leastBytes: 0, echoes: 0, lastEcho: 0, episodes: [] },
  }
}

function onPrompt(state: State, event: EventOf<'prompt'>, p: Parameters): Step<State> | undefined {
  const judgement = judge(state, event, p)
  const episode = toState(state, event, judgement, p)
  return episode === undefined ? undefined : { state, findings: [draft(event, state, judgement.entry, episode)] }
}

/** The episode to state now: at most one a prompt, the surest first, since an episode is known by the prompt that opened it. */
function toState(state: State, { id, time }: EventOf<'prompt'>, { degrees }: Judgement, { quietMinutes }: Parameters): Episode | undefined {
  let chosen: Episode | undefined
  for (let at = 0; at < degrees.length; at++) {
    const degree = degrees[at] ?? 0
    const pattern = patterns[at]
    if (degree === 0 || pattern === undefined) continue
    let episode = state.episodes.find((one) => one.pattern === pattern)
    if (episode !== undefined && time - episode.last > quietMinutes * 60_000) {
      state.episodes.splice(state.episodes.indexOf(episode), 1)
      episode = undefined
    }
    if (episode !== undefined) episode.last = Math.max(episode.last, time)
    if (chosen !== undefined && degree <= chosen.degree) continue
    if (episode !== undefined && degree <= episode.degree && (degree < 3 || !renews(episode.stated, time))) continue
    const opened = episode ?? { pattern, opened: id, from: time, degree, stated: time, last: time, firstPrompt: state.prompts }
    chosen = { ...opened, degree: Math.max(degree, opened.degree), stated: time }
  }
  if (chosen === undefined) return undefined
  const known = state.episodes.findIndex(({ pattern }) => pattern === chosen.pattern)
  if (known === -1) state.episodes.push(chosen)
  else state.episodes[known] = chosen
  return chosen
}
