import type { DataOf, EventOf, Instant } from '../../schemas/index.ts'
import { plainInference, uuidv7 } from '../../schemas/index.ts'

/** Seeded pseudo-random numbers in [0,1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Start of virtual time in the tests: 2026-01-01T00:00:00Z. */
export const epoch: Instant = Date.UTC(2026, 0, 1)

/** An event id that only depends on its arguments. */
export function idOf(n: number, at: Instant = epoch): string {
  const bytes = new Uint8Array(10)
  new DataView(bytes.buffer).setUint32(6, n)
  return uuidv7(Math.max(0, at), bytes)
}

const request: DataOf<'request'> = {
  principal: 'alice',
  organization: null,
  keyId: null,
  model: 'digits',
  version: '1',
  pool: 'a',
  node: 'node-1',
  outcome: 'served',
  status: 200,
  hardening: 'none',
  items: 1,
  bytesIn: 3_200,
  bytesOut: 120,
  durationMs: 3,
  queueMs: 1,
  tokensIn: 0,
  tokensOut: 0,
  cost: 0,
  client: 'c0ffee',
  agent: 'decaf',
  answeredAt: epoch,
  lease: null,
  confidence: 0.9,
  ...plainInference,
}

const fingerprint: DataOf<'fingerprint'> = {
  request: idOf(0),
  index: 0,
  principal: 'alice',
  organization: null,
  keyId: null,
  model: 'digits',
  version: '1',
  node: 'node-1',
  profile: '0123456789abcdef',
  epoch: 0,
  exact: '0000000000000000',
  sketch: '',
  scale: 0.01,
  bands: '',
  residual: 1,
  residualTail: 0.5,
  confidenceTail: 0.5,
  classTail: 0.5,
  referenceDistance: 5,
  output: { label: 0, confidence: 0.9, margin: 0.8, entropy: 0.3 },
  hardening: 'none',
  answered: true,
  client: 'c1',
  agent: 'a1',
  keyCreatedAt: null,
}

const flow: DataOf<'flow'> = {
  workload: 'server-1',
  pool: 'a',
  connection: null,
  destination: { address: '192.0.2.1', port: 443, name: null },
  protocol: 'tcp',
  service: 'ssl',
  bytesOut: 1_000,
  bytesIn: 1_000,
  durationMs: 20,
}

const telemetry: DataOf<'telemetry'> = {
  node: 'node-1',
  pool: 'a',
  requests: 0,
  emitted: 0,
  dropped: 0,
  spoolBytes: 0,
  loopDelayMs: 1,
  memoryBytes: 1,
  tensorBytes: 0,
  queueDepth: 0,
  everyMs: 5_000,
  closing: false,
  controlStaleMs: 0,
}

const ordinary = { request, fingerprint, flow, telemetry }

/** An observation that is ordinary in all that `data` does not say. */
export function observation<K extends keyof typeof ordinary>(kind: K, n: number, time: Instant, data: Partial<DataOf<K>> = {}): EventOf<K> {
  return { kind, id: idOf(n, time), time, source: 'test', data: { ...ordinary[kind], ...data } } as EventOf<K>
}

export function tick(n: number, until: Instant): EventOf<'tick'> {
  return { kind: 'tick', id: idOf(n, until), time: until, source: 'test', data: { until } }
}
