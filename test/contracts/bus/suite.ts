import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { BusError } from '../../../bus/errors.ts'
import type { BusRecord, Consumer, ConsumerOptions, EventBus, OutgoingRecord } from '../../../bus/port.ts'

/** A log that can be opened, closed and opened again. */
export interface BusFixture {
  open(): Promise<EventBus>
  dispose(): Promise<void>
}

// Recent, since brokers delete what is older than a topic keeps.
export const time = Date.now() - 7_200_000
export const hour = 3_600_000

/** One empty log for a whole suite; each test has its own topics. */
export class Suite {
  readonly #fixture: BusFixture
  readonly #consumers: Consumer[] = []
  #bus: EventBus

  private constructor(fixture: BusFixture, bus: EventBus) {
    this.#fixture = fixture
    this.#bus = bus
  }

  static async open(fixture: BusFixture): Promise<Suite> {
    return new Suite(fixture, await fixture.open())
  }

  get bus(): EventBus {
    return this.#bus
  }

  async reopen(): Promise<void> {
    await this.#bus.close()
    this.#bus = await this.#fixture.open()
  }

  async makeTopic(partitions: number, retentionMs: number | null = 7 * 24 * hour): Promise<string> {
    const topic = `t${randomBytes(6).toString('hex')}`
    await this.#bus.ensureTopics([{ name: topic, partitions, retentionMs }])
    return topic
  }

  adopt(consumer: Consumer): Consumer {
    this.#consumers.push(consumer)
    return consumer
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    return this.adopt(await this.#bus.consume(options))
  }

  async readAll(topic: string, partition = 0, from = 0): Promise<BusRecord[]> {
    const found: BusRecord[] = []
    for await (const records of this.#bus.read(topic, partition, from)) found.push(...records.map(copy))
    return found
  }

  async close(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.close()))
    await this.#bus.close()
    await this.#fixture.dispose()
  }
}

/** Consumes until `count` records came, then leaves the group. */
export async function collect(bus: EventBus, options: Omit<ConsumerOptions, 'onBatch'>, count: number): Promise<BusRecord[]> {
  const found: BusRecord[] = []
  const enough = Promise.withResolvers<void>()
  const consumer = await bus.consume({
    ...options,
    onBatch: async ({ records }) => {
      found.push(...records.map(copy))
      if (found.length >= count) enough.resolve()
    },
  })
  await enough.promise
  await consumer.close()
  return found
}

export function record(topic: string, key: string | null, value = 'value'): OutgoingRecord {
  return { topic, key, value: Buffer.from(value), headers: { 'content-type': 'text/plain' }, timestamp: time }
}

export function numbered(topic: string, from: number, count: number, partition = 0): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({ ...record(topic, null, String(from + i)), partition }))
}

export function text(value: Uint8Array | null): string {
  return Buffer.from(value ?? []).toString()
}

export function copy(r: BusRecord): BusRecord {
  const { topic, partition, offset, key, value, headers, timestamp } = r
  return { topic, partition, offset, key, value: value === null ? null : Buffer.from(value), headers, timestamp }
}

export function isBusError(error: unknown, code: string, message = /./): boolean {
  assert.ok(error instanceof BusError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}
