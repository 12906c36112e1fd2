import { promisify } from 'node:util'
import { constants, gunzip, gzip } from 'node:zlib'
import type { BusRecord, EventBus, OutgoingRecord } from '../../bus/port.ts'
import { type Instant, snapshotTopic } from '../../schemas/index.ts'
import { HostError } from './errors.ts'
import { sha256 } from './finding-id.ts'

const compress = promisify(gzip)
const decompress = promisify(gunzip)

/** Largest chunk of a compressed snapshot, bytes: half of what a broker accepts by default. */
const chunkBytes = 524_288
/** Largest snapshot that is read back, bytes: what is beyond is not ours. */
const maxBytes = 1_073_741_824
const slots = ['a', 'b'] as const
type Slot = (typeof slots)[number]

/** What each chunk of a snapshot carries in its headers, besides its own place. */
interface Stamp {
  readonly offset: number
  readonly chunks: number
  /** SHA-256 of the compressed whole. */
  readonly digest: string
}

interface Chunk extends Stamp {
  readonly value: Uint8Array
}

export interface StoredSnapshot {
  readonly slot: Slot
  readonly offset: number
  /** Size compressed. */
  readonly bytes: number
  /** Decompresses and parses; @throws HostError `SNAPSHOT_CORRUPT` */
  readonly read: () => Promise<unknown>
}

/**
 * Snapshots on the compacted topic: JSON, gzip, chunks. The key is `<group>/<topic>/<partition>/<slot>/<chunk>`;
 * a partition has two slots that are written in turn, so that a write that was torn leaves the one before whole.
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

  /** The whole snapshots of a partition, the furthest first. */
  async find(topic: string, partition: number): Promise<readonly StoredSnapshot[]> {
    // One at a time: the next reader goes on where this one ended.
    const read = this.#reading.then(() => this.#catchUp())
    this.#reading = read.catch(() => {})
    await read
    return slots
      .map((slot) => this.#assemble(topic, partition, slot))
      .filter((stored) => stored !== null)
      .sort((a, b) => b.offset - a.offset)
  }

  /** Writes a snapshot that stands at `offset` to `slot`; resolves with its compressed size when it is durable. */
  async write(topic: string, partition: number, slot: Slot, offset: number, json: Buffer): Promise<number> {
    const whole = await compress(json, { level: constants.Z_BEST_SPEED })
    const chunks = Math.max(1, Math.ceil(whole.length / chunkBytes))
    const headers = { 'cordon-offset': String(offset), 'cordon-chunks': String(chunks), 'cordon-digest': sha256(whole) }
    const timestamp = this.#clock()
    const records: OutgoingRecord[] = []
    const record = (index: number, value: Buffer | null) => {
      const key = this.#key(topic, partition, slot, index)
      records.push({ topic: snapshotTopic.name, key, value, headers: value === null ? {} : headers, timestamp, partition: 0 })
    }
    for (let index = 0; index < chunks; index++) record(index, whole.subarray(index * chunkBytes, (index + 1) * chunkBytes))
    // What a longer snapshot left behind in this slot.
    for (let index = chunks; this.#chunks.has(this.#key(topic, partition, slot, index)); index++) record(index, null)
    await this.#bus.publish(records)
    for (const { key, value } of records)
      this.#keep(key, value === null ? null : { offset, chunks, digest: headers['cordon-digest'], value })
    return whole.length
  }

  #key(topic: string, partition: number, slot: Slot, chunk: number): string {
    return `${this.#group}/${topic}/${partition}/${slot}/${chunk}`
  }

  #keep(key: string | null, chunk: Chunk | null): void {
    if (key === null) return
    if (chunk === null) this.#chunks.delete(key)
    else this.#chunks.set(key, chunk)
  }

  async #catchUp(): Promise<void> {
    for await (const records of this.#bus.read(snapshotTopic.name, 0, this.#cursor)) {
      for (const record of records) {
        this.#cursor = record.offset + 1
        if (record.key?.startsWith(`${this.#group}/`) === true) this.#keep(record.key, chunkOf(record))
      }
    }
  }

  #assemble(topic: string, partition: number, slot: Slot): StoredSnapshot | null {
    const first = this.#chunks.get(this.#key(topic, partition, slot, 0))
    if (first === undefined) return null
    const parts: Uint8Array[] = []
    for (let index = 0; index < first.chunks; index++) {
      const chunk = this.#chunks.get(this.#key(topic, partition, slot, index))
      if (chunk === undefined || chunk.digest !== first.digest) return null
      parts.push(chunk.value)
    }
    const whole = Buffer.concat(parts)
    const doing = `reading the snapshot of ${topic}/${partition} at offset ${first.offset}`
    return { slot, offset: first.offset, bytes: whole.length, read: () => unpack(whole, first.digest, doing) }
  }
}

/** Null for a tombstone and for what is no chunk of ours. */
function chunkOf({ value, headers }: BusRecord): Chunk | null {
  const offset = Number(headers['cordon-offset'])
  const chunks = Number(headers['cordon-chunks'])
  const digest = headers['cordon-digest']
  const sound = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(chunks) && chunks >= 1
  if (value === null || !sound || digest === undefined) return null
  return { offset, chunks, digest, value: Uint8Array.from(value) }
}

async function unpack(whole: Buffer, digest: string, doing: string): Promise<unknown> {
  if (sha256(whole) !== digest) throw new HostError('SNAPSHOT_CORRUPT', `${doing}: the checksum does not fit`)
  try {
    const json = await decompress(whole, { maxOutputLength: maxBytes })
    return JSON.parse(json.toString())
  } catch (error) {
    throw new HostError('SNAPSHOT_CORRUPT', `${doing}: it does not unpack`, { cause: error })
  }
}

export function otherSlot(slot: Slot | null): Slot {
  return slot === 'a' ? 'b' : 'a'
}
export type { Slot as SnapshotSlot }
