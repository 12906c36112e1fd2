import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'
import { Ceiling } from '../statistics/ceiling.ts'
import { LeakySum } from '../statistics/leaky-sum.ts'
import { RobustScale } from '../statistics/robust-scale.ts'

/** What has been stated about a destination since its episode opened. */
export const Alarm = z.object({
  opened: EventId,
  from: Instant,
  at: Instant,
  /** Bytes when it was last stated: the next statement waits for four times as many. */
  bytes: z.number().min(0),
  /** 0 none, then the index of the severity stated. */
  severity: z.int().min(0).max(4),
  beacon: z.boolean(),
  flows: z.int().min(0),
})
export type Alarm = z.infer<typeof Alarm>

export const Destination = z.object({
  /** Protocol and port (`tcp/443`); client ports are one kind, `tcp/high`. */
  kind: z.string(),
  opened: EventId,
  first: Instant,
  last: Instant,
  flows: z.int().min(0),
  /** Part of the baseline. */
  known: z.boolean(),
  /** Natural logarithm of bytes sent in a flow, and of the milliseconds between flows. */
  size: RobustScale,
  gap: RobustScale,
  /** The largest ordinary flow, and the most in `windowTauMs`. */
  flowCeiling: Ceiling,
  peak: Ceiling,
  recent: LeakySum,
  /** Bytes beyond what an ordinary flow here carries. */
  excess: LeakySum,
  /** New destinations only: bytes sent, net of what downloads cost. */
  upload: LeakySum,
  received: z.number().min(0),
  /** New destinations only: times of the last beats. */
  beats: z.array(Instant).max(32),
  alarm: Alarm.nullable(),
})
export type Destination = z.infer<typeof Destination>

/** Destinations reached on one port. */
export const PortKind = z.object({
  distinct: z.int().min(0),
  open: z.boolean(),
  countedAt: Instant,
  size: RobustScale,
  flowCeiling: Ceiling,
  total: Ceiling,
})
export type PortKind = z.infer<typeof PortKind>

export const State = z.object({
  since: Instant,
  flows: z.int().min(0),
  warm: z.boolean(),
  lastEvent: z.string(),
  destinations: z.record(z.string(), Destination),
  kinds: z.record(z.string(), PortKind),
  /** Uploads to all new destinations together, the most of it that was ordinary, and what was stated. */
  spread: LeakySum,
  spreadCeiling: Ceiling,
  spreadOpened: EventId.nullable(),
  spreadFrom: Instant,
  spreadFlows: z.int().min(0),
  spreadAlarm: Alarm.nullable(),
  /** The most that one ordinary new destination was sent. */
  novel: Ceiling,
})
export type State = z.infer<typeof State>
