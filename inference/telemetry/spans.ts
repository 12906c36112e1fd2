import { type Attributes, SpanKind, type SpanStatus, SpanStatusCode, TraceFlags, type TraceState } from '@opentelemetry/api'
import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Exchange } from '../server/exchange.ts'
import { timeOf } from './hr-time.ts'
import type { RequestTrace } from './request-trace.ts'
import { errorTypeOf, modelNameOf, operationNameOf, provider } from './terms.ts'

/** What upstreams say is bounded here too. */
const mostReasons = 16
const longestReason = 32

export interface SpanParts {
  readonly resource: Resource
  readonly scope: InstrumentationScope
  /** Names of models that are served. */
  readonly models: ReadonlySet<string>
  /** Whether a pool's models run elsewhere. */
  readonly forwards: (pool: string) => boolean
  /** How a principal is called outside of this node. */
  readonly principalOf: (principal: string) => string
}

/**
 * The spans of a request that is over: one of kind SERVER, and where an upstream was called one of kind CLIENT in it.
 * They are made as the exporter reads them, without the SDK's spans that things are added to: nothing is added to these.
 */
export function spansOf(parts: SpanParts, trace: RequestTrace, exchange: Exchange, status: number): readonly ReadableSpan[] {
  const operation = operationNameOf(exchange)
  const model = modelNameOf(exchange, parts.models)
  const shared: Attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
  }
  const error = errorTypeOf(exchange)
  if (error !== undefined) shared['error.type'] = error
  // A refusal is the client's affair: the conventions call a server's span failed from 500 on.
  const code = status >= 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET
  const make = (one: OneSpan) => spanOf(parts, trace, exchange, `${operation} ${model}`, one)
  const request = make({
    kind: SpanKind.SERVER,
    spanId: trace.spanId,
    parent: trace.parent && { spanId: trace.parent.spanId, remote: true },
    from: 0,
    to: exchange.durationMs,
    attributes: { ...shared, ...requestAttributes(parts, exchange, status) },
    status: { code },
  })
  const { calledAt, calledMs, pool, startedAt, streamed, endpoint } = exchange
  if (calledAt === null || pool === null || !parts.forwards(pool)) return [request]
  const from = calledAt - startedAt
  const call = make({
    kind: SpanKind.CLIENT,
    spanId: trace.callId,
    parent: { spanId: trace.spanId, remote: false },
    from,
    // A stream goes on until the request is over, and so does a call that nobody waited for.
    to: streamed || calledMs === null ? exchange.durationMs : from + calledMs,
    attributes: { ...shared, 'cordon.pool': pool, ...(endpoint === null ? {} : { 'cordon.endpoint': endpoint }) },
    status: { code },
  })
  return [request, call]
}

interface OneSpan {
  readonly kind: SpanKind
  readonly spanId: string
  readonly parent: { readonly spanId: string; readonly remote: boolean } | undefined
  /** Milliseconds since the request's arrival. */
  readonly from: number
  readonly to: number
  readonly attributes: Attributes
  readonly status: SpanStatus
}

function spanOf({ resource, scope }: SpanParts, trace: RequestTrace, { arrivedAt }: Exchange, name: string, one: OneSpan): ReadableSpan {
  const { kind, spanId, parent, from, to, attributes, status } = one
  const contextOf = (id: string, isRemote: boolean) => ({
    traceId: trace.id,
    spanId: id,
    traceFlags: TraceFlags.SAMPLED,
    isRemote,
    ...stateIn(trace.parent?.state),
  })
  const context = contextOf(spanId, false)
  return {
    name,
    kind,
    spanContext: () => context,
    ...(parent === undefined ? {} : { parentSpanContext: contextOf(parent.spanId, parent.remote) }),
    startTime: timeOf(arrivedAt + from),
    endTime: timeOf(arrivedAt + Math.max(from, to)),
    duration: timeOf(Math.max(0, to - from)),
    status,
    attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function stateIn(traceState: TraceState | undefined): { readonly traceState?: TraceState } {
  return traceState === undefined ? {} : { traceState }
}

function requestAttributes({ principalOf, models }: SpanParts, exchange: Exchange, status: number): Attributes {
  const { outcome, hardening, pool, endpoint, version, configuration, principal, client, id, items, queueMs, model } = exchange
  const attributes: Attributes = {
    'http.response.status_code': status,
    'cordon.outcome': outcome,
    'cordon.hardening': hardening,
    'cordon.principal': principalOf(principal),
    'cordon.items': items,
    'cordon.queue_ms': queueMs,
    'cordon.configuration': configuration,
  }
  if (outcome === 'served' && model !== null && models.has(model)) attributes['gen_ai.response.model'] = model
  if (pool !== null) attributes['cordon.pool'] = pool
  if (endpoint !== null) attributes['cordon.endpoint'] = endpoint
  if (version !== null) attributes['cordon.version'] = version
  if (client !== null) attributes['cordon.client'] = client
  if (id !== undefined) attributes['cordon.request.id'] = id
  if (exchange.operation !== 'infer') addGeneration(attributes, exchange)
  return attributes
}

function addGeneration(attributes: Attributes, exchange: Exchange): void {
  const { sampling, tokenCount, tokensIn, tokensOut, finishReasons, firstTokenMs, streamed, toolCalls } = exchange
  attributes['gen_ai.request.stream'] = streamed
  if (sampling !== null) {
    const { temperature, topP, maxTokens, choices } = sampling
    if (temperature !== null) attributes['gen_ai.request.temperature'] = temperature
    if (topP !== null) attributes['gen_ai.request.top_p'] = topP
    if (maxTokens !== null) attributes['gen_ai.request.max_tokens'] = maxTokens
    if (choices !== 1) attributes['gen_ai.request.choice.count'] = choices
  }
  if (tokenCount !== 'none') {
    attributes['gen_ai.usage.input_tokens'] = tokensIn
    attributes['gen_ai.usage.output_tokens'] = tokensOut
    attributes['cordon.token_count'] = tokenCount
  }
  if (finishReasons.length > 0)
    attributes['gen_ai.response.finish_reasons'] = finishReasons.slice(0, mostReasons).map((reason) => reason.slice(0, longestReason))
  if (firstTokenMs !== null) attributes['gen_ai.response.time_to_first_chunk'] = firstTokenMs / 1_000
  if (toolCalls > 0) attributes['cordon.tool_calls'] = toolCalls
}
