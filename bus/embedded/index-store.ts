import { type Database, open, type RootDatabase } from 'lmdb'
import type { BusRecord, TopicConfig } from '../port.ts'
import type { JournalPosition } from './journal.ts'
import { decodeChunk, decodeRun } from './layout.ts'

/** A topic as it is stored. */
export interface StoredTopic extends TopicConfig {
  readonly id: number
}

/** What is kept of a partition besides its chunks, so that an emptied one does not begin again at 0. */
export interface Bounds {
  readonly start: number
  readonly end: number
  /** Newest timestamp ever appended. */
  readonly newest: number
}

/** A chunk without its records. */
export interface ChunkEntry {
  /** Offset of its first record when it was written, and of its last. */
  readonly base: number
  readonly last: number
  /** Newest timestamp in the partition up to and with this chunk: ascends, so times can be searched by halving. */
  readonly newestSoFar: number
  /** When it came, by the bus's clock: retention goes by it, since timestamps are the sources' word. */
  readonly arrived: number
  readonly bytes: number
  readonly count: number
}

export interface ChunkWrite extends ChunkEntry {
  readonly topic: StoredTopic
  readonly partition: number
  readonly chunk: Buffer
}

export interface CommitWrite {
  readonly group: string
  readonly topic: StoredTopic
  readonly partition: number
  readonly offset: number
}

const entryBytes = 40

/**
 * The indexed log in LMDB: chunks of records by topic, partition and first offset. LMDB's own two-phase commit makes
 * each call all or nothing; every promise resolves when it is on disk.
 *
 * Chunks and their entries are two tables, since retention and searches by time walk entries and must not touch the records.
 */
export class IndexStore {
  readonly #root: RootDatabase<unknown, string>
  readonly #meta: Database<unknown, string>
  readonly #chunks: Database<Buffer, Buffer>
  readonly #entries: Database<Buffer, Buffer>
  readonly #offsets: Database<number, string>
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    // In this version of lmdb a commit with overlappingSync resolves no earlier, so it would only add a mode to reason about.
    // Batches of a whole turn have a promise that nobody is given, which ends the process where a commit fails.
    this.#root = open<unknown, string>({ path, maxDbs: 8, overlappingSync: false, eventTurnBatching: false, encoding: 'json' })
    this.#meta = this.#root.openDB('meta', { encoding: 'json' })
    this.#chunks = this.#root.openDB<Buffer, Buffer>('chunks', { encoding: 'binary', keyEncoding: 'binary' })
    this.#entries = this.#root.openDB<Buffer, Buffer>('entries', { encoding: 'binary', keyEncoding: 'binary' })
    this.#offsets = this.#root.openDB<number, string>('offsets', { encoding: 'json' })
  }

  get applied(): JournalPosition {
    return (this.#meta.get('journal') as JournalPosition | undefined) ?? { generation: 0, position: 0 }
  }

  topics(): StoredTopic[] {
    return Array.from(this.#meta.getRange({ start: 'topic:', end: 'topic;' }), ({ value }) => value as StoredTopic)
  }

  offsets(): { group: string; topic: string; partition: number; offset: number }[] {
    return Array.from(this.#offsets.getRange({}), ({ key, value }) => {
      const [group, topic, partition] = JSON.parse(key) as [string, string, number]
      return { group, topic, partition, offset: value }
    })
  }

  bounds(topic: StoredTopic, partition: number): Bounds {
    const kept = this.#meta.get(boundsKey(topic, partition)) as Bounds | undefined
    const last = this.floor(topic, partition, Number.MAX_SAFE_INTEGER)
    return {
      start: kept?.start ?? 0,
      end: Math.max(kept?.end ?? 0, last === null ? 0 : last.last + 1),
      newest: Math.max(kept?.newest ?? 0, last?.newestSoFar ?? 0),
    }
  }

  /** The chunk that holds `offset`, or the one before the gap that it lies in. */
  floor(topic: StoredTopic, partition: number, offset: number): ChunkEntry | null {
    const range = { start: keyOf(topic, partition, offset), end: prefixOf(topic, partition), reverse: true, limit: 1 }
    for (const { key, value } of this.#entries.getRange(range)) return entryOf(key, value)
    return null
  }

  /** Entries of up to `limit` chunks that begin at or after `base`, ascending. */
  entries(topic: StoredTopic, partition: number, base: number, limit: number): ChunkEntry[] {
    const range = { start: keyOf(topic, partition, base), end: prefixOf(topic, partition + 1), limit }
    return Array.from(this.#entries.getRange(range), ({ key, value }) => entryOf(key, value))
  }

  /** The records of the first chunk that reaches `offset` or beyond, with where it ends; null where there is none. */
  readChunk(topic: StoredTopic, partition: number, offset: number): { readonly entry: ChunkEntry; readonly records: BusRecord[] } | null {
    const floor = this.floor(topic, partition, offset)
    const entry = floor !== null && floor.last >= offset ? floor : this.entries(topic, partition, offset, 1)[0]
    return entry === undefined ? null : { entry, records: this.recordsOf(topic, partition, entry) }
  }

  recordsOf(topic: StoredTopic, partition: number, entry: ChunkEntry): BusRecord[] {
    const what = `${topic.name}/${partition}@${entry.base}`
    const { count, deltas, run } = decodeChunk(this.#chunks.get(keyOf(topic, partition, entry.base)) ?? Buffer.alloc(0), what)
    return decodeRun(topic.name, partition, run, count, (index) => entry.base + (deltas === null ? index : (deltas[index] ?? 0)))
  }

  putTopics(topics: readonly StoredTopic[]): Promise<void> {
    return this.#write(() => topics.map((topic) => this.#meta.put(`topic:${topic.name}`, topic)))
  }

  /** Appends what the journal holds up to `applied`. */
  apply(chunks: readonly ChunkWrite[], commits: readonly CommitWrite[], applied: JournalPosition): Promise<void> {
    return this.#write(() => [
      ...chunks.flatMap((chunk) => this.#put(chunk)),
      ...commits.map(({ group, topic, partition, offset }) => this.#offsets.put(JSON.stringify([group, topic.name, partition]), offset)),
      this.#meta.put('journal', applied),
    ])
  }

  /** Puts `chunk` (or nothing) in place of the chunks that begin at `bases`. */
  replace(topic: StoredTopic, partition: number, bases: readonly number[], chunk: ChunkWrite | null, bounds: Bounds): Promise<void> {
    return this.#write(() => [
      ...bases.flatMap((base) => {
        const key = keyOf(topic, partition, base)
        return [this.#chunks.remove(key), this.#entries.remove(key)]
      }),
      ...(chunk === null ? [] : this.#put(chunk)),
      this.#meta.put(boundsKey(topic, partition), bounds),
    ])
  }

  async close(): Promise<void> {
    await this.#last
    await this.#root.close()
  }

  #put(write: ChunkWrite): Promise<boolean>[] {
    const key = keyOf(write.topic, write.partition, write.base)
    const entry = Buffer.alloc(entryBytes)
    entry.writeDoubleLE(write.last, 0)
    entry.writeDoubleLE(write.newestSoFar, 8)
    entry.writeDoubleLE(write.arrived, 16)
    entry.writeDoubleLE(write.bytes, 24)
    entry.writeDoubleLE(write.count, 32)
    return [this.#chunks.put(key, write.chunk), this.#entries.put(key, entry)]
  }

  /** One at a time, so that what a caller read before its write still stands when it is made. */
  #write(put: () => Promise<boolean>[]): Promise<void> {
    const written = this.#last.then(async () => {
      const puts: Promise<boolean>[] = []
      // One transaction.
      const done = this.#root.batch(() => puts.push(...put()))
      try {
        await Promise.all([done, ...puts])
      } catch (error) {
        // Where the disk is full each put rejects, and so does a promise of the reason that lmdb leaves on the error; lmdb prints that.
        if (error instanceof Error && 'commitError' in error) Promise.resolve(error.commitError).catch(() => {})
        throw error
      }
    })
    this.#last = written.catch(() => {})
    return written
  }
}

function prefixOf(topic: StoredTopic, partition: number): Buffer {
  const prefix = Buffer.allocUnsafe(4)
  prefix.writeUInt16BE(topic.id, 0)
  prefix.writeUInt16BE(partition, 2)
  return prefix
}

function keyOf(topic: StoredTopic, partition: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(11)
  key.writeUInt16BE(topic.id, 0)
  key.writeUInt16BE(partition, 2)
  // 53 bits are all that a number holds exactly.
  key.writeUInt8(Math.floor(offset / 2 ** 48), 4)
  key.writeUIntBE(offset % 2 ** 48, 5, 6)
  return key
}

function boundsKey(topic: StoredTopic, partition: number): string {
  return `bounds:${topic.id}/${partition}`
}

function entryOf(key: Buffer, value: Buffer): ChunkEntry {
  return {
    base: key.readUInt8(4) * 2 ** 48 + key.readUIntBE(5, 6),
    last: value.readDoubleLE(0),
    newestSoFar: value.readDoubleLE(8),
    arrived: value.readDoubleLE(16),
    bytes: value.readDoubleLE(24),
    count: value.readDoubleLE(32),
  }
}
