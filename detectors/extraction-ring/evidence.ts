import type { EventOf } from '../../schemas/index.ts'
import { combined } from '../statistics/e-process.ts'

type Data = EventOf<'fingerprint'>['data']

/** The three tails depend on each other; with this scale their combination is uniform or larger on held-out digits. */
const jointScale = 0.7
/** Exponents of the calibrators κ·p^(κ−1): small p-values, and moderately small ones (Vovk & Wang 2021). */
const exponents = [0.2, 0.5] as const
/** A residual this rare lies so far outside that everything is near to everything else against the reference. */
const farTail = 1e-3
const least = 1e-12

/** Chance that an ordinary query is as unlike the model's traffic as this one, all three tails together. */
export function jointTail({ residualTail, confidenceTail, classTail }: Data): number {
  return combined(Math.max(residualTail, least), Math.max(confidenceTail, least), Math.max(classTail, least), jointScale)
}

/** Whether a query is worth comparing with the odd queries of others: one in forty ordinary ones are. */
export function isOdd(joint: number, residualTail: number): boolean {
  return joint <= 0.02 || residualTail <= 0.005
}

/**
 * Chance that an ordinary query lies so near to some recent query of another account, relative to its nearest
 * reference input. Nearest distances follow a power law; this one lies a factor of two above what held-out digits do
 * among 4,000 (0.5 % at 0.44, 5 % at 0.54).
 */
export function nearTail(ratio: number, residualTail: number): number {
  return residualTail < farTail ? 1 : Math.min(1, 0.05 * (Math.max(ratio, 1e-3) / 0.54) ** 8)
}

interface Bets {
  /** The most that one query may count. */
  readonly cap: number
  /** Share of ordinary queries that may be arbitrarily odd. */
  readonly junk: number
  /** Factor by which p-values may be too small. */
  readonly inflation: number
}

/** What a p-value multiplies the evidence by. */
export type Bet = (p: number) => number

/** A p-value as a bet against it: at most 1 on average over ordinary queries, their junk included; bounded by the cap. */
export function bettor({ cap, junk, inflation }: Bets): Bet {
  const scales = exponents.map((k) => {
    const crossing = (k / cap) ** (1 / (1 - k))
    return 1 / ((1 - junk) * (cap * crossing + 1 - crossing ** k) + junk * cap)
  })
  const nothing = exponents.reduce((sum, k, i) => sum + Math.min(cap, k) * (scales[i] as number), 0) / exponents.length
  return (p) => {
    const inflated = inflation * Math.max(p, least)
    // Most queries: no logarithm to take.
    if (inflated >= 1) return nothing
    const log = Math.log(inflated)
    let sum = 0
    for (let i = 0; i < exponents.length; i++) {
      const k = exponents[i] as number
      sum += Math.min(cap, k * Math.exp((k - 1) * log)) * (scales[i] as number)
    }
    return sum / exponents.length
  }
}
