import type { EventId, Evidence, Finding, Instant, Severity } from '../../../schemas/index.ts'
import { blindnessDetector, blindnessFinding, type Place } from '../blindness-finding.ts'
import { type Due, timerOrder } from './timer-heap.ts'

/** Ways in which the host saw less, or worse, than what happened. */
export const blindnessKinds = {
  late: { severity: 'info', title: 'Events arrived later than the lateness bound; the detectors saw them out of order' },
  unverifiable: { severity: 'info', title: 'Events were so old that whether they are repetitions is no longer known' },
  clamped: { severity: 'low', title: 'Events claimed a time far ahead of the stream; a clock is wrong, or the stream has a gap' },
  skewed: { severity: 'low', title: "A sender's clock is off; its events were given the times they have by the log's clock" },
  evicted: { severity: 'low', title: 'Detector state was given up because there were more keys than the limit' },
  threw: { severity: 'low', title: 'A detector failed; the state of the keys concerned was dropped' },
  unapplied: { severity: 'medium', title: 'The host itself failed on records and passed over them; not all detectors saw them' },
} as const satisfies Record<string, { severity: Severity; title: string }>

export type BlindnessKind = keyof typeof blindnessKinds

/** JSON-serialisable. A gap being counted, stated when its minute is over. */
export interface Gap {
  kind: BlindnessKind
  opened: EventId
  /** Event time of the partition when the first and the last of it were met. */
  from: Instant
  until: Instant
  /** The earliest and the latest time of what was not seen as it should have been. */
  earliest: Instant
  latest: Instant
  firstOffset: number
  lastOffset: number
  count: number
  detectors: string[]
  /** Whose events they were. */
  principals: Names
  /** Their models, workloads or nodes, and the state keys that were given up. */
  keys: Names
  /** Worst skew by source, milliseconds. */
  skews: [source: string, skewMs: number][]
  moreSkews: boolean
}

/** Names while they are few; `more` says that others are left out. */
export interface Names {
  some: string[]
  more: boolean
}

export interface Sighting {
  readonly record: EventId
  readonly offset: number
  readonly at: Instant
  /** From when to when what was missed lies. Default: `at`. */
  readonly concerns?: { readonly from: Instant; readonly until: Instant }
  readonly detector?: string
  /** Null: of somebody, it is not known whom. Absent: of nobody. */
  readonly principal?: string | null
  readonly keys?: readonly (string | null)[]
  readonly skew?: { readonly source: string; readonly ms: number }
}

const minute = 60_000
/** Names of one sort that a gap carries. */
const mostNames = 32
/** The longest name that a finding's evidence holds. */
const longestName = 128

/**
 * States gaps as findings, at most one of each kind a minute of event time, with exact counts.
 */
export class Blindness {
  readonly #place: Place
  readonly #gaps = new Map<BlindnessKind, Gap>()

  constructor(place: Place, gaps: readonly Gap[] = []) {
    this.#place = place
    for (const gap of gaps) this.#gaps.set(gap.kind, copyOf(gap))
  }

  note(kind: BlindnessKind, sighting: Sighting): void {
    const { record, at, offset, concerns = { from: at, until: at } } = sighting
    let gap = this.#gaps.get(kind)
    if (gap === undefined) {
      gap = newGap(kind, record, at, offset, concerns)
      this.#gaps.set(kind, gap)
    }
    gap.count += 1
    gap.until = Math.max(gap.until, at)
    gap.lastOffset = offset
    gap.earliest = Math.min(gap.earliest, concerns.from)
    gap.latest = Math.max(gap.latest, concerns.until)
    if (sighting.detector !== undefined && !gap.detectors.includes(sighting.detector)) gap.detectors.push(sighting.detector)
    if (sighting.principal !== undefined) addName(gap.principals, sighting.principal)
    for (const key of sighting.keys ?? []) addName(gap.keys, key)
    if (sighting.skew !== undefined) noteSkew(gap, sighting.skew)
  }

  /** The gap to be stated next. */
  due(): (Due & { readonly gap: Gap }) | undefined {
    if (this.#gaps.size === 0) return undefined
    let first: (Due & { readonly gap: Gap }) | undefined
    for (const gap of this.#gaps.values()) {
      const due = { at: gap.from + minute, detector: blindnessDetector, key: gap.kind, gap }
      if (first === undefined || timerOrder(due, first) < 0) first = due
    }
    return first
  }

  /** @param total how often this kind has occurred since the partition began */
  state(gap: Gap, time: Instant, total: number): Finding {
    this.#gaps.delete(gap.kind)
    const { count, firstOffset, lastOffset, earliest, latest, principals, keys } = gap
    return blindnessFinding(this.#place, {
      kind: gap.kind,
      ...blindnessKinds[gap.kind],
      opened: gap.opened,
      revision: 0,
      time,
      evidence: {
        count,
        total,
        firstOffset,
        lastOffset,
        earliest,
        latest,
        detectors: [...gap.detectors].sort(),
        principals: [...principals.some].sort(),
        morePrincipals: principals.more,
        keys: [...keys.some].sort(),
        moreKeys: keys.more,
        ...skewEvidence(gap),
      },
      window: { from: gap.from, until: gap.until },
      eventsSeen: count,
    })
  }

  /** The partition's time starts again at `at`, earlier than it was: what was counted is counted on from there. */
  rebase(at: Instant): void {
    for (const gap of this.#gaps.values()) {
      gap.from = at
      gap.until = at
    }
  }

  snapshot(): Gap[] {
    return [...this.#gaps.values()].map(copyOf)
  }
}

function newGap(kind: BlindnessKind, opened: EventId, at: Instant, offset: number, concerns: { from: Instant; until: Instant }): Gap {
  return {
    kind,
    opened,
    from: at,
    until: at,
    earliest: concerns.from,
    latest: concerns.until,
    firstOffset: offset,
    lastOffset: offset,
    count: 0,
    detectors: [],
    principals: { some: [], more: false },
    keys: { some: [], more: false },
    skews: [],
    moreSkews: false,
  }
}

function copyOf(gap: Gap): Gap {
  const { detectors, principals, keys, skews } = gap
  return {
    ...gap,
    detectors: [...detectors],
    principals: { some: [...principals.some], more: principals.more },
    keys: { some: [...keys.some], more: keys.more },
    skews: skews.map(([source, ms]) => [source, ms]),
  }
}

function addName(names: Names, one: string | null): void {
  if (one !== null && names.some.includes(one)) return
  if (one === null || one.length > longestName || names.some.length >= mostNames) names.more = true
  else names.some.push(one)
}

function noteSkew(gap: Gap, { source, ms }: { readonly source: string; readonly ms: number }): void {
  const known = gap.skews.find(([other]) => other === source)
  if (known !== undefined) {
    if (Math.abs(ms) > Math.abs(known[1])) known[1] = ms
  } else if (gap.skews.length >= mostNames || source.length > longestName) gap.moreSkews = true
  else gap.skews.push([source, ms])
}

/** Sources by the size of their skew, the worst first. */
function skewEvidence({ kind, skews, moreSkews }: Gap): Evidence {
  if (kind !== 'skewed') return {}
  const sorted = [...skews].sort(([a, x], [b, y]) => Math.abs(y) - Math.abs(x) || (a < b ? -1 : 1))
  const [worst] = sorted
  return {
    source: worst?.[0] ?? null,
    skewMs: worst?.[1] ?? null,
    sources: sorted.map(([source]) => source),
    skewsMs: sorted.map(([, ms]) => ms),
    moreSources: moreSkews,
  }
}
