import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import { startSink } from '../../ingest/sink.ts'
import { type DataOf, plainInference, topics } from '../../schemas/index.ts'
import type { Store } from '../../store/index.ts'

export interface SinkBench {
  readonly rows: number
  readonly seconds: number
  /** Decoded, looked up, inserted and committed. */
  readonly rowsPerSecond: number
  /** CPU of the whole process, engine included, a million rows. */
  readonly cpuSecondsPerMillion: number
  /** From publishing one event to an idle sink until a query sees it, milliseconds. */
  readonly idleLatencyMs: { readonly p50: number; readonly max: number }
}

/** How fast the sink empties a backlog of request events, and how soon it stores a single one. */
export async function benchSink(
  bus: EventBus,
  store: Store,
  options: { readonly rows?: number; readonly probes?: number } = {},
): Promise<SinkBench> {
  const rows = options.rows ?? 200_000
  await store.migrate()
  await bus.ensureTopics(Object.values(topics).map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })))
  for (let done = 0; done < rows; done += 5_000) {
    await bus.publish(Array.from({ length: Math.min(5_000, rows - done) }, (_, index) => requestRecord(done + index)))
  }
  const cpu = process.cpuUsage()
  const started = performance.now()
  const sink = await startSink({
    bus,
    store,
    log: pino({ level: 'silent' }),
    registry: new Registry(),
    clock: Date.now,
    group: `bench-${started}`,
  })
  try {
    while (sink.state().rowsWritten < rows) await delay(5)
    const seconds = (performance.now() - started) / 1_000
    const used = process.cpuUsage(cpu)
    const idleLatencyMs = await latency(bus, store, options.probes ?? 20)
    return {
      rows,
      seconds,
      rowsPerSecond: Math.round(rows / seconds),
      cpuSecondsPerMillion: Math.round((used.user + used.system) / rows),
      idleLatencyMs,
    }
  } finally {
    await sink.close()
  }
}

async function latency(bus: EventBus, store: Store, probes: number): Promise<SinkBench['idleLatencyMs']> {
  const times: number[] = []
  for (let probe = 0; probe < probes; probe++) {
    const record = requestRecord(probe)
    const id = record.headers.ce_id ?? ''
    const started = performance.now()
    await bus.publish([record])
    while ((await store.known('requests', [id])).size === 0) await delay(2)
    times.push(performance.now() - started)
    // Not in step with the writer's own pauses.
    await delay(50 + ((probe * 37) % 200))
  }
  const sorted = times.toSorted((a, b) => a - b)
  return { p50: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0), max: Math.round(sorted.at(-1) ?? 0) }
}

function requestRecord(index: number) {
  const now = Date.now()
  return encode('requests', newEvent('request', requestData(index, now), 'bench', now))
}

function requestData(index: number, now: number): DataOf<'request'> {
  return {
    principal: `principal-${index % 500}`,
    organization: `organization-${index % 20}`,
    keyId: `key${index % 500}`,
    model: 'digits',
    version: 'v1',
    pool: 'a',
    node: 'node-1',
    outcome: 'served',
    status: 200,
    hardening: 'none',
    items: 1,
    bytesIn: 3_136 + (index % 64),
    bytesOut: 180,
    durationMs: 3 + (index % 100) / 10,
    queueMs: 1.5,
    tokensIn: 0,
    tokensOut: 0,
    cost: 0.0001,
    client: 'a1b2c3d4e5f60718',
    agent: '8877665544332211',
    answeredAt: now + 4,
    lease: null,
    confidence: 0.98,
    ...plainInference,
  }
}
