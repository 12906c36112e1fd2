import { quantile } from './quantile.ts'

/** One slice of the soak. */
export interface Sample {
  /** Minutes since the load began. */
  readonly minute: number
  readonly rssBytes: number
  /** What a full collection left of the main thread's heap and buffers. */
  readonly liveBytes: number
  /** Requests a second that the node took when it was asked for all it can. */
  readonly capacity: number
  /** CPU time of the node by request, then. */
  readonly cpuMicros: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Requests that began, over those that should have. */
  readonly kept: number
}

/** Before and after the load, once the node was let rest. */
export interface Rest {
  readonly tensorBytes: number
  readonly spoolBytes: number
  readonly dropped: number
}

export interface Slope {
  /** Median of the slopes between all pairs of samples, and its interval at 95 %, bytes a minute. */
  readonly perMinute: number
  readonly low: number
  readonly high: number
}

export interface Check {
  readonly ok: boolean
  readonly rule: string
  readonly found: string
}

const mebibyte = 1_048_576
/** Share of the samples that are warm-up: compilers, pools and caches fill. */
const warmShare = 0.2
const mostGrowth = mebibyte
/** Without garbage there is no sawtooth, and a smaller growth is certain sooner: some 200 bytes a request at 20 requests a second. */
const mostLiveGrowth = mebibyte / 4
const mostSlowing = 1.3
const leastKept = 0.95

/**
 * What a soak must fulfil. Growth fails only where it is certain, so that a short soak is not failed by a garbage
 * collection at the wrong moment, or by what else the machine does for a while: give it ten minutes to be sure.
 *
 * @param unexpected answers of a status that their kind should not have, by `kind status`
 */
export function verdictOf(
  samples: readonly Sample[],
  rest: { before: Rest; after: Rest },
  unexpected: ReadonlyMap<string, number>,
): readonly Check[] {
  const warm = samples.slice(Math.floor(samples.length * warmShare))
  const slope = theilSen(warm.map(({ minute, rssBytes }) => [minute, rssBytes] as const))
  const live = theilSen(warm.map(({ minute, liveBytes }) => [minute, liveBytes] as const))
  const third = Math.max(1, Math.floor(warm.length / 3))
  const timesOf = (of: (sample: Sample) => number) => ratioOf(warm.slice(0, third).map(of), warm.slice(-third).map(of))
  // In requests, not in milliseconds: a machine that slows down takes longer for each, and no queue grows.
  const queueing = timesOf(({ p99Ms, capacity }) => p99Ms * capacity)
  const costing = timesOf(({ cpuMicros }) => cpuMicros)
  const kept = quantile(
    warm.map((sample) => sample.kept),
    0.5,
  )
  const { before, after } = rest
  const of = (bytes: number) => (bytes / mebibyte).toFixed(2)
  const times = ({ middle, low, high }: Ratio) => `${middle.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}) times`
  const said = ({ perMinute, low, high }: Slope) => `${of(perMinute)} (${of(low)} to ${of(high)}) MiB a minute`
  return [
    {
      rule: `memory grows by less than ${of(mostGrowth)} MiB a minute: lower end of the Theil–Sen slope's interval at 95 %`,
      ok: slope.low < mostGrowth,
      found: said(slope),
    },
    {
      rule: `what a full collection leaves grows by less than ${of(mostLiveGrowth)} MiB a minute: the same of heap and buffers`,
      ok: live.low < mostLiveGrowth,
      found: said(live),
    },
    {
      rule: 'no more bytes of tensors at rest than before',
      ok: after.tensorBytes <= before.tensorBytes,
      found: `${before.tensorBytes} before, ${after.tensorBytes} after`,
    },
    {
      rule: `p99, in requests that the node takes in that time, of the last third at most ${mostSlowing} times the first's: lower end of the Hodges–Lehmann interval at 95 %`,
      ok: queueing.low <= mostSlowing,
      found: times(queueing),
    },
    {
      rule: `CPU time of a request in the last third at most ${mostSlowing} times the first's: the same`,
      ok: costing.low <= mostSlowing,
      found: times(costing),
    },
    { rule: `at least ${leastKept} of the rate were sent`, ok: kept >= leastKept, found: kept.toFixed(3) },
    {
      rule: 'the spool is empty at rest, and no event was dropped',
      ok: after.spoolBytes === 0 && after.dropped === 0,
      found: `${after.spoolBytes} bytes, ${after.dropped} dropped`,
    },
    {
      rule: 'every answer has a status that its kind should have',
      ok: unexpected.size === 0,
      found: unexpected.size === 0 ? 'so' : JSON.stringify(Object.fromEntries(unexpected)),
    },
  ]
}

/** Sen's slope with its interval from Kendall's variance (Sen 1968; Gilbert 1987, 16.5.1), without ties. */
export function theilSen(points: readonly (readonly [x: number, y: number])[]): Slope {
  const slopes: number[] = []
  points.forEach(([x, y], index) => {
    for (const [later, value] of points.slice(index + 1)) if (later !== x) slopes.push((value - y) / (later - x))
  })
  slopes.sort((a, b) => a - b)
  const n = points.length
  const spread = 1.96 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18)
  const at = (rank: number) => slopes[Math.floor(rank)]
  return {
    perMinute: quantile(slopes, 0.5),
    // Beyond the outermost slopes nothing is certain.
    low: at((slopes.length - spread) / 2 - 1) ?? Number.NEGATIVE_INFINITY,
    high: at(Math.ceil((slopes.length + spread) / 2)) ?? Number.POSITIVE_INFINITY,
  }
}

export interface Ratio {
  readonly middle: number
  readonly low: number
  readonly high: number
}

/** How many times as large the later values are, with the interval of Moses (Hollander and Wolfe 1999, 4.3), without ties. */
export function ratioOf(earlier: readonly number[], later: readonly number[]): Ratio {
  const ratios = later.flatMap((after) => earlier.map((before) => after / before)).sort((a, b) => a - b)
  const pairs = ratios.length
  const spread = 1.96 * Math.sqrt((pairs * (earlier.length + later.length + 1)) / 12)
  return {
    middle: quantile(ratios, 0.5),
    // Beyond the outermost ratios nothing is certain.
    low: ratios[Math.floor(pairs / 2 - spread)] ?? 0,
    high: ratios[Math.ceil(pairs / 2 + spread)] ?? Number.POSITIVE_INFINITY,
  }
}
