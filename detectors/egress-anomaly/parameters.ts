import { z } from 'zod'

const minute = 60_000
const hour = 60 * minute

/** Amounts are payload bytes, times are event time in milliseconds. */
export const Parameters = z.object({
  warmupMs: z
    .int()
    .min(0)
    .default(minute)
    .describe('A workload is only learned from for at least this long; until then only gross uploads are stated.'),
  warmupFlows: z.int().min(1).default(30).describe('… and for at least this many flows.'),
  minimumBytes: z
    .number()
    .positive()
    .default(1 << 20)
    .describe('Uploads below this much to a new destination are never stated, however unusual.'),
  grossBytes: z
    .number()
    .positive()
    .default(2 ** 30)
    .describe('What counts as a gross upload while a workload has no baseline.'),
  uploadTauMs: z
    .number()
    .positive()
    .default(hour)
    .describe('How long an upload to a new destination is remembered: a drip below minimumBytes in this time is not seen.'),
  windowTauMs: z
    .number()
    .positive()
    .default(10 * minute)
    .describe('The same for uploads spread over many destinations, and for known destinations.'),
  downloadAllowance: z.number().min(0).max(1).default(0.02).describe('Share of the bytes received that requests for them may cost.'),
  margin: z.number().min(1).default(4).describe('Factor over the largest ordinary amount of the same kind before it is stated.'),
  rateMargin: z
    .number()
    .min(1)
    .default(16)
    .describe('Factor over the busiest ordinary time of a known destination; load varies by more than sizes do.'),
  growthPerHour: z.number().min(1).default(1.5).describe('How fast what counts as ordinary may rise once learned: the bound on poisoning.'),
  beaconScore: z.number().positive().default(10).describe('Evidence, in nats, for a beat to a new destination.'),
  beaconBeats: z.int().min(7).max(32).default(8).describe('… and the fewest beats.'),
  burstMs: z
    .number()
    .min(0)
    .default(500)
    .describe('Flows closer than this to one destination are one beat; beats are looked for from four times this on.'),
  longestPeriodMs: z
    .number()
    .positive()
    .default(4 * hour)
    .describe('Slower beats are not looked for.'),
  settleMs: z.number().positive().default(hour).describe('A known destination is judged by its rate once it has been known for this long.'),
  adoptMs: z
    .number()
    .positive()
    .default(24 * hour)
    .describe('A new destination about which nothing was stated becomes a known one after this long.'),
  quietMs: z
    .number()
    .positive()
    .default(30 * minute)
    .describe('An episode ends when nothing went to its destination for this long.'),
  openAt: z
    .int()
    .min(2)
    .default(16)
    .describe('A port that this many destinations were reached on is open: there, new destinations are ordinary.'),
  expected: z
    .array(z.string().min(1).max(255))
    .max(256)
    .default([])
    .describe(
      'Destinations declared as ordinary, by address, by name, or by suffix written ".example.org" (a nightly backup that the baseline has not met).',
    ),
})
export type Parameters = z.infer<typeof Parameters>
