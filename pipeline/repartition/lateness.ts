import type { Finding, Instant } from '../../schemas/index.ts'
import { stateUnseen, type Unseen } from '../host/lane/unseen.ts'
import type { TopicPartition } from '../host/standby/standby.ts'
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
    return [...this.#late].map(([partition, { first, last, from, until, worstMs }]) =>
      stateUnseenIn({ topic, partition }, growth, { kind: 'lagged', firstOffset: first, lastOffset: last, from, until, worstMs }),
    )
  }
}

/**
 * A gap in what was written around the growth. Some records of an old partition lie in it by the old number, some by the new:
 * the old number names the keys of both where it divides the new one, else they may be anybody's.
 */
export function stateUnseenIn({ topic, partition }: TopicPartition, { from, to }: Growth, gap: Unseen): Finding {
  const finding = stateUnseen({ topic, partition, partitions: partition < from ? from : to }, gap)
  if (partition >= from || to % from === 0) return finding
  const { partitions: _, ...evidence } = finding.evidence
  return { ...finding, evidence }
}
