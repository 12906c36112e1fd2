import type { Instant } from '../../schemas/index.ts'
import { HostError } from './errors.ts'
import type { Slot } from './hosted.ts'
import { type Entry, newEntry } from './keyed-state.ts'
import { HostSnapshot, type SnapshotHead, snapshotFormat } from './snapshot.ts'

type Place = { readonly topic: string; readonly partition: number }

/** @returns a snapshot that shares the live states: serialise it before they change */
export function snapshotPartition(
  { topic, partition }: Place,
  slots: readonly Slot[],
  rest: Pick<SnapshotHead, 'next' | 'watermark' | 'recent' | 'gaps' | 'counts'>,
): HostSnapshot {
  return {
    format: snapshotFormat,
    topic,
    partition,
    detectors: slots.map(({ identity }) => ({ ...identity })),
    ...rest,
    entries: slots.flatMap((slot) =>
      [...slot.keys].map(({ detector, key, touched, wakeAt, revisions, state }) => ({
        detector,
        key,
        touched,
        wakeAt,
        revisions: [...(revisions ?? [])].map(([opened, last]): [string, number, string] => [opened, last.revision, last.digest]),
        state,
      })),
    ),
  }
}

export interface Restored {
  readonly head: SnapshotHead
  readonly entries: readonly { readonly entry: Entry; readonly wakeAt: Instant | null }[]
}

/**
 * Checks a snapshot against what is to run, all of it, before anything is taken over.
 *
 * @throws HostError `SNAPSHOT_MISMATCH` for another format, partition or set of detectors, `SNAPSHOT_CORRUPT` for the rest
 */
export function restorePartition(snapshot: unknown, place: Place, slots: readonly Slot[]): Restored {
  const doing = `restoring ${place.topic}/${place.partition}`
  if (typeof snapshot === 'object' && snapshot !== null && 'format' in snapshot && snapshot.format !== snapshotFormat) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: snapshot format ${String(snapshot.format)}, this host reads ${snapshotFormat}`)
  }
  const parsed = HostSnapshot.safeParse(snapshot)
  if (!parsed.success) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: not a snapshot`, { cause: parsed.error })
  const { entries, ...head } = parsed.data
  if (head.topic !== place.topic || head.partition !== place.partition) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: a snapshot of ${head.topic}/${head.partition}`)
  }
  const identities = slots.map(({ identity }) => identity)
  if (JSON.stringify(head.detectors) !== JSON.stringify(identities)) {
    throw new HostError('SNAPSHOT_MISMATCH', `${doing}: written by other detectors, versions or parameters`)
  }
  const slotOf = new Map(slots.map((slot) => [slot.definition.id, slot]))
  return {
    head,
    entries: entries.map(({ detector, key, touched, wakeAt, revisions, state }) => {
      const guarded = slotOf.get(detector)?.definition.state.safeParse(state)
      if (guarded?.success !== true) {
        throw new HostError('SNAPSHOT_CORRUPT', `${doing}: the state of a key is not one of ${detector}`, { cause: guarded?.error })
      }
      const entry = newEntry(detector, key, guarded.data, touched)
      if (revisions.length > 0) entry.revisions = new Map(revisions.map(([opened, revision, digest]) => [opened, { revision, digest }]))
      return { entry, wakeAt }
    }),
  }
}
