import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { Logger } from 'pino'
import type { Counter } from 'prom-client'

/** What of the SDK's exporters is used here. */
interface Exporter<T> {
  export(items: T, done: (result: ExportResult) => void): void
  forceFlush?(): Promise<void>
  shutdown(): Promise<void>
}

export interface WatchedExporterOptions<T> {
  readonly exporter: Exporter<T>
  readonly signal: 'traces' | 'metrics'
  /** How long one export may take, all its tries together, milliseconds. */
  readonly timeoutMs: number
  readonly failures: Counter<'signal'>
  readonly log: Logger
  /** Breaks off what the exporter has under way. */
  readonly interrupt: () => void
  /** Told when items are off our hands: sent, or lost. */
  readonly settled?: (items: T) => void
}

/**
 * An exporter whose troubles end here: each failure is counted, its beginning and its end are logged once, and a collector that
 * takes its bytes slowly for ever is hung up on. The SDK is told that all went well, since it can do nothing about it.
 */
export class WatchedExporter<T> {
  readonly #options: WatchedExporterOptions<T>
  #failing = false

  constructor(options: WatchedExporterOptions<T>) {
    this.#options = options
  }

  export(items: T, done: (result: ExportResult) => void): void {
    const { exporter, timeoutMs, interrupt, settled } = this.#options
    let open = true
    const end = (error: unknown) => {
      if (!open) return
      open = false
      clearTimeout(timer)
      this.#note(error)
      settled?.(items)
      done({ code: ExportResultCode.SUCCESS })
    }
    const timer = setTimeout(() => {
      end(new Error(`it took more than ${timeoutMs} ms`))
      interrupt()
    }, timeoutMs)
    timer.unref()
    try {
      exporter.export(items, ({ code, error }) => end(code === ExportResultCode.SUCCESS ? undefined : (error ?? new Error('it failed'))))
    } catch (error) {
      end(error)
    }
  }

  async forceFlush(): Promise<void> {
    await this.#options.exporter.forceFlush?.()
  }

  async shutdown(): Promise<void> {
    await this.#options.exporter.shutdown()
  }

  #note(error: unknown): void {
    const { signal, failures, log } = this.#options
    if (error === undefined) {
      if (this.#failing) log.info({ signal }, 'telemetry: the collector takes it again')
      this.#failing = false
      return
    }
    failures.inc({ signal })
    if (!this.#failing)
      log.warn({ signal, reason: reasonOf(error) }, 'telemetry: the collector does not take it; it is dropped and counted')
    this.#failing = true
  }
}

/** A code, or the name of the error's class: what a collector wrote is not copied into a log. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && (typeof error.code === 'string' || typeof error.code === 'number')) return String(error.code)
  return error.name
}
