import { z } from 'zod'
import { type Containment, Hardening, Name, splitTarget, type TargetKind } from '../../schemas/index.ts'
import type { Hardener } from './harden.ts'
import { type Neighbourhood, readCoordinates } from './neighbourhood.ts'
import type { Quota } from './options.ts'
import { type Bucket, Buckets, emptyBucket } from './throttle.ts'

/** What a lease does on a node. */
export type LeaseEffect =
  | { readonly action: 'throttle-principal'; readonly quota: Quota; readonly buckets: Buckets }
  | {
      readonly action: 'throttle-cluster'
      readonly neighbourhood: Neighbourhood
      readonly bystanders: ReadonlySet<string>
      readonly bucket: Bucket
    }
  | { readonly action: 'harden-output'; readonly hardener: Hardener }
  | { readonly action: 'rollback-model'; readonly version: string }
  | { readonly action: 'quarantine-pool' }
  /** The key registry's clock enforces it: the old key expires. */
  | { readonly action: 'rotate-key' }
  | { readonly action: 'deny-principal' }

const maxBuckets = 10_000

const clients: readonly TargetKind[] = ['principal', 'organization', 'key']
const kinds: Readonly<Record<LeaseEffect['action'], readonly TargetKind[]>> = {
  'throttle-principal': [...clients, 'model'],
  'throttle-cluster': ['cluster'],
  'harden-output': [...clients, 'model'],
  'rollback-model': ['model'],
  'quarantine-pool': ['pool'],
  'rotate-key': clients,
  'deny-principal': clients,
}

// A lease whose parameters are missing or unreadable is enforced with these: an active lease that does nothing
// would be worse. Only a version cannot be guessed.
const ThrottleParameters = z.object({
  requests: z.number().min(1).max(1e9).catch(10),
  windowMs: z.number().min(1).max(86_400_000).catch(60_000),
})
const HardenParameters = z.object({
  level: Hardening.catch('label-only'),
  decimals: z.int().min(0).max(6).catch(2),
  k: z.int().min(1).max(1_000).catch(1),
  noise: z.number().min(0).max(0.1).catch(0),
  padTo: z.int().min(0).max(65_536).catch(0),
  floorMs: z.int().min(0).max(10_000).catch(0),
  watermark: z.boolean().catch(false),
})
const RollbackParameters = z.object({ version: Name })
/** Nor can where a cluster lies. */
const ClusterParameters = z.object({
  model: Name,
  profile: z.string().max(64),
  epoch: z.int().min(0),
  middle: z.base64().min(1).max(512),
  radius: z.number().positive(),
  bystanders: z.string().max(512).catch(''),
})

/** Undefined where a node cannot enforce it: an unknown action, a target that it does not apply to, no version, no place. */
export function effectOf(lease: Containment): LeaseEffect | undefined {
  const action = lease.action as LeaseEffect['action']
  if (!Object.hasOwn(kinds, action) || !kinds[action].includes(splitTarget(lease.target).kind)) return undefined
  if (action === 'throttle-principal') {
    const quota = ThrottleParameters.parse(lease.parameters)
    return { action, quota, buckets: new Buckets(maxBuckets, (now) => emptyBucket(quota, Math.min(lease.from, now))) }
  }
  if (action === 'harden-output') return { action, hardener: HardenParameters.parse(lease.parameters) }
  if (action === 'throttle-cluster') {
    const { data } = ClusterParameters.safeParse(lease.parameters)
    if (data === undefined) return undefined
    const bucket = emptyBucket(ThrottleParameters.parse(lease.parameters), lease.from)
    const bystanders = new Set(data.bystanders.split(' '))
    return { action, neighbourhood: { ...data, middle: readCoordinates(data.middle) }, bystanders, bucket }
  }
  if (action === 'rollback-model') {
    const { data } = RollbackParameters.safeParse(lease.parameters)
    return data === undefined ? undefined : { action, version: data.version }
  }
  return { action }
}
