import type { Finding, Instant } from '../../schemas/index.ts'
import { stateUnseen } from '../host/unseen.ts'
import type { Growth } from './homes.ts'

interface Late {
  first: number
  last: number
  from: Instant
  until: Instant
  worstMs: number
}

/** Which records were applied later than the objective, by the partition that they lie in. */
export class Lateness {
  readonly #objectiveMs: number
  readonly #late = new Map<number, Late>()

  constructor(objectiveMs: number) {
    this.#objectiveMs = objectiveMs
  }

  note({ partition, offset, timestamp }: { partition: number; offset: number; timestamp: Instant }, now: Instant): void {
    const lateMs = now - timestamp
    if (lateMs <= this.#objectiveMs) return
    const known = this.#late.get(partition)
    if (known === undefined) {
      this.#late.set(partition, { first: offset, last: offset, from: timestamp, until: timestamp, worstMs: lateMs })
      return
    }
    known.first = Math.min(known.first, offset)
    known.last = Math.max(known.last, offset)
    known.from = Math.min(known.from, timestamp)
    known.until = Math.max(known.until, timestamp)
    known.worstMs = Math.max(known.worstMs, lateMs)
  }

  state(topic: string, growth: Growth): Finding[] {
    return [...this.#late].map(([partition, { first, last, from, until, worstMs }]) => {
      const { from: before, to } = growth
      const place = { topic, partition, partitions: partition < before ? before : to }
      const finding = stateUnseen(place, { kind: 'lagged', firstOffset: first, lastOffset: last, from, until, worstMs })
      // Some of an old partition's records lie in it by the old number, some by the new: that names the keys of both where the
      // one divides the other; else it may be about anybody.
      if (partition >= before || to % before === 0) return finding
      const { partitions: _, ...evidence } = finding.evidence
      return { ...finding, evidence }
    })
  }
}
