import type { DataOf, Instant } from '../../schemas/index.ts'
import type { Remembered, State } from './state.ts'

/** Prompts remembered; the newest stay whatever they are, so that others sent in between do not wash a prompt out. */
const capacity = 14
const sheltered = 10

/** Places in a remembered prompt. */
export const hash = 0
/** Answers drawn to it. */
export const tries = 1
/** Maps of logit bias, 64 bits; temperatures, top-p and limits, 64 bits. */
const mapsLow = 2
const mapsHigh = 3
const settingsLow = 4
const settingsHigh = 5
const answers = 6
/** Tries after the first that were refused, less those that were answered. */
export const resubmissions = 7
/** Refused tries in all. */
export const refusals = 8
/** Bit 0: log probabilities were asked together with a bias; the rest: seconds since 2020 when it was first seen. */
const marks = 9

/** Whether the last call of {@link remember} met a prompt that was not remembered. */
export interface Visit {
  entry: Remembered
  fresh: boolean
}

const visit: Visit = { entry: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], fresh: true }

/** Finds a prompt, or makes room for it. The answer is reused by the next call. */
export function remember(state: State, data: DataOf<'prompt'>, now: Instant): Visit {
  const key = wordOf(data.exact)
  for (const entry of state.memory) {
    if (entry[hash] !== key) continue
    visit.entry = entry
    visit.fresh = false
    return visit
  }
  const entry: Remembered = [key, 0, 0, 0, 0, 0, 0, 0, 0, 2 * secondsOf(now)]
  state.memory.push(entry)
  if (state.memory.length > capacity) state.memory.splice(leastTelling(state.memory), 1)
  visit.entry = entry
  visit.fresh = true
  return visit
}

function leastTelling(memory: readonly Remembered[]): number {
  let least = 0
  let lowest = Number.POSITIVE_INFINITY
  for (let i = 0; i < memory.length - sheltered; i++) {
    const entry = memory[i] as Remembered
    const weight = Math.min(64, entry[tries]) + 8 * entry[refusals] + 8 * mapsOf(entry)
    if (weight < lowest) {
      lowest = weight
      least = i
    }
  }
  return least
}

/** Notes how a prompt was sampled and answered. */
export function note(entry: Remembered, { sampling, answer }: DataOf<'prompt'>): void {
  if (sampling === null) {
    entry[tries]++
    return
  }
  entry[tries] += sampling.choices
  if (answer !== null) entry[answers] |= 1 << (wordOf(answer) & 31)
  const { temperature, topP, maxTokens, logitBias, topLogprobs } = sampling
  const setting = mixed(entry[hash], temperature ?? -1, topP ?? -1, maxTokens ?? -1)
  if ((setting & 32) === 0) entry[settingsLow] |= 1 << (setting & 31)
  else entry[settingsHigh] |= 1 << (setting & 31)
  if (logitBias === null) return
  const map = wordOf(logitBias.hash)
  if ((map & 32) === 0) entry[mapsLow] |= 1 << (map & 31)
  else entry[mapsHigh] |= 1 << (map & 31)
  if (topLogprobs > 0) entry[marks] |= 1
}

export function mapsOf(entry: Remembered): number {
  return estimated(ones(entry[mapsLow]) + ones(entry[mapsHigh]), 64)
}

export function settingsOf(entry: Remembered): number {
  return estimated(ones(entry[settingsLow]) + ones(entry[settingsHigh]), 64)
}

export function answersOf(entry: Remembered): number {
  return estimated(ones(entry[answers]), 32)
}

export function toldProbabilities(entry: Remembered): boolean {
  return (entry[marks] & 1) === 1
}

export function since(entry: Remembered): Instant {
  return Math.floor(entry[marks] / 2) * 1_000 + year2020
}

/** Linear counting (Whang et al. 1990): different members of which so many places of a set are taken. */
export function estimated(taken: number, places: number): number {
  return taken >= places ? 4 * places : Math.round(places * Math.log(places / (places - taken)))
}

/** The top half of a keyed hash: uniform, and nobody without the key chooses it. */
export function wordOf(hex: string): number {
  return Number.parseInt(hex.slice(0, 8), 16) || 0
}

export function ones(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555)
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Six bits of numbers, salted by the prompt's keyed hash: nobody can choose settings that fall together. */
export function mixed(salt: number, a: number, b: number, c: number): number {
  let h = salt | 0
  h = Math.imul(h ^ Math.round(a * 1e4), 0x9e3779b1)
  h = Math.imul((h ^ (h >>> 15)) + Math.round(b * 1e4), 0x85ebca6b)
  h = Math.imul((h ^ (h >>> 13)) + c, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 26
}

const year2020 = 1_577_836_800_000

function secondsOf(now: Instant): number {
  return Math.min(1e9, Math.max(0, Math.floor((now - year2020) / 1_000)))
}
