import { TraceState } from '@opentelemetry/core'

/** W3C trace context of one request. */
export interface Trace {
  /** 32 hex digits; null where neither the client nor we trace. */
  readonly id: string | null
  /** What an upstream is told: `traceparent`, `tracestate`. */
  readonly headers: Readonly<Record<string, string>>
}

/** Where a request comes from, as its client says. */
export interface Parent {
  /** 32 and 16 hex digits, neither of them all zeros. */
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
  /** The well formed entries of `tracestate`, at most 32 and 512 characters; undefined where there are none. */
  readonly state: TraceState | undefined
}

export interface TraceHeaders {
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
}

/** Version, trace, span, flags; a version after 00 may say more behind a dash. */
const wellFormed = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^]*)?$/
/** `traceparent` of version 00; what a later version adds is not read, and not believed at any length. */
const shortest = 55
const longest = 512
const nothing = /^0+$/

/**
 * Reads W3C trace context (Recommendation of 2021, sections 3.2 and 3.3), strictly: what is not well formed begins a new
 * trace, and its `tracestate` with it.
 */
export function parseTrace({ traceparent, tracestate }: TraceHeaders): Parent | undefined {
  if (traceparent === undefined || traceparent.length < shortest || traceparent.length > longest) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = wellFormed.exec(traceparent) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (nothing.test(traceId) || nothing.test(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1, state: stateOf(tracestate) }
}

/** `traceparent` and `tracestate` of whoever is asked next. */
export function traceHeaders(
  traceId: string,
  spanId: string,
  sampled: boolean,
  state: TraceState | undefined,
): Readonly<Record<string, string>> {
  const traceparent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
  return state === undefined ? { traceparent } : { traceparent, tracestate: state.serialize() }
}

function stateOf(text: string | undefined): TraceState | undefined {
  if (text === undefined || text === '') return undefined
  const state = new TraceState(text)
  return state.serialize() === '' ? undefined : state
}
