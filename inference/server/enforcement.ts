import type { View } from '../../bus/view.ts'
import { type Acknowledgement, type Containment, type Instant, targetOf } from '../../schemas/index.ts'
import type { Fingerprint } from '../port.ts'
import { type Hardener, stricter } from './harden.ts'
import { effectOf, type LeaseEffect } from './lease.ts'
import { isWithin, readCoordinates } from './neighbourhood.ts'
import type { Bucket } from './throttle.ts'

/** Whom and what a request is about. */
export interface Subject {
  readonly principal: string
  readonly organization: string | null
  readonly keyId: string | null
  readonly model: string
}

/** What the active leases say about a request. Each part names its lease, for the record. */
export interface Standing {
  readonly denied: string | undefined
  readonly throttles: readonly { readonly lease: string; readonly bucket: Bucket }[]
  readonly hardening: { readonly lease: string; readonly hardener: Hardener } | undefined
  readonly rollback: { readonly lease: string; readonly version: string } | undefined
}

export interface EnforcementOptions {
  readonly containments: View<Containment>
  readonly node: string
  readonly clock: () => Instant
  /** Called once for each revision of a lease that this node enforces. */
  readonly acknowledge: (acknowledgement: Acknowledgement) => void
  /** Called for an active lease that this node cannot enforce. */
  readonly unenforceable: (lease: Containment) => void
  /** While true nothing is enforced, and what is not enforced is not acknowledged. */
  readonly suspended: () => boolean
}

interface Held {
  readonly lease: Containment
  readonly effect: LeaseEffect
  /** Null where the latency of its enforcement says nothing. */
  readonly decidedAt: Instant | null
  acknowledged: boolean
}

const nothing: Standing = { denied: undefined, throttles: [], hardening: undefined, rollback: undefined }

/**
 * The active leases by target, kept current from the view: a request looks up its own four targets, whatever
 * else is contained. A lease ends by the clock: `until` is compared at each look, and nobody has to say so.
 * Holds as many leases as are active in the view.
 */
export class Enforcement {
  readonly #options: EnforcementOptions
  readonly #byTarget = new Map<string, Map<string, Held>>()
  /** Targets of `throttle-cluster`: no request names them, so they are gone through. */
  readonly #clusters = new Set<string>()
  readonly #stop: () => void

  constructor(options: EnforcementOptions) {
    this.#options = options
    // A node that begins later than the decision enforces it from the first request on, but its latency says nothing.
    for (const lease of options.containments.values()) this.#hold(lease, null)
    this.#stop = options.containments.onChange((id, lease) => {
      if (lease === undefined) this.#release(id, id.slice(0, id.lastIndexOf('/')))
      else this.#hold(lease, lease.decidedAt)
    })
  }

  /** Leases in force, by action. */
  active(): ReadonlyMap<string, number> {
    const now = this.#options.clock()
    const counts = new Map<string, number>()
    if (this.#options.suspended()) return counts
    for (const held of this.#byTarget.values()) {
      for (const { lease } of held.values()) if (lease.until > now) counts.set(lease.action, (counts.get(lease.action) ?? 0) + 1)
    }
    return counts
  }

  standing({ principal, organization, keyId, model }: Subject, now: Instant): Standing {
    if (this.#byTarget.size === 0 || this.#options.suspended()) return nothing
    const held = [...this.#at(targetOf('principal', principal), now), ...this.#at(targetOf('model', model), now)]
    if (organization !== null) held.push(...this.#at(targetOf('organization', organization), now))
    if (keyId !== null) held.push(...this.#at(targetOf('key', keyId), now))
    return held.length === 0 ? nothing : combine(held, principal, now)
  }

  /** The lease that quarantines the pool. */
  quarantine(pool: string, now: Instant): Containment | undefined {
    if (this.#byTarget.size === 0 || this.#options.suspended()) return undefined
    return this.#at(targetOf('pool', pool), now).find(({ effect }) => effect.action === 'quarantine-pool')?.lease
  }

  /** The limit on answers around what an attack goes around, where one of these lies there: that of the oldest such cluster. */
  around(
    { model, principal }: Pick<Subject, 'model' | 'principal'>,
    fingerprints: readonly Fingerprint[],
    now: Instant,
  ): { readonly lease: string; readonly bucket: Bucket } | undefined {
    if (this.#clusters.size === 0 || this.#options.suspended()) return undefined
    const sketches = fingerprints.map(({ sketch }) => readCoordinates(sketch))
    for (const target of this.#clusters) {
      for (const { lease, effect } of this.#at(target, now)) {
        if (effect.action !== 'throttle-cluster' || effect.bystanders.has(principal)) continue
        const { neighbourhood } = effect
        if (neighbourhood.model !== model) continue
        if (fingerprints.some((print, i) => isWithin(neighbourhood, print, sketches[i] as Int16Array)))
          return { lease: lease.id, bucket: effect.bucket }
      }
    }
    return undefined
  }

  /** Acknowledges what came while nothing was enforced, and is in force now. */
  resume(): void {
    for (const held of this.#byTarget.values()) for (const one of held.values()) this.#acknowledge(one)
  }

  close(): void {
    this.#stop()
  }

  #at(target: string, now: Instant): readonly Held[] {
    const held = this.#byTarget.get(target)
    if (held === undefined) return []
    const active: Held[] = []
    for (const [id, one] of held) {
      if (one.lease.until > now) active.push(one)
      else this.#release(id, target)
    }
    return active
  }

  #hold(lease: Containment, decidedAt: Instant | null): void {
    const { clock, unenforceable } = this.#options
    const before = this.#byTarget.get(lease.target)?.get(lease.id)
    if (before !== undefined && before.lease.revision >= lease.revision) return
    if (lease.state !== 'active' || lease.until <= clock()) return this.#release(lease.id, lease.target)
    const effect = carryOver(before, lease) ?? effectOf(lease)
    if (effect === undefined) {
      this.#release(lease.id, lease.target)
      return unenforceable(lease)
    }
    const held = this.#byTarget.get(lease.target) ?? new Map<string, Held>()
    const one: Held = { lease, effect, decidedAt, acknowledged: false }
    this.#byTarget.set(lease.target, held.set(lease.id, one))
    if (effect.action === 'throttle-cluster') this.#clusters.add(lease.target)
    this.#acknowledge(one)
  }

  #acknowledge(held: Held): void {
    const { clock, node, acknowledge, suspended } = this.#options
    const { lease, decidedAt } = held
    const at = clock()
    if (held.acknowledged || lease.until <= at || suspended()) return
    held.acknowledged = true
    acknowledge({ lease: lease.id, revision: lease.revision, node, at, enforcedAfterMs: decidedAt === null ? null : at - decidedAt })
  }

  #release(id: string, target: string): void {
    const held = this.#byTarget.get(target)
    held?.delete(id)
    if (held?.size !== 0) return
    this.#byTarget.delete(target)
    this.#clusters.delete(target)
  }
}

/** A lease that is only extended keeps its buckets: an extension is not a new allowance. */
function carryOver(before: Held | undefined, lease: Containment): LeaseEffect | undefined {
  if (before === undefined || before.lease.action !== lease.action) return undefined
  if (JSON.stringify(before.lease.parameters) === JSON.stringify(lease.parameters)) return before.effect
  if (before.effect.action !== 'throttle-cluster') return undefined
  // A cluster that has moved on is no new allowance either.
  const moved = effectOf(lease)
  return moved?.action === 'throttle-cluster' ? { ...moved, bucket: { ...moved.bucket, fullAt: before.effect.bucket.fullAt } } : undefined
}

function combine(held: readonly Held[], principal: string, now: Instant): Standing {
  let denied: string | undefined
  let hardening: Standing['hardening']
  let rollback: Standing['rollback']
  const throttles: { lease: string; bucket: Bucket }[] = []
  for (const { lease, effect } of held) {
    if (effect.action === 'deny-principal') denied ??= lease.id
    else if (effect.action === 'throttle-principal') throttles.push({ lease: lease.id, bucket: effect.buckets.of(principal, now) })
    else if (effect.action === 'rollback-model') rollback ??= { lease: lease.id, version: effect.version }
    else if (effect.action === 'harden-output') hardening = harder(hardening, { lease: lease.id, hardener: effect.hardener })
  }
  return { denied, throttles, hardening, rollback }
}

/** What both ask for, in the name of the one that takes more of the answer. */
function harder(before: Standing['hardening'], next: NonNullable<Standing['hardening']>): NonNullable<Standing['hardening']> {
  if (before === undefined) return next
  const hardener = stricter(before.hardener, next.hardener)
  const more = hardener.level !== before.hardener.level || hardener.decimals < before.hardener.decimals
  return { lease: more ? next.lease : before.lease, hardener }
}
