import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { pino } from 'pino'
import { Counter } from 'prom-client'
import { WatchedExporter } from '../../../inference/telemetry/watched-exporter.ts'

test('a trouble is counted each time and said when it begins and when it is over; the SDK never hears of it', async () => {
  const results: (ExportResult | Error)[] = [
    { code: ExportResultCode.SUCCESS },
    { code: ExportResultCode.FAILED, error: Object.assign(new Error('secret words'), { code: 503 }) },
    new TypeError('secret words'),
    { code: ExportResultCode.FAILED },
    { code: ExportResultCode.SUCCESS },
    { code: ExportResultCode.SUCCESS },
  ]
  const exporter = {
    export: (_items: number, done: (result: ExportResult) => void) => {
      const result = results.shift()
      if (result instanceof Error) throw result
      if (result !== undefined) done(result)
    },
    shutdown: async () => {},
  }
  const failures = new Counter({ name: 'failures', help: 'of exports', labelNames: ['signal'], registers: [] })
  const lines: string[] = []
  const settled: number[] = []
  const watched = new WatchedExporter<number>({
    exporter,
    signal: 'traces',
    timeoutMs: 60_000,
    failures,
    log: pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line.trim()) }),
    interrupt: () => {},
    settled: (items) => void settled.push(items),
  })
  const told: ExportResult[] = []
  for (let i = 0; i < 6; i++) watched.export(i, (result) => void told.push(result))
  assert.deepEqual(
    told,
    Array.from({ length: 6 }, () => ({ code: ExportResultCode.SUCCESS })),
  )
  assert.deepEqual(settled, [0, 1, 2, 3, 4, 5])
  assert.equal((await failures.get()).values[0]?.value, 3)
  assert.deepEqual(lines, [
    '{"level":40,"signal":"traces","reason":"503","msg":"telemetry: the collector does not take it; it is dropped and counted"}',
    '{"level":30,"signal":"traces","msg":"telemetry: the collector takes it again"}',
  ])
})
