import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { constants, createGunzip, createGzip } from 'node:zlib'
import type { BusRecord, EventBus } from '../../../bus/port.ts'
import { type Instant, snapshotTopic } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { sha256 } from '../finding-id.ts'

/** Largest chunk of a compressed snapshot, bytes: half of what a broker accepts by default. */
const chunkBytes = 524_288
/** Largest snapshot that is read back, bytes: what is beyond is not ours. */
const maxBytes = 1_073_741_824
const slots = ['a', 'b'] as const
type Slot = (typeof slots)[number]

/** Where a chunk lies on the topic, and what it says in its headers. */
interface Chunk {
  readonly position: number
  /** Where the snapshot stands. */
  readonly offset: number
  readonly partitions: number
  readonly chunks: number
  /** SHA-256 of the compressed whole. */
  readonly digest: string
}

export interface SnapshotPlace {
  readonly topic: string
  readonly partition: number
  /** How many the topic has. */
  readonly partitions: number
  readonly slot: Slot
  readonly offset: number
}

export interface StoredSnapshot {
  readonly slot: Slot
  readonly offset: number
  /** How many the topic had: other keys lie in a partition of the same number where it had others. */
  readonly partitions: number
  /** Reads, checks and decompresses; @throws HostError `SNAPSHOT_CORRUPT` */
  readonly lines: () => AsyncGenerator<readonly string[]>
}

/**
 * Snapshots on the compacted topic: lines, gzip, chunks. The key is `<group>/<topic>/<partition>/<slot>/<chunk>`;
 * a partition has two slots that are written in turn, so that a write that was torn leaves the one before whole.
 * Only where the chunks lie is remembered; they are read when they are needed.
 */
export class SnapshotLog {
  readonly #bus: EventBus
  readonly #group: string
  readonly #clock: () => Instant
  readonly #chunks = new Map<string, Chunk>()
  #cursor = 0
  #reading: Promise<void> = Promise.resolve()

  constructor(bus: EventBus, group: string, clock: () => Instant) {
    this.#bus = bus
    this.#group = group
    this.#clock = clock
  }

  /** The whole snapshots of a partition, the furthest first; where the topic has got more partitions, first those made since. */
  async find(topic: string, partition: number): Promise<readonly StoredSnapshot[]> {
    await this.#refresh()
    return this.#whole(topic, partition)
  }

  /** For each partition of a topic that has whole snapshots: how many partitions the topic had when they were made. */
  async layouts(topic: string): Promise<ReadonlyMap<number, readonly number[]>> {
    await this.#refresh()
    const prefix = `${this.#group}/${topic}/`
    const partitions = new Set([...this.#chunks.keys()].filter((key) => key.startsWith(prefix)).map(partitionOfKey))
    const layouts = [...partitions].map(
      (partition) => [partition, this.#whole(topic, partition).map((stored) => stored.partitions)] as const,
    )
    return new Map(layouts.filter(([, made]) => made.length > 0))
  }

  async #refresh(): Promise<void> {
    // One at a time: the next reader goes on where this one ended.
    const read = this.#reading.then(() => this.#catchUp())
    this.#reading = read.catch(() => {})
    await read
  }

  #whole(topic: string, partition: number): StoredSnapshot[] {
    return slots
      .map((slot) => this.#assemble(topic, partition, slot))
      .filter((stored) => stored !== null)
      .sort((a, b) => b.partitions - a.partitions || b.offset - a.offset)
  }

  /**
   * Writes a snapshot that stands at `offset` to `slot`; resolves with its compressed size when it is durable.
   *
   * @param lines its text, as it is made
   * @param mayWrite asked before each write; where it says no, nothing more is written
   * @returns null where it was given up
   */
  async write(
    place: SnapshotPlace,
    lines: AsyncIterable<string> | Iterable<string>,
    mayWrite: () => boolean = () => true,
  ): Promise<number | null> {
    const { whole, digest } = await compress(lines)
    const { topic, partition, partitions, slot, offset } = place
    const chunks = Math.max(1, Math.ceil(whole.length / chunkBytes))
    const headers = {
      'cordon-offset': String(offset),
      'cordon-partitions': String(partitions),
      'cordon-chunks': String(chunks),
      'cordon-digest': digest,
    }
    // One after another: the client's checksum of a chunk keeps the event loop for a millisecond or two.
    for (let index = 0; index < chunks; index++) {
      if (!mayWrite()) return null
      const value = whole.subarray(index * chunkBytes, (index + 1) * chunkBytes)
      const key = this.#key(topic, partition, slot, index)
      const position = await this.#publish(key, value, headers)
      this.#chunks.set(key, { position, offset, partitions, chunks, digest })
    }
    // What a longer snapshot left behind in this slot.
    for (let index = chunks; ; index++) {
      const key = this.#key(topic, partition, slot, index)
      if (!this.#chunks.has(key)) return whole.length
      await this.#publish(key, null, {})
      this.#chunks.delete(key)
    }
  }

  async #publish(key: string, value: Uint8Array | null, headers: Record<string, string>): Promise<number> {
    const record = { topic: snapshotTopic.name, key, value, headers, timestamp: this.#clock(), partition: 0 }
    const [at] = await this.#bus.publish([record])
    return at?.offset ?? -1
  }

  #key(topic: string, partition: number, slot: Slot, chunk: number): string {
    return `${this.#group}/${topic}/${partition}/${slot}/${chunk}`
  }

  async #catchUp(): Promise<void> {
    for await (const records of this.#bus.read(snapshotTopic.name, 0, this.#cursor)) {
      for (const record of records) {
        this.#cursor = record.offset + 1
        if (record.key?.startsWith(`${this.#group}/`) !== true) continue
        const chunk = chunkOf(record)
        if (chunk === null) this.#chunks.delete(record.key)
        else this.#chunks.set(record.key, chunk)
      }
    }
  }

  #assemble(topic: string, partition: number, slot: Slot): StoredSnapshot | null {
    const first = this.#chunks.get(this.#key(topic, partition, slot, 0))
    if (first === undefined) return null
    const positions: number[] = []
    for (let index = 0; index < first.chunks; index++) {
      const chunk = this.#chunks.get(this.#key(topic, partition, slot, index))
      if (chunk === undefined || chunk.digest !== first.digest) return null
      positions.push(chunk.position)
    }
    const doing = `reading the snapshot of ${topic}/${partition} at offset ${first.offset}`
    const { offset, partitions } = first
    return { slot, offset, partitions, lines: () => unpack(this.#fetch(positions, doing), first.digest, doing) }
  }

  async #fetch(positions: readonly number[], doing: string): Promise<Buffer> {
    const parts = new Map<number, Uint8Array>()
    const wanted = new Set(positions)
    for await (const records of this.#bus.read(snapshotTopic.name, 0, Math.min(...positions), Math.max(...positions) + 1)) {
      for (const { offset, value } of records) if (value !== null && wanted.has(offset)) parts.set(offset, Uint8Array.from(value))
    }
    return Buffer.concat(
      positions.map((position) => {
        const part = parts.get(position)
        if (part === undefined) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: a newer one has replaced a part of it`)
        return part
      }),
    )
  }
}

/** Null for a tombstone and for what is no chunk of ours. */
function chunkOf({ value, headers, offset: position }: BusRecord): Chunk | null {
  const offset = Number(headers['cordon-offset'])
  const partitions = Number(headers['cordon-partitions'])
  const chunks = Number(headers['cordon-chunks'])
  const digest = headers['cordon-digest']
  const sound = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(chunks) && chunks >= 1
  if (value === null || !sound || !(partitions >= 1) || digest === undefined) return null
  return { position, offset, partitions, chunks, digest }
}

/** Of `<group>/<topic>/<partition>/<slot>/<chunk>`. */
function partitionOfKey(key: string): number {
  return Number(key.split('/').at(-3))
}

async function compress(lines: AsyncIterable<string> | Iterable<string>): Promise<{ whole: Buffer; digest: string }> {
  const parts: Buffer[] = []
  const hash = createHash('sha256')
  await pipeline(Readable.from(lines), createGzip({ level: constants.Z_BEST_SPEED }), async (compressed: AsyncIterable<Buffer>) => {
    for await (const part of compressed) {
      hash.update(part)
      parts.push(part)
    }
  })
  return { whole: Buffer.concat(parts), digest: hash.digest('hex') }
}

async function* unpack(reading: Promise<Buffer>, digest: string, doing: string): AsyncGenerator<readonly string[]> {
  const whole = await reading
  if (sha256(whole) !== digest) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: the checksum does not fit`)
  const decoder = new StringDecoder('utf8')
  const gunzip = Readable.from([whole]).pipe(createGunzip())
  let rest = ''
  let bytes = 0
  try {
    for await (const part of gunzip as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > maxBytes) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: more than ${maxBytes} bytes`)
      const text = decoder.write(part)
      rest += text
      if (!text.includes('\n')) continue
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      yield lines
    }
  } catch (error) {
    if (error instanceof HostError) throw error
    throw new HostError('SNAPSHOT_CORRUPT', `${doing}: it does not unpack`, { cause: error })
  } finally {
    gunzip.destroy()
  }
  // Of a format that does not end its lines.
  if (rest !== '') yield [rest]
}

export function otherSlot(slot: Slot | null): Slot {
  return slot === 'a' ? 'b' : 'a'
}
export type { Slot as SnapshotSlot }
