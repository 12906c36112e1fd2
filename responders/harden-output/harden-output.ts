import { z } from 'zod'
import { Hardening, type Parameters, stricterHardening } from '../../schemas/index.ts'
import { holdLease, planLeases, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, numberOf } from '../responder.ts'

/** Of a level that leaves all. */
const mostK = 1_000

/** Tells less with every answer: probabilities rounded, the largest of them, or the label alone. Decision-based attacks still see labels. */
export const hardenOutput = defineResponder({
  id: 'harden-output',
  summary: 'Tells a principal less: probabilities rounded, the largest alone, or the label alone; with noise, padding, delay, a watermark.',
  params: z.strictObject({
    level: Hardening.default('label-only'),
    /** Decimals that stay at the levels `rounded` and `top-k`. */
    decimals: z.int().min(0).max(6).default(1),
    /** Probabilities that stay at level `top-k`. */
    k: z.int().min(1).max(1_000).default(3),
    /** Most that noise changes the probabilities of an answer in sum, the same for the same input. */
    noise: z.number().min(0).max(0.1).default(0),
    /** Bytes whose multiple answers are filled up to. */
    padTo: z.int().min(0).max(65_536).default(0),
    /** Milliseconds from its arrival before which no answer leaves. */
    floorMs: z.int().min(0).max(10_000).default(0),
    /** Whether a few labels are wrong, by which a copy is known. */
    watermark: z.boolean().default(false),
    durationMs: DurationMs,
  }),
  effect: 'degrade',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['principal', 'organization', 'key', 'model'],
  once: false,
  example: { target: 'principal:mallory', parameters: { level: 'rounded', decimals: 1, durationMs: 1_800_000 } },
  plan: (incident, { durationMs, ...asked }, now) => planLeases(incident, 'principal', inForce(asked), durationMs, now),
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  strongest: (held, asked) =>
    inForce({
      level: stricterHardening(levelOf(held), levelOf(asked)),
      decimals: Math.min(numberOf(held, 'decimals', 6), numberOf(asked, 'decimals', 6)),
      k: Math.min(keptBy(held), keptBy(asked)),
      noise: Math.max(numberOf(held, 'noise', 0), numberOf(asked, 'noise', 0)),
      padTo: Math.max(numberOf(held, 'padTo', 0), numberOf(asked, 'padTo', 0)),
      floorMs: Math.max(numberOf(held, 'floorMs', 0), numberOf(asked, 'floorMs', 0)),
      watermark: held['watermark'] === true || asked['watermark'] === true,
    }),
})

interface Settings {
  readonly level: Hardening
  readonly decimals: number
  readonly k: number
  readonly noise: number
  readonly padTo: number
  readonly floorMs: number
  readonly watermark: boolean
}

/** What is off is left out: a lease is read by people. */
function inForce({ level, decimals, k, noise, padTo, floorMs, watermark }: Settings): Parameters {
  return {
    level,
    decimals,
    ...(level === 'top-k' && { k }),
    ...(noise > 0 && { noise }),
    ...(padTo > 0 && { padTo }),
    ...(floorMs > 0 && { floorMs }),
    ...(watermark && { watermark }),
  }
}

/** What cannot be read is the label alone, as on a node. */
function levelOf(parameters: Parameters): Hardening {
  const level = Hardening.safeParse(parameters['level'] ?? 'none')
  return level.success ? level.data : 'label-only'
}

/** At another level than `top-k` it does not count. */
function keptBy(parameters: Parameters): number {
  return levelOf(parameters) === 'top-k' ? numberOf(parameters, 'k', 1) : mostK
}
