import type { Logger } from 'pino'
import { tombstone } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import { type Heartbeat, heartbeatKey, type Instant } from '../../schemas/index.ts'

export interface ForgettingOptions {
  readonly bus: EventBus
  readonly heartbeats: View<Heartbeat>
  readonly clock: () => Instant
  readonly log: Logger
  /** Whether this process is the one to do it. */
  readonly inCharge: () => boolean
  /** An instance that said nothing for so long is forgotten. Default 24 h. */
  readonly afterMs?: number
  /** How often it looks. Default 10 min; null: only when `look` is called. */
  readonly everyMs?: number | null
}

/** Deletes the heartbeats of processes that are long gone: names hold process ids, and would pile up for ever. */
export function forgetInstances(options: ForgettingOptions): { look(): Promise<void>; close(): void } {
  const { bus, heartbeats, clock, log, inCharge, afterMs = 86_400_000, everyMs = 600_000 } = options
  const look = async () => {
    if (!inCharge()) return
    const now = clock()
    // Of the future too: a clock that is far ahead, or a lie, would stand there until then. Who lives says it again.
    const gone = [...heartbeats.values()].filter(({ at }) => Math.abs(now - at) > afterMs)
    if (gone.length === 0) return
    await bus.publish(gone.map((heartbeat) => tombstone('heartbeats', heartbeatKey(heartbeat), now)))
  }
  const quietly = () => {
    look().catch((err: unknown) => log.warn({ err }, 'instances that are gone could not be forgotten; trying again'))
  }
  const timer = everyMs === null ? undefined : setInterval(quietly, everyMs).unref()
  return { look, close: () => clearInterval(timer) }
}
