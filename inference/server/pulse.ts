import type { Pulse } from '../../bus/heartbeat.ts'
import type { EndpointCount } from '../port.ts'
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
  readonly pools: readonly PoolState[]
}

export interface PoolState {
  readonly name: string
  /** Whether it takes work. */
  readonly ready: boolean
  /** Requests waiting or running. */
  readonly depth: number
  /** Undefined where the models run here. */
  readonly endpoints?: EndpointCount | undefined
}

/** As the contract of heartbeats has it. */
const mostModels = 1_024
/** Pools that a summary names, and characters of all that a heartbeat tells of pools, whose detail is bounded. */
const mostNamed = 4
const mostCharacters = 4_096

export function pulseOf(parts: PulseParts): NodePulse {
  const { options, freshness, requests, inFlight, closing, pools } = parts
  const { name: node, emitter, runtime, text, fingerprintKeyId } = options
  const { bus, spoolBytes, emitted, dropped } = emitter.state()
  // What runs elsewhere has no digest that we could check; it is told apart by that.
  const models = [...runtime.list(), ...text.list()]
    .map(({ name, version, digest }) => ({ name, version, digest: digest ?? 'upstream' }))
    .slice(0, mostModels)
  const { mode, since } = freshness
  return {
    ok: !closing && bus === 'ok' && models.length > 0 && mode === null && pools.every(({ ready }) => ready),
    summary: summaryOf(parts, mode === null ? '' : `; ${deeds[mode]}`) + (closing ? '' : unwell(pools)),
    spoolBytes,
    controlStaleMs: freshness.staleMs,
    models,
    fingerprintKey: fingerprintKeyId ?? null,
    detail: {
      ...{ node, backend: runtime.backend, requests, inFlight, emitted, dropped, bus, controlLost: mode, controlUnknownSince: since },
      pools: told(pools),
    },
  }
}

/** Pools that are not as they should be; for those alone who run the node, like what quarantines do. */
function unwell(pools: readonly PoolState[]): string {
  const words = pools.flatMap(({ name, ready, endpoints }) => {
    const some = endpoints === undefined ? '' : ` (${endpoints.healthy} of ${endpoints.all} endpoints are well)`
    if (!ready) return [`pool ${name} takes no work${some}`]
    return endpoints !== undefined && endpoints.healthy < endpoints.all ? [`pool ${name} is reduced${some}`] : []
  })
  const more = words.length > mostNamed ? [`${words.length - mostNamed} more pools are unwell`] : []
  return [...words.slice(0, mostNamed), ...more].map((word) => `; ${word}`).join('')
}

/** As many pools as fit, those that take no work first. */
function told(pools: readonly PoolState[]) {
  let left = mostCharacters
  const inOrder = [...pools.filter(({ ready }) => !ready), ...pools.filter(({ ready }) => ready)]
  return inOrder
    .map(({ name, ready, depth, endpoints }) => ({
      name,
      ready,
      depth,
      ...(endpoints === undefined ? {} : { endpoints: { ...endpoints } }),
    }))
    .filter((pool) => {
      left -= JSON.stringify(pool).length + 1
      return left >= 0
    })
}

/**
 * One sentence for people; `deed`, what the node does without fresh control topics, is for those alone who may know: told to
 * everybody, a node that enforces nothing would invite everybody.
 */
export function summaryOf({ options, freshness, closing }: PulseParts, deed = ''): string {
  if (closing) return 'closing'
  const { emitter, runtime, text, clock } = options
  const { bus, since, spoolBytes, dropped } = emitter.state()
  const some = runtime.list().length > 0 || text.list().length > 0
  const served = !some ? 'no model is loaded' : runtime.backend === 'none' ? 'answering' : `answering with ${runtime.backend}`
  const seconds = Math.round((clock() - since) / 1_000)
  const away = `answering; the bus has been away for ${seconds} s, and ${spoolBytes} bytes of events wait on disk`
  const lost = dropped === 0 ? '' : `; ${dropped} events were lost`
  const stale = freshness.since === null ? '' : `; control topics unread since ${new Date(freshness.since).toISOString()}${deed}`
  return (bus === 'away' ? away : served) + lost + stale
}
