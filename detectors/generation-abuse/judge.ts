import type { EventOf } from '../../schemas/index.ts'
import {
  answersOf,
  estimated,
  mapsOf,
  mixed,
  note,
  ones,
  refusals,
  remember,
  resubmissions,
  settingsOf,
  toldProbabilities,
  tries,
  wordOf,
} from './memory.ts'
import type { Parameters } from './parameters.ts'
import { type Pattern, patterns, type Remembered, type State } from './state.ts'

/** Confidence by degree: for information, suspicious, likely, very likely, certain, beyond doubt. Playbooks act from 0.5 on. */
export const confidences = [0, 0.2, 0.4, 0.6, 0.8, 0.93, 0.99] as const

/** Degrees by pattern, in the order of `patterns`; reused by the next call of {@link judge}. */
const degrees = new Uint8Array(patterns.length)

export interface Judgement {
  readonly degrees: Uint8Array
  readonly entry: Remembered
}

const place = Object.fromEntries(patterns.map((pattern, at) => [pattern, at])) as Readonly<Record<Pattern, number>>

const judgement: { degrees: Uint8Array; entry: Remembered } = { degrees, entry: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }

/** Weighs one prompt. A degree is given to patterns that this prompt is part of. */
export function judge(state: State, { data, time }: EventOf<'prompt'>, p: Parameters): Judgement {
  degrees.fill(0)
  forget(state, time, p)
  if (state.prompts++ === 0) state.salt = wordOf(data.exact)
  const { entry, fresh } = remember(state, data, time)
  judgement.entry = entry
  note(entry, data)
  if (data.canaries.length > 0) degrees[place.canary] = 6
  if (data.operation === 'embedding') return judgement
  weighRefusal(state, data, entry, fresh, p)
  if (data.sampling !== null) {
    weighBias(state, data.sampling, entry, p)
    weighSampling(data, entry, p)
  }
  weighDivergence(state, data, p)
  weighEcho(state, data)
  if (fresh) weighHarvest(state, data, p)
  return judgement
}

type Data = EventOf<'prompt'>['data']

/**
 * Evidence halves with time, whoever asks what meanwhile: padding does not bury it. That for insisting does so soon, since a
 * schedule which asks the same every hour is refused every hour.
 */
function forget(state: State, now: number, { forgetHours, insistMinutes }: Parameters): void {
  const elapsed = Math.max(0, now - state.at)
  if (state.prompts > 0) {
    const log = Math.log1p(elapsed)
    const off = log - state.gap
    state.gap += 0.04 * off
    state.gapSpread += 0.04 * (off * off - state.gapSpread)
  }
  state.at = Math.max(state.at, now)
  const kept = 0.5 ** (elapsed / (forgetHours * 3_600_000))
  state.divergences *= kept
  state.climb *= kept
  state.insistence *= 0.5 ** (elapsed / (insistMinutes * 60_000))
  state.refusedPrompts *= kept
  state.echoes *= kept
  state.fresh *= kept
  state.long *= kept
  state.told *= kept
  state.talks *= kept
  state.tokensIn *= kept
  state.tokensOut *= kept
  state.systemChanges *= kept
}

/**
 * A refused prompt that comes again, drawn anew; and a share of refusals that climbs: a bet (Shafer 2021) that six in ten are
 * refused against the principal's own past, begun anew whenever it is lost.
 */
function weighRefusal(state: State, { refused, sampling, bytes }: Data, entry: Remembered, fresh: boolean, p: Parameters): void {
  if (refused === null) return
  // At temperature 0 the same comes again: a check, not a try.
  const drawn = sampling === null || sampling.temperature !== 0
  if (refused && drawn) {
    entry[refusals]++
    // Few words, sent for ever, are a health check more often than not.
    if (!fresh && (bytes >= 24 || entry[tries] % 2 === 0)) entry[resubmissions]++
  } else if (!refused && entry[resubmissions] > 0) entry[resubmissions]--
  const again = refused && drawn ? entry[resubmissions] : 0
  if (again > 0) weighInsistence(state, again, p)
  if (!fresh) return
  if (refused) state.refusedPrompts++
  state.insistence = Math.max(0, state.insistence - (refused ? 0.3 : 0.03))
  const expected = Math.min(0.5, p.ordinaryRefusals + 1.5 * state.refusalRate)
  state.climb = Math.max(0, state.climb + Math.log(refused ? 0.6 / expected : 0.4 / (1 - expected)))
  // What climbs is not learned from at once.
  if (state.climb < 2) state.refusalRate += ((refused ? 1 : 0) - state.refusalRate) / Math.min(300, ++state.judged)
  if (refused && state.climb >= Math.log(p.refusalEvidence)) degrees[place.refusals] = 1
}

/**
 * People ask a refused prompt again once or twice; how often they do falls by two thirds with each time. So each time beyond the
 * second counts, and other prompts make up for it. Who serves many people sees the most stubborn of them: the more prompts were
 * refused, the more it takes.
 */
function weighInsistence(state: State, again: number, { resubmissions: [suspicious, likely, certain] }: Parameters): void {
  if (again >= 3) state.insistence++
  const evidence = state.insistence - Math.log1p(state.refusedPrompts / 10)
  degrees[place.resubmission] = evidence >= certain ? 5 : evidence >= likely ? 4 : again >= suspicious ? 2 : 0
}

/**
 * Biases turned while the prompt stays: each answer tells one more logit, and a few thousand of them the last layer (Carlini et
 * al. 2024, "Stealing part of a production language model"). One map over many prompts is how classifiers are built.
 */
function weighBias(state: State, { logitBias, maxTokens }: NonNullable<Data['sampling']>, entry: Remembered, p: Parameters): void {
  if (logitBias === null) return
  // One token an answer is all it takes; who draws more at a time, a hundred times as dear, is tuning a product more often than not.
  const patience = (toldProbabilities(entry) ? 1 : 1.5) * (maxTokens === null || maxTokens > 16 ? 2 : 1)
  const [suspicious, likely, certain] = p.biasMaps
  const maps = mapsOf(entry) / patience
  degrees[place.bias] = maps >= certain ? 5 : maps >= likely ? 4 : maps >= suspicious ? 2 : 0
  // One token is all that a search by halves needs.
  if (maxTokens === null || maxTokens > 4) return
  state.magnitudes |= 1 << (mixed(state.salt, logitBias.largest, 0, 0) & 31)
  if (estimated(ones(state.magnitudes), 32) >= p.biasMagnitudes) degrees[place.magnitudes] = 3
}

/** Settings turned while the prompt stays (Huang et al. 2023, "Catastrophic jailbreak via exploiting generation"), and floods of answers. */
function weighSampling({ sampling, bytes }: Data, entry: Remembered, p: Parameters): void {
  const settings = settingsOf(entry)
  const [suspicious, likely] = p.settings
  if (settings >= p.refusedSettings && refusedHalf(entry) >= 5) degrees[place.settings] = 4
  else degrees[place.settings] = settings >= likely ? 3 : settings >= suspicious ? 1 : 0
  const drawn = sampling?.temperature !== 0 && bytes >= 64
  if (drawn && entry[tries] >= p.repetitions && answersOf(entry) >= p.repetitions / 4) degrees[place.repetition] = 1
}

/** Log-likelihood of half the tries of a prompt being refused, against one in ten. */
function refusedHalf(entry: Remembered): number {
  return entry[refusals] * Math.log(0.5 / 0.1) + Math.max(0, entry[tries] - entry[refusals]) * Math.log(0.5 / 0.9)
}

const seenChunks = new Int32Array(256)

/**
 * The same words over and over, and a long answer: models fall back to what they memorised (Nasr et al. 2023). In base64 a
 * chunk of six bytes is eight characters, of which the first five are in its hash alone.
 */
function weighDivergence(state: State, { chunks, tokensOut, bytes }: Data, { divergences }: Parameters): void {
  const count = chunks.length >> 3
  if (count < 10 || tokensOut < 96 || bytes < 100) return
  // Some words of its own around what it repeats; of ordinary text nearly every chunk is another.
  if (differentChunks(chunks, count) > 4 + 0.1 * count) return
  state.divergences++
  const [suspicious, likely] = divergences
  degrees[place.divergence] = state.divergences > likely - 0.5 ? 4 : state.divergences > suspicious - 0.5 ? 2 : 0
}

function differentChunks(chunks: string, count: number): number {
  seenChunks.fill(0)
  let different = 0
  for (let i = 0; i < count; i++) {
    let code = 1
    for (let j = 8 * i; j < 8 * i + 5; j++) code = Math.imul(code, 0x01000193) ^ chunks.charCodeAt(j)
    code = code === 0 ? 1 : code
    let slot = (code ^ (code >>> 15)) & 255
    while (seenChunks[slot] !== 0 && seenChunks[slot] !== code) slot = (slot + 1) & 255
    if (seenChunks[slot] !== 0) continue
    seenChunks[slot] = code
    if (++different >= 200) return different
  }
  return different
}

/** Short questions to one system prompt, with answers as long as it is, and as the last such was. Some rewriting looks alike, so this only informs. */
function weighEcho(state: State, { system, bytes, tokensIn, tokensOut, messages, finishReasons }: Data): void {
  if (system === null) return
  const key = wordOf(system)
  if (key !== state.system) {
    state.system = key
    state.systemChanges++
    state.leastBytes = bytes
    state.echoes = 0
    state.lastEcho = 0
  }
  state.leastBytes = Math.min(state.leastBytes, bytes)
  if (messages > 3 || tokensIn < 80 || bytes > state.leastBytes + 200 || finishReasons.includes('length')) return
  const near = tokensOut >= 0.8 * tokensIn && tokensOut <= 1.1 * tokensIn
  const echo = near && Math.abs(tokensOut - state.lastEcho) <= 0.1 * tokensOut
  if (near) state.lastEcho = tokensOut
  state.echoes = Math.max(0, state.echoes + (echo ? 1 : -0.5))
  if (echo && state.echoes >= 6) degrees[place.system] = 1
}

/** Ever new prompts with long answers, from few templates, at a machine's pace: a data set for a student. Batch jobs look alike. */
function weighHarvest(state: State, { tokensIn, tokensOut, messages, sampling, operation }: Data, { harvest }: Parameters): void {
  if (operation === 'embedding') return
  state.fresh++
  state.tokensIn += tokensIn
  state.tokensOut += tokensOut
  if (messages > 3) state.talks++
  const long = tokensOut >= 64
  if (long) state.long++
  if (long && (sampling?.topLogprobs ?? 0) >= 3) state.told++
  if (state.fresh < harvest) return
  const { fresh } = state
  const steady = state.gapSpread < 1.5
  const generous = state.tokensOut > state.tokensIn && state.long > 0.8 * fresh
  if (!(steady && generous && state.talks < 0.1 * fresh && state.systemChanges < 0.05 * fresh)) return
  degrees[place.harvest] = state.told > 0.8 * fresh ? 3 : 1
}
