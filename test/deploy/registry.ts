import { collectDefaultMetrics, type Registry } from 'prom-client'
import { createMetrics } from '../../inference/runtime/metrics.ts'
import { openTracing } from '../../inference/telemetry/tracing.ts'
import { upstreamMetrics } from '../../inference/upstream/metrics.ts'
import { openFixture, silent } from '../inference/node-fixture.ts'

/** Every metric that a node can have, with a runtime, an upstream and tracing, as the command registers them. */
export async function openNodeRegistry(): Promise<{ readonly registry: Registry; close(): Promise<void> }> {
  const fixture = await openFixture()
  const { registry } = fixture
  collectDefaultMetrics({ register: registry, prefix: 'cordon_' })
  upstreamMetrics(registry, 'elsewhere')
  const pools = ['local']
  createMetrics(registry, { backend: 'wasm', pools, depth: () => 0, tensorBytes: () => 0, tensors: () => 0 })
  const tracing = openTracing({
    ...{
      endpoint: 'http://127.0.0.1:9',
      headers: {},
      sampleRatio: 0,
      intervalMs: 60_000,
      node: 'node-1',
      models: [],
      forwards: () => false,
    },
    ...{ addressKey: new Uint8Array(32), clock: Date.now, registry, log: silent, closeMs: 1 },
  })
  return {
    registry,
    close: async () => {
      await tracing.close()
      await fixture.close()
    },
  }
}
