import type { HrTime } from '@opentelemetry/api'

/** Seconds and nanoseconds, from milliseconds. */
export function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}
