import { z } from 'zod'

/**
 * Sequential tests by betting (Shafer 2021; Vovk & Wang 2021). Under the null a component's wealth is expected
 * to stay at or below 1 at every time, so by Ville's inequality a mixture reaches 1/α with probability at most
 * α, however long the stream and whenever one looks.
 *
 * A component bets on a share of contaminated values and on how small their p-values are. It may start at any
 * time: a part of its stake waits and joins later, so that evidence after a long ordinary life is not buried.
 */
export const Wealth = z.object({ n: z.int().min(0), components: z.array(z.number().min(0)) })
export type Wealth = z.infer<typeof Wealth>

/** Shares of contaminated values that are bet on. */
const shares = [0.98, 0.3, 0.1, 0.03] as const
/** Exponents of the calibrators κ·p^(κ−1): small p-values, and moderately small ones. */
const exponents = [0.2, 0.5] as const
const width = shares.length * exponents.length
const bets = new Float64Array(exponents.length)
/** Beyond this nothing changes but how long it takes to come down again. */
const most = 1e15

export interface Bets {
  /** The most that one value may multiply a component by: one odd input must not decide. */
  readonly cap: number
  /** Share of values that may be as odd as can be in ordinary streams, for ever. */
  readonly junk: number
  /** Factor by which the null's p-values may be too small. */
  readonly inflation: number
}

/** Writes what each calibrator wins with a p-value. */
export type Bettor = (p: number, out: Float64Array) => void

export function wealth(streams: number): Wealth {
  return { n: 0, components: Array.from({ length: streams * width }, () => 0) }
}

/** The bet of one calibrator, divided by its expectation under the null with its share of junk. */
export function bettor({ cap, junk, inflation }: Bets): Bettor {
  const scales = exponents.map((k) => {
    const crossing = (k / cap) ** (1 / (1 - k))
    const expected = cap * crossing + 1 - crossing ** k
    return 1 / ((1 - junk) * expected + junk * cap)
  })
  const least = exponents.map((k, i) => Math.min(cap, k) * (scales[i] as number))
  return (p, out) => {
    const inflated = inflation * p
    if (inflated >= 1) {
      // Most values of an ordinary stream: no logarithm to take.
      for (let i = 0; i < exponents.length; i++) out[i] = least[i] as number
      return
    }
    const log = Math.log(inflated)
    for (let i = 0; i < exponents.length; i++) {
      const k = exponents[i] as number
      out[i] = Math.min(cap, k * Math.exp((k - 1) * log)) * (scales[i] as number)
    }
  }
}

/**
 * Bets on one value of each stream, in place.
 *
 * @param ps p-values, one a stream, each valid on its own; they may depend on each other
 */
export function bet(w: Wealth, ps: readonly number[], bettor: Bettor): void {
  const joining = stake(++w.n)
  for (let s = 0; s < ps.length; s++) {
    bettor(ps[s] as number, bets)
    let at = s * width
    for (let i = 0; i < exponents.length; i++) {
      const gain = (bets[i] as number) - 1
      for (let j = 0; j < shares.length; j++, at++) {
        const factor = 1 + (shares[j] as number) * gain
        w.components[at] = Math.min(most, ((w.components[at] as number) + joining) * factor)
      }
    }
  }
}

/** The evidence of one stream: its components' mean. */
export function evidence(w: Wealth, stream: number): number {
  let sum = 0
  for (let i = 0; i < width; i++) sum += w.components[stream * width + i] as number
  return sum / width
}

const total = (() => {
  let sum = 0
  const until = 100_000
  for (let n = 1; n < until; n++) sum += 1 / ((n + 1) * Math.log(n + 2) ** 2)
  return sum + 1 / Math.log(until)
})()

/** The part of the stake that joins at the n-th value; the parts sum to 1 over all time. */
function stake(n: number): number {
  return 1 / ((n + 1) * Math.log(n + 2) ** 2 * total)
}

/**
 * Fisher's combination of three p-values that depend on each other: −Σ ln p is scaled down before it is held
 * against the Gamma distribution of independent ones (after Brown 1975).
 *
 * @param scale 1 for independent p-values
 */
export function combined(a: number, b: number, c: number, scale: number): number {
  const x = -scale * (Math.log(a) + Math.log(b) + Math.log(c))
  return Math.min(1, Math.exp(-x) * (1 + x + (x * x) / 2))
}
