import type { Containment, Instant } from '../../schemas/index.ts'
import { evolve, holds } from './lease.ts'

/** Every lease known, active and ended. Ended ones beyond `maxEnded` are named by `surplus`, for the owner to drop. */
export class LeaseBook {
  readonly #leases = new Map<string, Containment>()
  readonly #maxEnded: number
  #active = 0

  constructor(maxEnded: number) {
    this.#maxEnded = maxEnded
  }

  get(id: string): Containment | undefined {
    return this.#leases.get(id)
  }

  list(): readonly Containment[] {
    return [...this.#leases.values()]
  }

  /** Leases marked active, those whose time is up but that are not marked yet included. */
  get active(): number {
    return this.#active
  }

  holding(now: Instant): readonly Containment[] {
    return this.list().filter((lease) => holds(lease, now))
  }

  /** Active by their state, over by the clock: each waits for its `expire`. */
  due(now: Instant): readonly Containment[] {
    return this.list().filter((lease) => lease.state === 'active' && lease.until <= now)
  }

  /** Takes in a revision; an older one than that which stands changes nothing. Returns whether it stands now. */
  apply(revision: Containment): boolean {
    const held = this.#leases.get(revision.id) ?? null
    const next = evolve(held, revision)
    if (next === held) return false
    this.put(next)
    return true
  }

  /** Sets a lease whatever its revision, or forgets it: for undoing a revision that could not be made durable. */
  put(lease: Containment): void {
    const held = this.#leases.get(lease.id)
    this.#active += Number(lease.state === 'active') - Number(held?.state === 'active')
    // Taken out first, so that the map's order is that of the latest change.
    this.#leases.delete(lease.id)
    this.#leases.set(lease.id, lease)
  }

  forget(id: string): void {
    if (this.#leases.get(id)?.state === 'active') this.#active--
    this.#leases.delete(id)
  }

  /** The longest-ended leases beyond the bound. */
  surplus(): readonly string[] {
    const over = this.#leases.size - this.#active - this.#maxEnded
    if (over <= 0) return []
    const ended = this.list().filter((lease) => lease.state !== 'active')
    return ended.slice(0, over).map((lease) => lease.id)
  }
}
