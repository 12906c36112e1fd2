import type { TimedFlow } from '../../cli/demo/workloads.ts'
import type { Random } from '../attacks/random.ts'

/** What one of so many workloads sends to one of four hosts, much the same each time. */
export function plainFlow(random: Random, workloads: number, time: number): TimedFlow {
  return {
    time,
    workload: `serve-${random.below(workloads)}`,
    pool: null,
    connection: null,
    destination: { address: `10.0.0.${random.below(4)}`, port: 443, name: null },
    protocol: 'tcp',
    service: null,
    bytesOut: 10_000 + random.below(1_000),
    bytesIn: 500,
    durationMs: 10,
  }
}
