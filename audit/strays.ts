import type { FoundRecord } from './found-record.ts'
import type { Problems } from './verdict.ts'

/** Records out of place, and gaps, that are kept in mind; beyond it each is told as it is found. */
const most = 10_000

interface Gap {
  readonly from: number
  readonly until: number
  /** Hash of the last one missing, as its successor says; base64. */
  readonly head: string
  /** Line of the successor. */
  readonly line: number
  /** Of those, the ones that turned up elsewhere. */
  readonly found: Set<number>
}

/** What stands where it does not belong, and what is missing: the two are matched, so that a moved record is named as one. */
export class Strays {
  readonly #log: string
  readonly #problems: Problems
  readonly #early: FoundRecord[] = []
  readonly #gaps: Gap[] = []

  constructor(log: string, problems: Problems) {
    this.#log = log
    this.#problems = problems
  }

  /** A record far ahead of those around it. */
  early(record: FoundRecord): void {
    if (this.#early.length < most) this.#early.push(record)
    else this.#sayInserted(record)
  }

  /** Whether what is missing before `record` is a single one that was seen before, or in whose place another stands. */
  isOnlyGap(next: number, record: FoundRecord): boolean {
    return record.seq === next + 1 && this.#early.some(({ seq, line }) => seq === next || line === record.line - 1)
  }

  /** The records from `from` on are missing before `record`. */
  gap(from: number, record: Pick<FoundRecord, 'seq' | 'prev' | 'line'>): void {
    const gap = { from, until: record.seq - 1, head: record.prev, line: record.line, found: new Set<number>() }
    if (this.#gaps.length >= most) return this.#sayDropped(gap)
    this.#gaps.push(gap)
    for (const [at, stray] of [...this.#early.entries()].reverse()) if (this.#fill(stray)) this.#early.splice(at, 1)
  }

  /** A record after its place; false where it is not missing there. */
  late(record: FoundRecord): boolean {
    return this.#fill(record)
  }

  end(): void {
    for (const gap of this.#gaps) this.#endGap(gap)
    for (const stray of this.#early) this.#sayInserted(stray)
  }

  #fill(record: FoundRecord): boolean {
    const gap = this.#gaps.find(({ from, until }) => from <= record.seq && record.seq <= until)
    if (gap === undefined || gap.found.has(record.seq)) return false
    // Only of the last one missing is the hash known.
    if (record.seq === gap.until && record.leaf.toString('base64') !== gap.head) return false
    gap.found.add(record.seq)
    this.#say('moved', record.seq, null, record.line, `record ${record.seq} is not where it was written`)
    return true
  }

  #endGap(gap: Gap): void {
    const missing = gap.until - gap.from + 1 - gap.found.size
    if (missing <= 0) return
    const inPlace = this.#early.findIndex(({ line }) => line === gap.line - 1)
    const stray = this.#early[inPlace]
    if (gap.from === gap.until && stray !== undefined) {
      this.#early.splice(inPlace, 1)
      this.#say(
        'changed',
        gap.from,
        null,
        stray.line,
        `record ${gap.from} is not the one that was written: it says that it is number ${stray.seq}`,
      )
    } else this.#sayDropped(gap)
  }

  #sayDropped({ from, until, found }: Gap): void {
    const [first, last] = [until, from].map((end, at) => nearest(end, at === 0 ? -1 : 1, found)).reverse()
    if (first === undefined || last === undefined) return
    const message =
      first === last
        ? `record ${first} is missing`
        : `records ${first} to ${last} are missing${found.size > 0 ? ', but for those that stand elsewhere' : ''}`
    this.#say('dropped', first, last, null, message)
  }

  #sayInserted({ seq, line }: FoundRecord): void {
    this.#say('inserted', seq, null, line, `a record that says it is number ${seq} does not belong there`)
  }

  #say(kind: 'moved' | 'changed' | 'dropped' | 'inserted', seq: number, until: number | null, line: number | null, message: string): void {
    this.#problems.add({ kind, log: this.#log, seq, until, line, message })
  }
}

/** The first number from `end` on that was not found. */
function nearest(end: number, step: 1 | -1, found: ReadonlySet<number>): number {
  let at = end
  while (found.has(at)) at += step
  return at
}
