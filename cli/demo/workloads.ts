import type { FlowEvent } from '../../schemas/index.ts'
import type { Random } from '../../test/attacks/random.ts'

/** A flow as the collector takes it: event time beside the data. */
export type TimedFlow = FlowEvent & { readonly time: number }

interface Habit {
  readonly name: string
  readonly address: string
  readonly port: number
  /** Mean seconds between connections, and median payload bytes out and in. */
  readonly everySeconds: number
  readonly bytesOut: number
  readonly bytesIn: number
}

const habits: readonly Habit[] = [
  { name: 'gateway.internal', address: '10.0.0.2', port: 443, everySeconds: 3, bytesOut: 24_000, bytesIn: 60_000 },
  { name: 'metrics.internal', address: '10.0.0.9', port: 9090, everySeconds: 15, bytesOut: 9_000, bytesIn: 600 },
  { name: 'logs.internal', address: '10.0.0.10', port: 4318, everySeconds: 8, bytesOut: 16_000, bytesIn: 400 },
  { name: 'models.internal', address: '10.0.0.20', port: 443, everySeconds: 120, bytesOut: 1_500, bytesIn: 900_000 },
]

/** What a serving workload ordinarily does in `[from, until)`: answers, metrics, logs, now and then a model pull. */
export function ordinaryFlows(workload: string, pool: string, from: number, until: number, random: Random): TimedFlow[] {
  const flows: TimedFlow[] = []
  for (const habit of habits) {
    for (
      let at = from + random.next() * habit.everySeconds * 1_000;
      at < until;
      at -= Math.log(1 - random.next()) * habit.everySeconds * 1_000
    ) {
      flows.push(flow(workload, pool, habit, Math.floor(at), Math.exp(random.normal() * 0.35)))
    }
  }
  return flows
}

/** The third attack: somebody on the workload uploads to a host it never spoke to. */
export function exfiltration(workload: string, pool: string, at: number, bytes: number): TimedFlow {
  const habit = { name: 'paste.example.net', address: '203.0.113.77', port: 443, everySeconds: 0, bytesOut: bytes, bytesIn: 2_000 }
  return flow(workload, pool, habit, at, 1)
}

function flow(workload: string, pool: string, habit: Habit, time: number, factor: number): TimedFlow {
  return {
    time,
    workload,
    pool,
    connection: null,
    destination: { address: habit.address, port: habit.port, name: habit.name },
    protocol: 'tcp',
    service: 'ssl',
    bytesOut: Math.round(habit.bytesOut * factor),
    bytesIn: Math.round(habit.bytesIn * factor),
    durationMs: 40,
  }
}
