import { parseTrace, type Trace } from '../telemetry/trace-context.ts'
import type { Exchange } from './exchange.ts'

/** Spans and metrics of requests, in the terms of OpenTelemetry's GenAI conventions; the SDK stays behind this port. */
export interface Tracing {
  /** Begins a request's trace from the headers that it came with, which may be anything. Never throws. */
  begin(headers: { readonly traceparent?: string | undefined; readonly tracestate?: string | undefined }): Trace
  /** Ends it, with everything that the exchange says. Never throws. */
  end(exchange: Exchange, status: number): void
  /** Sends what is left. */
  close(): Promise<void>
}

const none: Trace = { id: null, headers: {} }

/** Without an exporter: a client's trace goes through to the upstream as it is, and nothing is made of it here. */
export const passThrough: Tracing = {
  begin: (headers) => {
    const { traceparent } = headers
    if (traceparent === undefined) return none
    const parent = parseTrace(headers)
    if (parent === undefined) return none
    const { traceId: id, state } = parent
    return { id, headers: state === undefined ? { traceparent } : { traceparent, tracestate: state.serialize() } }
  },
  end: () => {},
  close: async () => {},
}
