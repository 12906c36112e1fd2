import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Seconds since which the sink has waited for the store; asked at each scrape. */
type BlockedSeconds = () => number

export interface SinkMetrics {
  readonly rows: Counter<'table'>
  readonly duplicates: Counter<'table'>
  readonly deadLetters: Counter<'topic'>
  readonly fenced: Counter<'topic'>
  readonly failures: Counter<'table'>
  readonly insertSeconds: Histogram<'table'>
  readonly lag: Gauge<'topic' | 'partition'>
}

export function sinkMetrics(registry: Registry, blockedSeconds: BlockedSeconds): SinkMetrics {
  const registers = [registry]
  const blocked: Gauge = new Gauge({
    name: 'cordon_sink_blocked_seconds',
    help: 'How long the sink has been waiting for the store; 0 when it is not',
    registers,
    collect: () => blocked.set(blockedSeconds()),
  })
  return {
    rows: new Counter({ name: 'cordon_sink_rows_total', help: 'Rows stored', labelNames: ['table'], registers }),
    duplicates: new Counter({
      name: 'cordon_sink_duplicates_total',
      help: 'Events that were delivered again and stored already',
      labelNames: ['table'],
      registers,
    }),
    deadLetters: new Counter({
      name: 'cordon_sink_dead_letters_total',
      help: 'Records that could not be read or stored',
      labelNames: ['topic'],
      registers,
    }),
    fenced: new Counter({
      name: 'cordon_sink_fenced_total',
      help: 'Records of writers that were replaced before; not stored',
      labelNames: ['topic'],
      registers,
    }),
    failures: new Counter({
      name: 'cordon_sink_failures_total',
      help: 'Inserts or look-ups that failed and are tried again',
      labelNames: ['table'],
      registers,
    }),
    insertSeconds: new Histogram({
      name: 'cordon_sink_insert_seconds',
      help: 'From taking a batch to having it stored',
      labelNames: ['table'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    lag: new Gauge({
      name: 'cordon_sink_lag_records',
      help: 'Records behind the newest that were known when a batch came',
      labelNames: ['topic', 'partition'],
      registers,
    }),
  }
}
