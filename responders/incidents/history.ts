import type { Incident, Instant, Target } from '../../schemas/index.ts'

interface Entry {
  readonly count: number
  readonly at: Instant
}

/** How often each target was contained before. Bounded: the longest untouched targets are forgotten first. */
export class ContainmentHistory {
  readonly #entries = new Map<Target, Entry>()
  readonly #maxTargets: number
  readonly #memoryMs: number

  constructor(maxTargets: number, memoryMs: number) {
    this.#maxTargets = maxTargets
    this.#memoryMs = memoryMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** The most of any of the targets. */
  repetitions(targets: readonly Target[], now: Instant): number {
    let most = 0
    for (const target of targets) {
      const entry = this.#entries.get(target)
      if (entry !== undefined && now - entry.at <= this.#memoryMs) most = Math.max(most, entry.count)
    }
    return most
  }

  /** A contained incident ended: whoever it was about has one more behind them. */
  record(incident: Incident, at: Instant): void {
    for (const target of incident.targets) {
      const held = this.#entries.get(target)?.count ?? 0
      this.#entries.delete(target)
      this.#entries.set(target, { count: Math.max(held, incident.repetitions + 1), at })
    }
    for (const target of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxTargets) break
      this.#entries.delete(target)
    }
  }
}
