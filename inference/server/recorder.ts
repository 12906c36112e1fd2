import { performance } from 'node:perf_hooks'
import { newEvent } from '../../bus/codec.ts'
import { newEventId } from '../../bus/event-id.ts'
import { Name, type RequestEvent } from '../../schemas/index.ts'
import type { Exchange } from './exchange.ts'
import type { NodeMetrics } from './metrics.ts'
import type { NodeOptions } from './options.ts'
import { openPseudonyms } from './pseudonym.ts'
import { admits, type Bucket, fullBucket, take } from './throttle.ts'

export interface Peer {
  readonly address: string
  readonly agent: string
}

/**
 * Writes an exchange down: one `request` event, and one `fingerprint` event for each item of a served one.
 * It is called when the answer is ready and not yet sent, and flushes: an answered request is in the spool, so
 * kill -9 after the answer loses nothing of it. That costs the answer some microseconds (test/bench/node.ts).
 */
export class Recorder {
  readonly #options: NodeOptions
  readonly #metrics: NodeMetrics
  readonly #pseudonym: ReturnType<typeof openPseudonyms>
  readonly #anonymous: Bucket
  #requests = 0

  constructor(options: NodeOptions, metrics: NodeMetrics, anonymousEvents: number) {
    this.#options = options
    this.#metrics = metrics
    this.#pseudonym = openPseudonyms(options.addressKey)
    this.#anonymous = fullBucket({ requests: anonymousEvents, windowMs: 1_000 }, options.clock())
  }

  /** Requests that named a model, since the node began. */
  get requests(): number {
    return this.#requests
  }

  record(exchange: Exchange, status: number, bytesOut: number, peer: Peer): void {
    const { emitter, name } = this.#options
    const durationMs = performance.now() - exchange.startedAt
    this.#requests++
    this.#metrics.observe(exchange.outcome, durationMs)
    if (exchange.keyId === null && !this.#mayRecordAnonymous()) return
    const id = exchange.id ?? newEventId(exchange.arrivedAt)
    emitter.emit(
      'requests',
      newEvent('request', this.#describe(exchange, status, bytesOut, durationMs, peer), name, exchange.arrivedAt, id),
    )
    const { principal, organization, keyId, model, version } = exchange
    if (model !== null && version !== null) {
      exchange.fingerprints.forEach((fingerprint, index) => {
        const data = { request: id, index, principal, organization, keyId, model, version, node: name, ...fingerprint }
        emitter.emit('fingerprints', newEvent('fingerprint', data, name, exchange.arrivedAt))
      })
    }
    emitter.flush()
  }

  #describe(exchange: Exchange, status: number, bytesOut: number, durationMs: number, { address, agent }: Peer): RequestEvent {
    const { principal, organization, keyId, version, pool, outcome, hardening, lease, items, bytesIn, queueMs, confidence } = exchange
    const { name: node, clock, prices } = this.#options
    const model = nameOf(exchange.model)
    const cost = outcome === 'served' ? items * (prices.models?.get(model) ?? prices.perItem) : 0
    const about = { principal, organization, keyId, model, version, pool, node, outcome, status, hardening, items, bytesIn, bytesOut }
    const traffic = { durationMs, queueMs, tokensIn: 0, tokensOut: 0, cost, lease, confidence, answeredAt: clock() }
    return { ...about, ...traffic, client: this.#pseudonym('address', address), agent: this.#pseudonym('agent', agent) }
  }

  /** Anyone can send requests without a key: the log takes a bounded rate of them, the metrics count them all. */
  #mayRecordAnonymous(): boolean {
    const now = this.#options.clock()
    const { ok } = admits(this.#anonymous, 1, now)
    if (ok) take(this.#anonymous, 1, now)
    else this.#metrics.unrecorded()
    return ok
  }
}

/** A client may write anything where the model's name stands; what cannot be a name is recorded as one word. */
function nameOf(model: string | null): string {
  return model !== null && Name.safeParse(model).success ? model : 'invalid-name'
}
