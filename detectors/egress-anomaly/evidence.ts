import type { EventOf, Evidence, Severity } from '../../schemas/index.ts'
import { severities } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import type { Periodicity } from '../statistics/periodicity.ts'
import type { Alarm } from './state.ts'

export type Reason = 'upload' | 'volume' | 'rate' | 'spread' | 'gross' | 'beacon'

/** What was measured, and against what. */
export interface Measured {
  readonly reason: Reason
  /** Bytes measured, and the most that would have been ordinary. */
  readonly bytes: number
  readonly limit: number
  readonly beat: Periodicity | null
}

const titles: Record<Reason, (to: string, amount: string) => string> = {
  upload: (to, amount) => `${amount} sent to the new destination ${to}`,
  volume: (to, amount) => `${amount} more than ordinary flows carry sent to ${to}`,
  rate: (to, amount) => `${amount} sent to ${to} in a short time, far over its busiest`,
  spread: (_, amount) => `${amount} sent to new destinations together`,
  gross: (to, amount) => `${amount} sent to ${to} by a workload without a baseline`,
  beacon: (to) => `Regular contact with the new destination ${to}`,
}

const confidences = [0, 0.4, 0.7, 0.9, 0.97] as const

/** By how far the amount is beyond the ordinary: over the limit, four times, sixty-four times. */
export function severityOf(m: Measured): number {
  if (m.reason === 'beacon') return 2
  if (m.reason === 'gross') return 2
  const ratio = m.bytes / m.limit
  return ratio >= 64 ? 4 : ratio >= 4 ? 3 : 2
}

export function draft(event: EventOf<'flow'>, alarm: Alarm, m: Measured, baselineMs: number): FindingDraft {
  const { data } = event
  const to = `${data.destination.name ?? data.destination.address}:${data.destination.port}`
  const evidence: Evidence = {
    reason: m.reason,
    destination: data.destination.address,
    name: data.destination.name,
    port: data.destination.port,
    protocol: data.protocol,
    service: data.service,
    bytes: Math.round(m.bytes),
    ordinaryBytes: Math.round(m.limit),
    times: m.limit > 0 ? round(m.bytes / m.limit) : null,
    lastFlowOut: data.bytesOut,
    lastFlowIn: data.bytesIn,
    uploadRatio: round(data.bytesOut / Math.max(1, data.bytesIn)),
    baselineMs,
    ...(m.beat === null
      ? {}
      : {
          periodMs: Math.round(m.beat.period),
          jitter: round(m.beat.jitter),
          fit: round(m.beat.fit),
          beats: m.beat.gaps + 1,
          score: round(m.beat.score),
        }),
  }
  const severity: Severity = severities[alarm.severity] ?? 'medium'
  return {
    opened: alarm.opened,
    severity,
    confidence: confidences[alarm.severity] ?? 0.7,
    title: titles[m.reason](to, amountOf(m.bytes)),
    principals: [],
    organizations: [],
    model: null,
    workload: data.workload,
    pool: data.pool,
    window: { from: Math.min(alarm.from, event.time), until: event.time },
    eventsSeen: alarm.flows,
    evidence,
    // An outsized answer to a client leaves through the inference API; everything else by other means.
    threats: data.destination.port >= 32_768 && m.reason !== 'beacon' ? ['AML.T0024', 'AML.T0025'] : ['AML.T0025'],
  }
}

function round(x: number): number {
  return Number(x.toPrecision(4))
}

function amountOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${units[unit] ?? ''}`
}
