import { z } from 'zod'
import { targetOf } from '../../schemas/index.ts'
import { holdLease, releaseLease } from '../leases/hold.ts'
import { DurationMs, defineResponder, latest } from '../responder.ts'

const hour = 60 * 60 * 1_000

/** Where a cluster lies, as a detector's evidence states it: see `neighbourhoodOf` of near-duplicate-probing. */
const Place = z.object({
  profile: z.string().min(1).max(64),
  epoch: z.int().min(0),
  /** Sketch of the cluster's middle: base64 of int16 coordinates. */
  middle: z.base64().min(1).max(512),
  /** Input units. */
  radius: z.number().positive(),
  /** Principals who were there of their own, with spaces between: they are not limited. */
  bystanders: z.string().max(512).default(''),
})

/**
 * Few answers for each window near the inputs that are being attacked, whoever asks: a fresh key is no way on, and no answer
 * is given that it would take to recognise its owner. A client who asks about something else notices nothing.
 */
export const throttleCluster = defineResponder({
  id: 'throttle-cluster',
  summary: 'Limits how often anybody is answered near the inputs that an attack goes around; the rest get 429 with Retry-After.',
  params: z.strictObject({
    requests: z.int().min(1).max(100_000).default(1),
    windowMs: z.int().min(1_000).max(hour).default(60_000),
    durationMs: DurationMs,
    ...Place.partial().shape,
    model: z.string().max(128).optional(),
  }),
  effect: 'restrict',
  permissions: ['leases:grant', 'leases:release'],
  targets: ['cluster'],
  once: false,
  example: {
    target: `cluster:${'0'.repeat(32)}`,
    parameters: {
      requests: 1,
      windowMs: 60_000,
      durationMs: 600_000,
      model: 'digits',
      profile: '8d2be4c5243c66a4',
      epoch: 0,
      middle: 'AAAA',
      radius: 2,
    },
  },
  plan(incident, { requests, windowMs, durationMs }, now, finding) {
    const place = Place.safeParse(finding?.evidence)
    if (finding === null || finding.model === null || !place.success) return []
    const parameters = { requests, windowMs, model: finding.model, ...place.data }
    return [{ target: targetOf('cluster', finding.id), parameters, reason: incident.title, until: now + durationMs }]
  },
  execute: (action, ports, signal) => holdLease(action, ports, signal),
  revert: releaseLease,
  // The cluster goes on growing: where it lies now is what counts.
  strongest: latest,
})
