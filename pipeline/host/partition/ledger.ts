import type { EventId, Finding, Instant } from '../../../schemas/index.ts'
import type { Place } from '../blindness-finding.ts'
import { type HostCounts, noCounts, type SnapshotHead } from '../snapshot/snapshot.ts'
import { Blindness, type BlindnessKind, type Gap, type Sighting } from './blindness.ts'
import type { Due } from './timer-heap.ts'

/** What came of a partition's records: the findings of the one at hand, the gaps that are being counted, and counts of everything. */
export class Ledger {
  /** Counted on by whoever does what is counted; gaps but `threw` are counted here. */
  readonly counts: HostCounts = noCounts()
  readonly #place: Place
  #blindness: Blindness
  /** What is being applied. */
  #record: EventId = ''
  #offset = 0
  #findings: Finding[] = []

  constructor(place: Place) {
    this.#place = place
    this.#blindness = new Blindness(place)
  }

  /** What is stated and noted from here on comes of this record. */
  begin(record: EventId, offset: number): void {
    this.#record = record
    this.#offset = offset
    this.#findings = []
  }

  /** What came of the record at hand; the next one has an array of its own. */
  get findings(): Finding[] {
    return this.#findings
  }

  state(finding: Finding): void {
    this.counts.findings += 1
    this.#findings.push(finding)
  }

  note(kind: BlindnessKind, at: Instant, about: Partial<Sighting>): void {
    // A failure of a detector counts before it is known whom it concerns.
    if (kind !== 'threw') this.counts[kind] += 1
    this.#blindness.note(kind, { record: this.#record, offset: this.#offset, at, ...about })
  }

  /** The gap to be stated next. */
  dueGap(): (Due & { readonly gap: Gap }) | undefined {
    return this.#blindness.due()
  }

  stateGap({ gap, at }: Due & { readonly gap: Gap }): void {
    this.state(this.#blindness.state(gap, at, this.counts[gap.kind]))
  }

  /** The partition's time starts again at `at`, earlier than it was. */
  rebase(at: Instant): void {
    this.#blindness.rebase(at)
  }

  snapshot(): Pick<SnapshotHead, 'gaps' | 'counts'> {
    return { gaps: this.#blindness.snapshot(), counts: { ...this.counts } }
  }

  restore({ gaps, counts }: Pick<SnapshotHead, 'gaps' | 'counts'>): void {
    this.#blindness = new Blindness(this.#place, gaps)
    Object.assign(this.counts, counts)
  }
}
