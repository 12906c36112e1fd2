import type { Pulse } from '../../bus/heartbeat.ts'
import { deeds, type Freshness } from './freshness.ts'
import type { NodeOptions } from './options.ts'

/** What a node says of itself in its heartbeat. */
export type NodePulse = Pulse &
  Required<Pick<Pulse, 'models' | 'fingerprintKey' | 'detail'>> & { readonly spoolBytes: number; readonly controlStaleMs: number }

export interface PulseParts {
  readonly options: NodeOptions
  readonly freshness: Pick<Freshness, 'staleMs' | 'mode' | 'since'>
  readonly requests: number
  readonly inFlight: number
  readonly closing: boolean
}

export function pulseOf(parts: PulseParts): NodePulse {
  const { options, freshness, requests, inFlight, closing } = parts
  const { name: node, emitter, runtime, text, fingerprintKeyId } = options
  const { bus, spoolBytes, emitted, dropped } = emitter.state()
  // What runs elsewhere has no digest that we could check; it is told apart by that.
  const models = [...runtime.list(), ...text.list()].map(({ name, version, digest }) => ({ name, version, digest: digest ?? 'upstream' }))
  const { mode, since } = freshness
  return {
    ok: !closing && bus === 'ok' && models.length > 0 && mode === null,
    summary: summaryOf(parts, mode === null ? '' : `; ${deeds[mode]}`),
    spoolBytes,
    controlStaleMs: freshness.staleMs,
    models,
    fingerprintKey: fingerprintKeyId ?? null,
    detail: { node, backend: runtime.backend, requests, inFlight, emitted, dropped, bus, controlLost: mode, controlUnknownSince: since },
  }
}

/**
 * One sentence for people; `deed`, what the node does without fresh control topics, is for those alone who may know: told to
 * everybody, a node that enforces nothing would invite everybody.
 */
export function summaryOf({ options, freshness, closing }: PulseParts, deed = ''): string {
  if (closing) return 'closing'
  const { emitter, runtime, clock } = options
  const { bus, since, spoolBytes, dropped } = emitter.state()
  const served = runtime.list().length === 0 ? 'no model is loaded' : `answering with ${runtime.backend}`
  const seconds = Math.round((clock() - since) / 1_000)
  const away = `answering; the bus has been away for ${seconds} s, and ${spoolBytes} bytes of events wait on disk`
  const lost = dropped === 0 ? '' : `; ${dropped} events were lost`
  const stale = freshness.since === null ? '' : `; control topics unread since ${new Date(freshness.since).toISOString()}${deed}`
  return (bus === 'away' ? away : served) + lost + stale
}
