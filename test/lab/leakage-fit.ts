import { createHash } from 'node:crypto'
import { type Composition, compositionOf, type Features, featuresOf } from '../../detectors/model-leakage/estimate.ts'
import { add, blank } from '../../detectors/model-leakage/summary.ts'
import { observation } from '../contracts/observations.ts'
import { forms, type Recording } from './leakage-recording.ts'

/** One thief after so many queries, with so much of each answer. */
export interface Case {
  readonly mark: string
  readonly attack: string
  readonly form: (typeof forms)[number]
  readonly queries: number
  /** With the model's classes known, and as they are guessed from the answers. */
  readonly composition: Composition
  readonly features: Features
  readonly guessed: Features
  /** What the better of two students reached, and the plain one. */
  readonly fidelity: number
  readonly plain: number
}

/** Each recording under several keys: what is sampled depends on the key. */
export const salts = 3

export function casesOf(recording: Recording): Case[] {
  const cases: Case[] = []
  for (const [f, form] of forms.entries()) {
    for (let salt = 0; salt < salts; salt++) {
      const summary = blank()
      let at = 0
      for (const { queries, plain, augmented } of recording.reached) {
        for (; at < queries; at++) {
          const seen = recording.queries[at]
          if (seen === undefined) break
          const exact = createHash('sha256').update(`${salt}${seen.exact}`).digest('hex').slice(0, 16)
          add(summary, observation('fingerprint', at, at, { ...seen, exact, hardening: form }).data)
        }
        const reached = Math.max(plain[f] ?? 0, augmented[f] ?? 0)
        const { mark, attack, classes } = recording
        const composition = compositionOf(summary, classes)
        const [features, guessed] = [featuresOf(composition), featuresOf(compositionOf(summary))]
        cases.push({ mark, attack, form, queries, composition, features, guessed, fidelity: reached, plain: plain[f] ?? 0 })
      }
    }
  }
  return cases
}

/** Thieves whom no other detector sees; that they are estimated well counts for more. */
export const unseen = /same source|augmented|noise in|over and over/

export interface Coefficients {
  readonly ordinary: readonly number[]
  readonly odd: readonly number[]
}

/**
 * Least squares of the fidelity by Levenberg and Marquardt, with a small ridge; every recording of a mark counts alike, and
 * every mark by the square root of its recordings.
 */
export function fit(cases: readonly Case[], ridge = 1e-4): Coefficients {
  const first = cases[0]
  if (first === undefined) throw new RangeError('nothing to fit on')
  const split = first.features.ordinary.length
  const size = split + first.features.odd.length
  const counts = new Map<string, number>()
  for (const each of cases) counts.set(each.mark, (counts.get(each.mark) ?? 0) + 1)
  const weights = cases.map((each) => (unseen.test(each.attack) ? 1 : 0.5) / Math.sqrt(counts.get(each.mark) ?? 1))
  const total = weights.reduce((a, b) => a + b, 0)
  const penalty = Float64Array.from({ length: size }, (_, i) => (i === 0 || i === split ? 0 : ridge))
  let theta = new Array<number>(size).fill(0)
  theta[0] = -3.3
  theta[1] = 0.5
  theta[split] = -2.7
  theta[split + 1] = 0.3
  const unpacked = (values: readonly number[]) => ({ ordinary: values.slice(0, split), odd: values.slice(split) })
  const lossOf = (values: readonly number[]) => {
    let sum = 0
    const by = unpacked(values)
    cases.forEach((each, i) => (sum += ((weights[i] as number) / total) * (predicted(each.features, by) - each.fidelity) ** 2))
    return sum + values.reduce((all, value, i) => all + (penalty[i] as number) * value * value, 0)
  }
  let damping = 1
  let loss = lossOf(theta)
  for (let round = 0; round < 60; round++) {
    const a = normal(cases, weights, total, unpacked(theta), size)
    for (let i = 0; i < size; i++) {
      const row = a[i] as number[]
      row[size] = (row[size] as number) - (penalty[i] as number) * (theta[i] as number)
      row[i] = ((row[i] as number) + (penalty[i] as number)) * (1 + damping) + 1e-9
    }
    const step = eliminated(a)
    const next = theta.map((value, i) => value + (step[i] ?? 0))
    const found = lossOf(next)
    damping = found < loss ? damping / 3 : damping * 4
    if (!(found < loss)) continue
    theta = next
    if (loss - found < 1e-9) break
    loss = found
  }
  return unpacked(theta)
}

/** The normal equations of one step, `[size, size + 1]`. */
function normal(cases: readonly Case[], weights: readonly number[], total: number, by: Coefficients, size: number): number[][] {
  const a = Array.from({ length: size }, () => new Array<number>(size + 1).fill(0))
  const slope = new Float64Array(size)
  cases.forEach(({ features, fidelity }, n) => {
    const [u, v] = [Math.exp(dot(features.ordinary, by.ordinary)), Math.exp(dot(features.odd, by.odd))]
    const { chance } = features
    const square = (1 + u + v) ** 2 / (1 - chance)
    features.ordinary.forEach((x, i) => (slope[i] = (x * u) / square))
    features.odd.forEach((x, i) => (slope[features.ordinary.length + i] = (x * v) / square))
    const weight = (weights[n] as number) / total
    const off = fidelity - chance - ((1 - chance) * (u + v)) / (1 + u + v)
    for (let i = 0; i < size; i++) {
      const row = a[i] as number[]
      for (let j = 0; j < size; j++) row[j] = (row[j] as number) + weight * (slope[i] as number) * (slope[j] as number)
      row[size] = (row[size] as number) + weight * (slope[i] as number) * off
    }
  })
  return a
}

/** Gaussian elimination with pivots of `[n, n + 1]`; the solution. */
function eliminated(a: number[][]): number[] {
  const n = a.length
  for (let c = 0; c < n; c++) {
    let best = c
    for (let r = c + 1; r < n; r++) if (Math.abs(a[r]?.[c] ?? 0) > Math.abs(a[best]?.[c] ?? 0)) best = r
    const [pivot, other] = [a[best] as number[], a[c] as number[]]
    a[best] = other
    a[c] = pivot
    for (let r = 0; r < n; r++) {
      if (r === c) continue
      const row = a[r] as number[]
      const factor = (row[c] ?? 0) / (pivot[c] || 1e-12)
      for (let k = c; k <= n; k++) row[k] = (row[k] ?? 0) - factor * (pivot[k] ?? 0)
    }
  }
  return a.map((row, i) => (row[n] ?? 0) / (row[i] || 1e-12))
}

export function predicted(features: Features, by: Coefficients): number {
  const odds = Math.exp(dot(features.ordinary, by.ordinary)) + Math.exp(dot(features.odd, by.odd))
  return Math.min(features.ceiling, features.chance + ((1 - features.chance) * odds) / (1 + odds))
}

function dot(values: readonly number[], by: readonly number[]): number {
  return values.reduce((sum, value, i) => sum + value * (by[i] ?? 0), 0)
}
