import { monitorEventLoopDelay } from 'node:perf_hooks'
import { newEvent } from '../../bus/codec.ts'
import type { TelemetryEvent } from '../../schemas/index.ts'
import type { Freshness } from './freshness.ts'
import type { NodeOptions } from './options.ts'
import type { Recorder } from './recorder.ts'

export interface Telemetry {
  /** Emits one sample now, and returns what it says. */
  sample(): TelemetryEvent
  /** Emits the first sample, and one each `everyMs`. */
  start(): void
  /** Emits the last sample, which says that it is the last one, if there was a first. */
  stop(): void
}

export interface TelemetryParts {
  readonly options: NodeOptions
  readonly everyMs: number
  readonly recorder: Pick<Recorder, 'requests'>
  readonly freshness: Pick<Freshness, 'staleMs'>
}

/** The samples of one node: whoever reads them knows when it watched, and what of that was lost. */
export function openTelemetry({ options, everyMs, recorder, freshness }: TelemetryParts): Telemetry {
  const { name: node, pools, runtime, text, emitter, clock } = options
  const delay = monitorEventLoopDelay({ resolution: 10 })
  const pool = pools.length === 1 ? (pools[0]?.name ?? null) : null
  let timer: NodeJS.Timeout | undefined
  const take = (closing: boolean): TelemetryEvent => {
    const { emitted, dropped, spoolBytes } = emitter.state()
    const data: TelemetryEvent = {
      node,
      pool,
      requests: recorder.requests,
      emitted,
      dropped,
      spoolBytes,
      // Before the first tick of the monitor its percentile is not a number of nanoseconds.
      loopDelayMs: delay.count === 0 ? 0 : delay.percentile(99) / 1e6,
      memoryBytes: process.memoryUsage.rss(),
      tensorBytes: runtime.tensorBytes(),
      queueDepth: pools.reduce((sum, { name }) => sum + runtime.depth(name) + text.depth(name), 0),
      everyMs,
      closing,
      controlStaleMs: freshness.staleMs,
    }
    delay.reset()
    emitter.emit('telemetry', newEvent('telemetry', data, node, clock()))
    return data
  }
  return {
    sample: () => take(false),
    start: () => {
      delay.enable()
      take(false)
      timer = setInterval(take, everyMs, false)
    },
    stop: () => {
      if (timer === undefined) return
      clearInterval(timer)
      timer = undefined
      delay.disable()
      take(true)
    },
  }
}
