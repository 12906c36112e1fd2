import { setImmediate as nextTurn } from 'node:timers/promises'
import type { z } from 'zod'
import type { Instant } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import type { Slot } from '../hosted.ts'
import type { Limits } from '../limits.ts'
import { type Entry, newEntry } from '../partition/keyed-state.ts'
import { EntrySnapshot, RecentSnapshot, SnapshotHead, snapshotFormat } from './snapshot.ts'

/** Longest stretch of restoring before the event loop gets its turn, milliseconds. */
const stretchMs = 5

/** What a snapshot must be of to be taken over. */
export interface Restoring {
  readonly topic: string
  readonly partition: number
  readonly limits: Limits
  readonly slots: readonly Slot[]
}

export interface RestoredEntry {
  readonly slot: Slot
  readonly entry: Entry
  readonly wakeAt: Instant | null
}

/** Takes over what a snapshot says, line by line. */
export interface Restorer {
  head(head: SnapshotHead): void
  recent(recent: z.infer<typeof RecentSnapshot>): void
  /** Least recently touched first. */
  entry(restored: RestoredEntry): void
}

/**
 * Checks each line against what is to run, and has it taken over. The event loop gets its turns.
 *
 * @throws HostError `SNAPSHOT_MISMATCH` for another format, partition, set of detectors or limits, `SNAPSHOT_CORRUPT` for
 *   the rest; what was taken over by then is to be thrown away
 */
export async function restorePartition(
  lines: AsyncIterable<readonly string[]> | Iterable<readonly string[]>,
  what: Restoring,
  restorer: Restorer,
): Promise<void> {
  const doing = `restoring ${what.topic}/${what.partition}`
  const slotOf = new Map(what.slots.map((slot) => [slot.definition.id, slot]))
  const entries: RestoredEntry[] = []
  let headed = false
  let since = performance.now()
  for await (const some of lines) {
    for (const line of some) {
      const value = parse(line, doing)
      if (!headed) restorer.head(headOf(value, what, doing))
      else if (typeof value === 'object' && value !== null && 'ids' in value) restorer.recent(sound(RecentSnapshot, value, doing))
      else entries.push(entryOf(value, slotOf, doing))
      headed = true
      if (performance.now() - since < stretchMs) continue
      await nextTurn()
      since = performance.now()
    }
  }
  if (!headed) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: an empty snapshot`)
  entries.sort((a, b) => a.entry.order - b.entry.order)
  for (const [index, entry] of entries.entries()) {
    restorer.entry(entry)
    if (index % 1_000 === 999) await nextTurn()
  }
}

function parse(line: string, doing: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new HostError('SNAPSHOT_CORRUPT', `${doing}: a line is not JSON`, { cause: error })
  }
}

function sound<S extends z.ZodType>(schema: S, value: unknown, doing: string): z.infer<S> {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: not a snapshot`, { cause: parsed.error })
  return parsed.data
}

function headOf(value: unknown, { topic, partition, limits, slots }: Restoring, doing: string): SnapshotHead {
  if (typeof value === 'object' && value !== null && 'format' in value && value.format !== snapshotFormat) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: snapshot format ${String(value.format)}, this host reads ${snapshotFormat}`)
  }
  const head = sound(SnapshotHead, value, doing)
  if (head.topic !== topic || head.partition !== partition) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: a snapshot of ${head.topic}/${head.partition}`)
  }
  const identities = slots.map(({ identity }) => identity)
  if (JSON.stringify(head.detectors) !== JSON.stringify(identities)) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: written by other detectors, versions or parameters`)
  }
  if (JSON.stringify(head.limits) !== JSON.stringify(limits)) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: written under other limits: ${JSON.stringify(head.limits)}`)
  }
  return head
}

function entryOf(value: unknown, slotOf: ReadonlyMap<string, Slot>, doing: string): RestoredEntry {
  const { detector, key, order, touched, wakeAt, revisions, state } = sound(EntrySnapshot, value, doing)
  const slot = slotOf.get(detector)
  const guarded = slot?.definition.state.safeParse(state)
  if (slot === undefined || guarded?.success !== true) {
    throw new HostError('SNAPSHOT_CORRUPT', `${doing}: the state of a key is not one of ${detector}`, { cause: guarded?.error })
  }
  const entry = newEntry(detector, key, guarded.data, touched, order)
  if (revisions.length > 0) entry.revisions = new Map(revisions.map(([opened, revision, digest]) => [opened, { revision, digest }]))
  return { slot, entry, wakeAt }
}
