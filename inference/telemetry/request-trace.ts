import type { Trace } from './trace-context.ts'
import { type Parent, traceHeaders } from './trace-context.ts'
import { newSpanId, newTraceId } from './trace-ids.ts'

/** The trace of one request: ids are given out when it begins, spans are made when it is over. */
export class RequestTrace implements Trace {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly parent: Parent | undefined
  readonly sampled: boolean
  /** Of the request, and of its call of an upstream, which is the parent of what happens there. */
  readonly spanId: string
  readonly callId: string

  constructor(parent: Parent | undefined, sampled: boolean) {
    this.parent = parent
    this.sampled = sampled
    this.id = parent?.traceId ?? newTraceId()
    this.spanId = sampled ? newSpanId() : ''
    // Without spans of our own, what happens upstream belongs to the client's.
    this.callId = sampled ? newSpanId() : (parent?.spanId ?? newSpanId())
    this.headers = traceHeaders(this.id, this.callId, sampled, parent?.state)
  }
}
