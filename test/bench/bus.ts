import { randomBytes } from 'node:crypto'
import { encode, newEvent } from '../../bus/codec.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import { plainInference } from '../../schemas/index.ts'
import { quantile } from './quantile.ts'

export interface BusBenchOptions {
  /** Records for throughput. Default 100,000. */
  readonly records?: number
  /** Records in a publish. Default 500. */
  readonly batch?: number
  /** Publishes one after the other for latency. Default 500. */
  readonly probes?: number
}

export interface BusBenchResult {
  readonly publishPerSecond: number
  readonly consumePerSecond: number
  /** From calling publish with one record to its handler, consumer and producer being idle otherwise. */
  readonly publishToHandleMs: { readonly p50: number; readonly p99: number }
  /** From calling publish with one record to its acknowledgement, durable. */
  readonly publishMs: { readonly p50: number; readonly p99: number }
  /** Mean size of key, value and headers. */
  readonly bytesPerRecord: number
}

/** Measures a bus with request events of ordinary size, on a topic of its own with 4 partitions. */
export async function benchBus(bus: EventBus, options: BusBenchOptions = {}): Promise<BusBenchResult> {
  const { records = 100_000, batch = 500, probes = 500 } = options
  const topic = `bench-${randomBytes(4).toString('hex')}`
  await bus.ensureTopics([{ name: topic, partitions: 4, retentionMs: 3_600_000 }])
  const samples = Array.from({ length: 1_000 }, (_, i) => ({ ...requestRecord(i), topic }))
  const bytes = samples.reduce((sum, r) => sum + sizeOf(r), 0) / samples.length
  return {
    publishPerSecond: await publishRate(bus, samples, records, batch),
    consumePerSecond: await consumeRate(bus, topic, records),
    ...(await latencies(bus, samples, topic, records, probes)),
    bytesPerRecord: Math.round(bytes),
  }
}

async function publishRate(bus: EventBus, samples: readonly OutgoingRecord[], records: number, batch: number): Promise<number> {
  const start = performance.now()
  // Four publishes under way, as busy nodes have, so that syncs are shared.
  let next = 0
  const publisher = async (): Promise<void> => {
    while (next < records) {
      const count = Math.min(batch, records - next)
      const from = next
      next += count
      await bus.publish(Array.from({ length: count }, (_, i) => samples[(from + i) % samples.length] as OutgoingRecord))
    }
  }
  await Promise.all([publisher(), publisher(), publisher(), publisher()])
  return perSecond(records, start)
}

async function consumeRate(bus: EventBus, topic: string, records: number): Promise<number> {
  let seen = 0
  let start = 0
  const done = Promise.withResolvers<void>()
  const consumer = await bus.consume({
    group: `throughput-${topic}`,
    topics: [topic],
    onAssigned: async () => {
      // Joining the group is not what is measured.
      start ||= performance.now()
      return undefined
    },
    onBatch: async (run, { commit }) => {
      seen += run.records.length
      await commit((run.records.at(-1)?.offset ?? 0) + 1)
      if (seen >= records) done.resolve()
    },
  })
  await done.promise
  const rate = perSecond(records, start)
  await consumer.close()
  return rate
}

async function latencies(
  bus: EventBus,
  samples: readonly OutgoingRecord[],
  topic: string,
  records: number,
  probes: number,
): Promise<Pick<BusBenchResult, 'publishToHandleMs' | 'publishMs'>> {
  let handled = Promise.withResolvers<number>()
  let assigned = 0
  const ready = Promise.withResolvers<void>()
  const ends = new Map((await bus.partitions(topic)).map((p) => [p.partition, p.end]))
  const consumer = await bus.consume({
    group: `latency-${topic}`,
    topics: [topic],
    onAssigned: async (_, partition) => {
      if (++assigned === 4) ready.resolve()
      return ends.get(partition)
    },
    onBatch: async () => handled.resolve(performance.now()),
  })
  await ready.promise
  const toHandle: number[] = []
  const toAcknowledge: number[] = []
  for (let i = 0; i < probes; i++) {
    const start = performance.now()
    const acknowledged = bus.publish([samples[(records + i) % samples.length] as OutgoingRecord]).then(() => performance.now())
    toHandle.push((await handled.promise) - start)
    handled = Promise.withResolvers<number>()
    toAcknowledge.push((await acknowledged) - start)
  }
  await consumer.close()
  return { publishToHandleMs: quantiles(toHandle), publishMs: quantiles(toAcknowledge) }
}

function requestRecord(i: number): OutgoingRecord {
  // Of now: a broker deletes what is older than its topic keeps, also while it is measured.
  const time = Date.now() + i
  const data = {
    principal: `client-${i % 100}`,
    organization: 'example',
    keyId: 'abcdefghijkl',
    model: 'digits',
    version: '1',
    pool: 'a',
    node: 'node-1',
    outcome: 'served',
    status: 200,
    hardening: 'none',
    items: 1,
    bytesIn: 3_300,
    bytesOut: 412,
    durationMs: 3.25,
    queueMs: 1.5,
    tokensIn: 0,
    tokensOut: 0,
    cost: 0.0001,
    client: '0123456789abcdef0123456789abcdef',
    agent: 'fedcba9876543210fedcba9876543210',
    answeredAt: time + 3,
    lease: null,
    confidence: 0.987,
    ...plainInference,
  } as const
  return encode('requests', newEvent('request', data, 'node-1', time))
}

function sizeOf(record: OutgoingRecord): number {
  const headers = Object.entries(record.headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + headers
}

function perSecond(count: number, start: number): number {
  return Math.round((count / (performance.now() - start)) * 1_000)
}

function quantiles(values: readonly number[]): { p50: number; p99: number } {
  const at = (share: number): number => Math.round(quantile(values, share) * 1_000) / 1_000
  return { p50: at(0.5), p99: at(0.99) }
}
