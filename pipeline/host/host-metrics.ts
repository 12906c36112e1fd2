import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { DetectorLogic } from '../../detectors/contract.ts'
import type { Finding } from '../../schemas/index.ts'
import type { HostedDetector } from './hosted.ts'
import type { HostCounts } from './snapshot/snapshot.ts'

/** What the gauges show when they are asked. */
export interface HostGauges {
  keys(): Readonly<Record<string, number>>
  lag(): readonly { readonly topic: string; readonly partition: number; readonly lag: number }[]
  /** Seconds since the oldest snapshot of a partition; null when there is nothing to lose. */
  snapshotAge(): number | null
}

/** Whether what a partition's detectors do is counted: not while they only follow it. */
export interface Meter {
  on: boolean
}

/** Kinds of input that the host counts by topic: `cordon_host_<kind>_total`. */
const counted = [
  'events',
  'ticks',
  'duplicates',
  'late',
  'unverifiable',
  'clamped',
  'skewed',
  'evicted',
  'expired',
  'restated',
  'unapplied',
] as const

/** The metrics of the host, and the only place that knows of them: detectors are wrapped from outside. */
export class HostMetrics {
  readonly deadLetters: Counter<'topic'>
  /** Records published in place of an owner that did not. */
  readonly stoodIn: Counter<'topic'>
  readonly snapshotBytes: Gauge<'topic' | 'partition'>
  readonly snapshotSeconds: Histogram
  readonly #events: Counter<'detector'>
  readonly #errors: Counter<'detector'>
  readonly #findings: Counter<'detector'>
  readonly #seconds: Histogram<'detector'>
  readonly #counts: ReadonlyMap<(typeof counted)[number], Counter<'topic'>>

  constructor(registry: Registry, gauges: HostGauges) {
    const registers = [registry]
    const labelNames = ['detector'] as const
    this.#events = new Counter({
      name: 'cordon_detector_events_total',
      help: 'Observations that a detector was given.',
      labelNames,
      registers,
    })
    this.#errors = new Counter({
      name: 'cordon_detector_errors_total',
      help: 'Failures of a detector; each drops the state of one key or refuses a finding.',
      labelNames,
      registers,
    })
    this.#findings = new Counter({
      name: 'cordon_detector_findings_total',
      help: 'Findings stated, revisions included.',
      labelNames,
      registers,
    })
    this.#seconds = new Histogram({
      name: 'cordon_detector_seconds',
      help: 'Time a detector took for one observation.',
      labelNames,
      buckets: [2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2, 0.1],
      registers,
    })
    this.#counts = new Map(
      counted.map((kind) => [
        kind,
        new Counter({ name: `cordon_host_${kind}_total`, help: `Detector host, by topic: ${kind}.`, labelNames: ['topic'], registers }),
      ]),
    )
    this.deadLetters = new Counter({
      name: 'cordon_host_dead_letters_total',
      help: 'Records that could not be read.',
      labelNames: ['topic'],
      registers,
    })
    this.stoodIn = new Counter({
      name: 'cordon_host_stood_in_total',
      help: 'Findings and dead letters of partitions of others that were published here, since their owner did not in time.',
      labelNames: ['topic'],
      registers,
    })
    this.snapshotBytes = new Gauge({
      name: 'cordon_host_snapshot_bytes',
      help: 'Compressed size of the last snapshot.',
      labelNames: ['topic', 'partition'],
      registers,
    })
    this.snapshotSeconds = new Histogram({
      name: 'cordon_host_snapshot_seconds',
      help: 'Work of serialising a snapshot, which is done in slices of 2 ms.',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 2],
      registers,
    })
    showGauges(registry, gauges)
  }

  /** The same detector, timed and counted while the meter is on. */
  around({ definition, params }: HostedDetector, meter: Meter): HostedDetector {
    const start = (parsed: unknown) => this.#aroundLogic(definition.id, definition.start(parsed), meter)
    return { definition: { ...definition, start }, params }
  }

  failed(detector: string): void {
    this.#errors.inc({ detector })
  }

  stated(findings: readonly Finding[]): void {
    for (const { detector } of findings) this.#findings.inc({ detector })
  }

  /** Adds what happened between two readings of a partition's counts. */
  counted(topic: string, before: Readonly<HostCounts>, after: Readonly<HostCounts>): void {
    for (const [kind, counter] of this.#counts) {
      const difference = after[kind] - before[kind]
      if (difference > 0) counter.inc({ topic }, difference)
    }
  }

  /** The partition is not ours any more. */
  released({ topic, partition }: { readonly topic: string; readonly partition: number }): void {
    this.snapshotBytes.remove({ topic, partition: String(partition) })
  }

  #aroundLogic(detector: string, logic: DetectorLogic<unknown>, meter: Meter): DetectorLogic<unknown> {
    const events = this.#events.labels({ detector })
    const seconds = this.#seconds.labels({ detector })
    return {
      initial: (at) => logic.initial(at),
      onEvent: (state, o) => {
        if (!meter.on) return logic.onEvent(state, o)
        const from = performance.now()
        try {
          return logic.onEvent(state, o)
        } finally {
          events.inc()
          seconds.observe((performance.now() - from) / 1_000)
        }
      },
      onTimer: (state, now) => logic.onTimer?.(state, now),
    }
  }
}

function showGauges(registry: Registry, gauges: HostGauges): void {
  const registers = [registry]
  const keys = new Gauge({
    name: 'cordon_detector_keys',
    help: 'State keys held by a detector.',
    labelNames: ['detector'],
    registers,
    collect: () => {
      for (const [detector, held] of Object.entries(gauges.keys())) keys.set({ detector }, held)
    },
  })
  const lag = new Gauge({
    name: 'cordon_host_lag_records',
    help: 'Records of a partition that the host has not applied.',
    labelNames: ['topic', 'partition'],
    registers,
    collect: () => {
      lag.reset()
      for (const { topic, partition, lag: behind } of gauges.lag()) lag.set({ topic, partition: String(partition) }, behind)
    },
  })
  const age: Gauge = new Gauge({
    name: 'cordon_host_snapshot_age_seconds',
    help: 'Age of the oldest snapshot among the partitions that changed since theirs.',
    registers,
    collect: () => age.set(gauges.snapshotAge() ?? 0),
  })
}
