import type { z } from 'zod'
import { Action } from './action.ts'
import { AuditEvent } from './audit.ts'
import { Command, CommandOutcome } from './command.ts'
import { Acknowledgement, Containment } from './containment.ts'
import { DeadLetter } from './dead-letter.ts'
import { Finding } from './finding.ts'
import { FingerprintEvent } from './fingerprint.ts'
import { FlowEvent } from './flow.ts'
import { Heartbeat } from './heartbeat.ts'
import { Incident } from './incident.ts'
import { Key } from './key.ts'
import { Model } from './model.ts'
import type { EventId, Instant } from './primitives.ts'
import { PromptEvent } from './prompt.ts'
import { RequestEvent } from './request.ts'
import { Risk } from './risk.ts'
import { Share, Spending } from './share.ts'
import { TelemetryEvent } from './telemetry.ts'
import { Term } from './term.ts'
import { TickEvent } from './tick.ts'

/**
 * Every kind of event: its contract and the version of it that we write. CloudEvents `type` is
 * `dev.cordon.<kind>`, `dataschema` is `urn:cordon:schema:<kind>:<version>`. Readers accept any minor version
 * of the major they know and ignore fields that they don't; another major is a dead letter.
 */
export const kinds = {
  request: { version: '1.3', schema: RequestEvent },
  fingerprint: { version: '1.2', schema: FingerprintEvent },
  prompt: { version: '1.1', schema: PromptEvent },
  telemetry: { version: '1.1', schema: TelemetryEvent },
  flow: { version: '1.0', schema: FlowEvent },
  tick: { version: '1.0', schema: TickEvent },
  finding: { version: '1.0', schema: Finding },
  incident: { version: '1.0', schema: Incident },
  action: { version: '1.0', schema: Action },
  containment: { version: '1.0', schema: Containment },
  acknowledgement: { version: '1.0', schema: Acknowledgement },
  key: { version: '1.0', schema: Key },
  model: { version: '1.0', schema: Model },
  risk: { version: '1.0', schema: Risk },
  share: { version: '1.0', schema: Share },
  spending: { version: '1.0', schema: Spending },
  command: { version: '1.0', schema: Command },
  outcome: { version: '1.0', schema: CommandOutcome },
  heartbeat: { version: '1.0', schema: Heartbeat },
  term: { version: '1.0', schema: Term },
  audit: { version: '1.0', schema: AuditEvent },
  'dead-letter': { version: '1.0', schema: DeadLetter },
} as const satisfies Record<string, { version: string; schema: z.ZodType }>

export type Kind = keyof typeof kinds
export type DataOf<K extends Kind> = z.infer<(typeof kinds)[K]['schema']>

/**
 * Header of an observed record: its sender's clock when it shipped the record, milliseconds as text, fresh at each attempt.
 * Against the log's own time it tells how far off that clock is.
 */
export const sentHeader = 'cordon-sent'

/** An event as everything inside sees it: envelope and parsed data. */
export interface CordonEvent<K extends Kind = Kind> {
  readonly kind: K
  /** UUIDv7, unique for ever; delivery at least once becomes effect exactly once by it. */
  readonly id: EventId
  /** Event time: when it happened, by the source's clock. For requests, the arrival of the first byte. */
  readonly time: Instant
  /** The node, sensor or role that says so. */
  readonly source: string
  readonly data: DataOf<K>
}

export type EventOf<K extends Kind> = { [P in K]: CordonEvent<P> }[K]

/** What a detector can see. */
export type ObservationKind = 'request' | 'fingerprint' | 'prompt' | 'telemetry' | 'flow'
export type Observation = EventOf<ObservationKind>
