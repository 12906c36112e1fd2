import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Instant } from '../../schemas/index.ts'
import type { BusRecord } from '../port.ts'
import type { ChunkEntry, ChunkWrite, IndexStore } from './index-store.ts'
import { encodeChunk, encodeRun } from './layout.ts'
import type { Partition } from './partition.ts'

/** How long a deleted key's tombstone stays, so that a reader that was away learns of it. */
const tombstoneMs = 24 * 60 * 60 * 1_000
/** Least dirt that is worth a compaction, and most keys remembered in one. */
const leastDirtyBytes = 65_536
const maxKeys = 1_000_000
const page = 256
const chunkBytes = 131_072

/** Drops the chunks at the head of a partition that came longer ago than its topic keeps. */
export async function retain(partition: Partition, index: IndexStore, now: Instant): Promise<void> {
  const { retentionMs } = partition.topic
  if (retentionMs === null) return
  for (;;) {
    const entries = index.entries(partition.topic, partition.number, partition.start, page)
    const kept = entries.findIndex((entry) => entry.arrived >= now - retentionMs)
    const expired = kept === -1 ? entries : entries.slice(0, kept)
    const last = expired.at(-1)
    if (last === undefined) return
    const bases = expired.map((entry) => entry.base)
    await index.replace(partition.topic, partition.number, bases, null, { ...partition.bounds, start: last.last + 1 })
    partition.startAt(last.last + 1)
  }
}

/**
 * Keeps the newest record of each key, at its offset. Only the indexed part that is older than the
 * topic's `minCompactionLagMs` is looked at; of what is newer than that, and of keys beyond a million, everything stays until a later pass.
 */
export async function compact(partition: Partition, index: IndexStore, now: Instant): Promise<void> {
  if (partition.topic.retentionMs !== null) return
  if (partition.dirtyBytes < Math.max(leastDirtyBytes, partition.cleanBytes)) return
  const { end, bytesBeyond } = compactable(partition, index, now)
  partition.dirtyBytes = bytesBeyond
  const newest = await newestOffsets(partition, index, end)
  const survives = (record: BusRecord): boolean =>
    record.key === null ||
    ((newest.get(record.key) ?? 0) <= record.offset && (record.value !== null || record.timestamp >= now - tombstoneMs))
  let cleanBytes = 0
  for (let base = 0; base < end; ) {
    const group = nextGroup(index.entries(partition.topic, partition.number, base, page), end)
    const first = group[0]
    const last = group.at(-1)
    if (first === undefined || last === undefined) break
    cleanBytes += await rewrite(partition, index, group, survives)
    base = last.last + 1
    await nextTurn()
  }
  partition.cleanBytes = cleanBytes
}

/** Where what is old enough to be compacted ends, and how much lies beyond. */
function compactable(partition: Partition, index: IndexStore, now: Instant): { end: number; bytesBeyond: number } {
  const { topic, number, indexedEnd } = partition
  const lag = topic.minCompactionLagMs ?? 0
  if (lag === 0) return { end: indexedEnd, bytesBeyond: 0 }
  let end: number | null = null
  let bytesBeyond = 0
  for (let base = partition.start; ; ) {
    const entries = index.entries(topic, number, base, page)
    const last = entries.at(-1)
    if (last === undefined) return { end: end ?? indexedEnd, bytesBeyond }
    for (const entry of entries) {
      if (end === null && entry.arrived >= now - lag) end = entry.base
      if (end !== null) bytesBeyond += entry.bytes
    }
    base = last.last + 1
  }
}

async function newestOffsets(partition: Partition, index: IndexStore, end: number): Promise<Map<string, number>> {
  const newest = new Map<string, number>()
  for (let base = 0; base < end; ) {
    const entries = index.entries(partition.topic, partition.number, base, page).filter((entry) => entry.last < end)
    const last = entries.at(-1)
    if (last === undefined) break
    for (const entry of entries) {
      for (const { key, offset } of index.recordsOf(partition.topic, partition.number, entry)) {
        if (key !== null && (newest.size < maxKeys || newest.has(key))) newest.set(key, offset)
      }
    }
    base = last.last + 1
    await nextTurn()
  }
  return newest
}

/** Chunks that follow each other and together make one of full size. */
function nextGroup(entries: readonly ChunkEntry[], end: number): ChunkEntry[] {
  const group: ChunkEntry[] = []
  let bytes = 0
  for (const entry of entries) {
    const first = group[0]?.base ?? entry.base
    // Offsets are stored as 32-bit distances from the first.
    if (entry.last >= end || entry.last - first >= 2 ** 32 || (group.length > 0 && bytes + entry.bytes > chunkBytes)) break
    group.push(entry)
    bytes += entry.bytes
  }
  return group
}

/** Puts the survivors of `group` in one chunk; returns its size in bytes. */
async function rewrite(
  partition: Partition,
  index: IndexStore,
  group: readonly ChunkEntry[],
  survives: (record: BusRecord) => boolean,
): Promise<number> {
  const { topic, number } = partition
  const records = group.flatMap((entry) => index.recordsOf(topic, number, entry))
  const survivors = records.filter(survives)
  if (survivors.length === records.length && group.length === 1) return group[0]?.bytes ?? 0
  const chunk = survivors.length === 0 ? null : chunkOf(partition, group, survivors)
  await index.replace(
    topic,
    number,
    group.map((entry) => entry.base),
    chunk,
    partition.bounds,
  )
  partition.forget()
  return chunk?.bytes ?? 0
}

function chunkOf(partition: Partition, group: readonly ChunkEntry[], survivors: readonly BusRecord[]): ChunkWrite {
  const base = group[0]?.base ?? 0
  const { bytes: run } = encodeRun(survivors)
  const chunk = encodeChunk(
    [run],
    survivors.length,
    survivors.map((record) => record.offset - base),
  )
  return {
    topic: partition.topic,
    partition: partition.number,
    base,
    last: group.at(-1)?.last ?? base,
    arrived: group.at(-1)?.arrived ?? 0,
    newestSoFar: group.at(-1)?.newestSoFar ?? 0,
    bytes: chunk.length,
    count: survivors.length,
    chunk,
  }
}
