import { partitionOf } from '../../bus/partitioner.ts'
import type { Finding, Instant } from '../../schemas/index.ts'
import type { HostedDetector } from '../host/hosted.ts'
import { Blindness } from '../host/partition/blindness.ts'
import { noCounts, type SnapshotHead } from '../host/snapshot/snapshot.ts'
import { type Growth, originsOf } from './homes.ts'
import type { UsableSnapshot } from './snapshots.ts'

/** Event ids in a line of a snapshot. */
const idsPerLine = 512

/** The state of a partition from before; null where there is none, so that it is made from its records. */
export type Origin = UsableSnapshot | null

/** What a partition begins with after the growth. */
export interface Destination {
  /** Of a snapshot; null where none of its origins has a state. */
  readonly lines: readonly string[] | null
  readonly entries: number
  /** Entries that lay in another partition before. */
  readonly moved: number
}

interface Line {
  readonly detector: string
  readonly key: string
  readonly order: number
  readonly touched: Instant
}

/**
 * Puts together what the partition's keys have to their name.
 *
 * - Event time: that of the origin that is least far, so that nothing which is still to come there is late. Timers are of the
 *   future of their origin, and so of this partition. None where an origin is made from its first record on.
 * - Remembered ids: of all origins, since a repetition may come of any event; the host keeps the newest.
 * - Counts: of the old partition of the same number; a new one has none.
 * - Gaps that are being counted: none; they name keys by the old number of partitions, see `openGaps`.
 */
export async function gather(
  blank: SnapshotHead,
  growth: Growth,
  origins: readonly Origin[],
  detectors: readonly HostedDetector[],
): Promise<Destination> {
  const homeOfEntry = entryHomes(detectors, growth)
  const heads: SnapshotHead[] = []
  const recent: { id: string; at: Instant }[] = []
  const entries: Line[] = []
  let moved = 0
  const places = originsOf(blank.partition, growth)
  for (const partition of places) {
    const origin = origins[partition] ?? null
    if (origin === null) continue
    heads.push(origin.head)
    for await (const lines of origin.stored.lines()) {
      for (const line of lines) {
        const named = nameOf(line)
        if (named !== null && homeOfEntry(named, partition) !== blank.partition) continue
        const value = JSON.parse(line) as Partial<Line> & { readonly ids?: string[]; readonly times?: Instant[]; readonly format?: number }
        if (value.ids !== undefined) recent.push(...value.ids.map((id, index) => ({ id, at: value.times?.[index] ?? 0 })))
        if (named === null) continue
        entries.push(value as Line)
        if (partition !== blank.partition) moved += 1
      }
    }
  }
  if (heads.length === 0) return { lines: null, entries: 0, moved: 0 }
  if (heads.length > 1) {
    recent.sort((a, b) => a.at - b.at)
    entries.sort((a, b) => a.touched - b.touched || a.order - b.order)
  } else entries.sort((a, b) => a.order - b.order)
  const whole = heads.length === places.length
  const watermark = whole ? leastOf(heads.map((head) => head.watermark)) : { at: null, confirmed: false, claims: [] }
  const head = { ...headOf(blank, heads), watermark, touches: entries.length }
  return { lines: [JSON.stringify(head), ...idLines(recent), ...ordered(entries)], entries: entries.length, moved }
}

/** Gaps that were being counted, stated as they stand. */
export function openGaps({ topic, partition, gaps, counts }: SnapshotHead, { from }: Growth): Finding[] {
  const blindness = new Blindness({ topic, partition, partitions: from }, gaps)
  return gaps.map((gap) => blindness.state(gap, gap.until, counts[gap.kind]))
}

function headOf(blank: SnapshotHead, heads: readonly SnapshotHead[]): SnapshotHead {
  const own = heads.find(({ partition }) => partition === blank.partition)
  return {
    ...blank,
    next: own?.next ?? 0,
    forgottenUntil: Math.max(...heads.map(({ forgottenUntil }) => forgottenUntil)),
    gaps: [],
    counts: own?.counts ?? noCounts(),
  }
}

/** What a single event claimed counts only where nothing better is known. */
function leastOf(watermarks: readonly SnapshotHead['watermark'][]): SnapshotHead['watermark'] {
  const [only] = watermarks
  if (watermarks.length === 1 && only !== undefined) return only
  const known = watermarks.filter(({ at }) => at !== null)
  const confirmed = known.filter((each) => each.confirmed)
  const [least] = (confirmed.length > 0 ? confirmed : known).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0))
  return { at: least?.at ?? null, confirmed: confirmed.length > 0, claims: [] }
}

/** Of an entry's line, without its state, which is nearly all of it; null for another line. */
function nameOf(line: string): Pick<Line, 'detector' | 'key'> | null {
  if (!line.startsWith('{"detector":')) return null
  // A quotation mark within the key is escaped, so the first of these ends it.
  return JSON.parse(`${line.slice(0, line.indexOf('","order":'))}"}`)
}

/** Where an entry's key lies; one that was in no partition that its key names stays where it is. */
function entryHomes(
  detectors: readonly HostedDetector[],
  { from, to }: Growth,
): (entry: Pick<Line, 'detector' | 'key'>, partition: number) => number {
  const keyOf = new Map(detectors.map(({ definition: { id, topicKey } }) => [id, topicKey]))
  return ({ detector, key }, partition) => {
    const topicKey = keyOf.get(detector)?.(key) ?? key
    return partitionOf(topicKey, from) === partition ? partitionOf(topicKey, to) : partition
  }
}

function* idLines(recent: readonly { readonly id: string; readonly at: Instant }[]): Generator<string> {
  for (let from = 0; from < recent.length; from += idsPerLine) {
    const some = recent.slice(from, from + idsPerLine)
    yield JSON.stringify({ ids: some.map(({ id }) => id), times: some.map(({ at }) => at) })
  }
}

/** In their new order, which is unique again. */
function* ordered(entries: readonly Line[]): Generator<string> {
  for (const [index, entry] of entries.entries()) yield JSON.stringify({ ...entry, order: index + 1 })
}
