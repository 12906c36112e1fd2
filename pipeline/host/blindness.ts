import type { EventId, Finding, Instant, Severity } from '../../schemas/index.ts'
import { findingId } from './finding-id.ts'
import { type Due, timerOrder } from './timer-heap.ts'

/** Ways in which the host saw less, or worse, than what happened. */
export const blindnessKinds = {
  late: { severity: 'info', title: 'Events arrived later than the lateness bound; the detectors saw them out of order' },
  unverifiable: { severity: 'info', title: 'Events were so old that whether they are repetitions is no longer known' },
  clamped: { severity: 'low', title: 'Events claimed a time far ahead of the stream; a clock is wrong, or the stream has a gap' },
  evicted: { severity: 'low', title: 'Detector state was given up because there were more keys than the limit' },
  threw: { severity: 'low', title: 'A detector failed; the state of the keys concerned was dropped' },
} as const satisfies Record<string, { severity: Severity; title: string }>

export type BlindnessKind = keyof typeof blindnessKinds

/** JSON-serialisable. A gap being counted, stated when its minute is over. */
export interface Gap {
  kind: BlindnessKind
  opened: EventId
  from: Instant
  until: Instant
  firstOffset: number
  lastOffset: number
  count: number
  detectors: string[]
}

export interface Sighting {
  readonly record: EventId
  readonly offset: number
  readonly at: Instant
  readonly detector: string | null
}

const detector = 'blindness'
const version = 1
const minute = 60_000

/**
 * States gaps as findings, at most one of each kind a minute of event time, with exact counts. They name no
 * principal, workload, model or pool and have confidence 0, so nothing can be contained because of them.
 */
export class Blindness {
  readonly #scope: string
  readonly #gaps = new Map<BlindnessKind, Gap>()

  /** @param scope `<topic>/<partition>` */
  constructor(scope: string, gaps: readonly Gap[] = []) {
    this.#scope = scope
    for (const gap of gaps) this.#gaps.set(gap.kind, { ...gap, detectors: [...gap.detectors] })
  }

  note(kind: BlindnessKind, sighting: Sighting): void {
    let gap = this.#gaps.get(kind)
    if (gap === undefined) {
      const { record, at, offset } = sighting
      gap = { kind, opened: record, from: at, until: at, firstOffset: offset, lastOffset: offset, count: 0, detectors: [] }
      this.#gaps.set(kind, gap)
    }
    gap.count += 1
    gap.until = sighting.at
    gap.lastOffset = sighting.offset
    if (sighting.detector !== null && !gap.detectors.includes(sighting.detector)) gap.detectors.push(sighting.detector)
  }

  /** The gap to be stated next. */
  due(): (Due & { readonly gap: Gap }) | undefined {
    if (this.#gaps.size === 0) return undefined
    let first: (Due & { readonly gap: Gap }) | undefined
    for (const gap of this.#gaps.values()) {
      const due = { at: gap.from + minute, detector, key: gap.kind, gap }
      if (first === undefined || timerOrder(due, first) < 0) first = due
    }
    return first
  }

  /** @param total how often this kind has occurred since the partition began */
  state(gap: Gap, time: Instant, total: number): Finding {
    this.#gaps.delete(gap.kind)
    const scope = `${this.#scope}/${gap.kind}`
    const { severity, title } = blindnessKinds[gap.kind]
    return {
      id: findingId(detector, version, scope, gap.opened),
      revision: 0,
      time,
      detector,
      version,
      scope,
      severity,
      confidence: 0,
      threats: [],
      principals: [],
      organizations: [],
      model: null,
      workload: null,
      pool: null,
      title,
      evidence: {
        kind: gap.kind,
        count: gap.count,
        total,
        firstOffset: gap.firstOffset,
        lastOffset: gap.lastOffset,
        detectors: [...gap.detectors].sort(),
      },
      window: { from: gap.from, until: gap.until },
      eventsSeen: gap.count,
      decidedBy: null,
    }
  }

  /** Forgets what was being counted, for a partition that starts again. */
  clear(): void {
    this.#gaps.clear()
  }

  snapshot(): Gap[] {
    return [...this.#gaps.values()].map((gap) => ({ ...gap, detectors: [...gap.detectors] }))
  }
}
