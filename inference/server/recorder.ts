import { performance } from 'node:perf_hooks'
import { newEvent } from '../../bus/codec.ts'
import { newEventId } from '../../bus/event-id.ts'
import { Name, type PromptEvent, type RequestEvent } from '../../schemas/index.ts'
import { auditEntry } from './audit-entry.ts'
import { costOf } from './cost.ts'
import type { Exchange } from './exchange.ts'
import type { NodeMetrics } from './metrics.ts'
import type { NodeOptions } from './options.ts'
import { denialOf } from './permission.ts'
import { openPseudonyms, plainAddress } from './pseudonym.ts'
import { admits, type Bucket, fullBucket, take } from './throttle.ts'

/** As the contract of events has it. */
const longestReason = 32

/** What of the node's options a recorder uses. */
type RecorderOptions = Pick<NodeOptions, 'name' | 'emitter' | 'clock' | 'addressKey' | 'configurationOf' | 'prices' | 'audit'>

export interface Peer {
  readonly address: string
  readonly agent: string
}

/**
 * Writes an exchange down: one `request` event, one `fingerprint` event for each item of a served one, and one
 * `prompt` event for each text that a language model was asked.
 * It is called when the answer is ready, which is sent {@link Recorder.whenWritten}: an answered request is in the spool, so
 * kill -9 after the answer loses nothing of it. That costs the answer some microseconds (test/bench/node.ts).
 */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #metrics: Pick<NodeMetrics, 'observe' | 'unrecorded'>
  readonly #pseudonym: ReturnType<typeof openPseudonyms>
  readonly #anonymous: Bucket
  #requests = 0
  /** At most one for each request in flight. */
  #leaving: (() => void)[] = []
  #turn: NodeJS.Immediate | undefined

  constructor(options: RecorderOptions, metrics: Pick<NodeMetrics, 'observe' | 'unrecorded'>, anonymousEvents: number) {
    this.#options = options
    this.#metrics = metrics
    this.#pseudonym = openPseudonyms(options.addressKey)
    this.#anonymous = fullBucket({ requests: anonymousEvents, windowMs: 1_000 }, options.clock())
  }

  /** Requests that named a model, since the node began. */
  get requests(): number {
    return this.#requests
  }

  record(exchange: Exchange, status: number, peer: Peer): void {
    const { emitter, name } = this.#options
    exchange.durationMs = performance.now() - exchange.startedAt
    exchange.cost = costOf(exchange, this.#options)
    this.#requests++
    this.#metrics.observe(exchange)
    if (exchange.identity === null && !this.#mayRecordAnonymous()) return
    const id = exchange.id ?? newEventId(exchange.arrivedAt)
    const client = this.#pseudonym('address', plainAddress(peer.address))
    exchange.id = id
    exchange.client = client
    const agent = this.#pseudonym('agent', peer.agent)
    const data = this.#describe(exchange, status, client, agent)
    emitter.emit('requests', newEvent('request', data, name, exchange.arrivedAt, id))
    const { principal, organization, keyId, keyCreatedAt, model, version, hardening } = exchange
    if (model !== null && version !== null) {
      const answered = exchange.outcome === 'served' || exchange.outcome === 'aborted'
      const caller = { principal, organization, keyId, keyCreatedAt, client, agent }
      const about = { request: id, ...caller, model, version, node: name, hardening, answered }
      exchange.fingerprints.forEach((fingerprint, index) => {
        const data = { ...about, index, ...fingerprint }
        emitter.emit('fingerprints', newEvent('fingerprint', data, name, exchange.arrivedAt))
      })
    }
    const prompts = exchange.prompts?.fingerprints.length ?? 0
    for (let at = 0; at < prompts; at++) {
      const data = this.#describePrompt(exchange, at, id, client, agent)
      if (data !== undefined) emitter.emit('prompts', newEvent('prompt', data, name, exchange.arrivedAt))
    }
    this.#options.audit?.append(auditEntry(exchange, data, id))
  }

  /**
   * Calls back when everything recorded so far is in the spool: at the end of this turn of the event loop, so that one write is
   * enough for all requests that end in it.
   */
  whenWritten(leave: () => void): void {
    this.#leaving.push(leave)
    this.#turn ??= setImmediate(() => this.flush())
  }

  /** Everything recorded so far is in the spool when it returns. */
  flush(): void {
    clearImmediate(this.#turn)
    this.#turn = undefined
    this.#options.emitter.flush()
    const leaving = this.#leaving
    this.#leaving = []
    for (const leave of leaving) leave()
  }

  /** Field by field, and all of them in one literal: spreading the exchange costs as much as writing the event as JSON. */
  #describe(exchange: Exchange, status: number, client: string, agent: string): RequestEvent {
    const { name: node, clock } = this.#options
    return {
      principal: exchange.principal,
      organization: exchange.organization,
      keyId: exchange.keyId,
      model: nameOf(exchange),
      version: exchange.version,
      pool: exchange.pool,
      node,
      outcome: exchange.outcome,
      status,
      hardening: exchange.hardening,
      items: exchange.items,
      bytesIn: exchange.bytesIn,
      bytesOut: exchange.bytesOut,
      durationMs: exchange.durationMs,
      queueMs: exchange.queueMs,
      tokensIn: exchange.tokensIn,
      tokensOut: exchange.tokensOut,
      cost: exchange.cost,
      client,
      agent,
      answeredAt: clock(),
      lease: exchange.lease,
      confidence: exchange.confidence,
      operation: exchange.operation,
      streamed: exchange.streamed,
      firstTokenMs: exchange.firstTokenMs,
      tokenCount: exchange.tokenCount,
      sampling: exchange.sampling,
      finishReasons: exchange.finishReasons.map(shortened),
      toolCalls: exchange.toolCalls,
      endpoint: exchange.endpoint,
      configuration: exchange.configuration,
      trace: exchange.trace.id,
      policy: exchange.decision?.version ?? '',
      policies: exchange.decision === null ? [] : [...exchange.decision.policies],
      method: exchange.identity?.method ?? 'none',
      denial: denialOf(exchange),
    }
  }

  /** One prompt of the request: tokens and ends of a request of several are shared out evenly. */
  #describePrompt(exchange: Exchange, at: number, request: string, client: string, agent: string): PromptEvent | undefined {
    const { prompts, model } = exchange
    const fingerprint = prompts?.fingerprints[at]
    if (prompts === undefined || fingerprint === undefined || model === null) return undefined
    const verdict = prompts.verdictOf(at)
    const count = prompts.fingerprints.length
    return {
      request,
      principal: exchange.principal,
      organization: exchange.organization,
      keyId: exchange.keyId,
      keyCreatedAt: exchange.keyCreatedAt,
      client,
      agent,
      model,
      version: exchange.version,
      node: this.#options.name,
      operation: exchange.operation,
      outcome: exchange.outcome,
      hardening: exchange.hardening,
      epoch: fingerprint.epoch,
      exact: fingerprint.exact,
      system: fingerprint.system,
      bytes: fingerprint.bytes,
      messages: fingerprint.messages,
      chunks: fingerprint.chunks,
      surprise: fingerprint.surprise,
      learned: fingerprint.learned,
      tokensIn: shareOf(exchange.tokensIn, at, count),
      tokensOut: shareOf(exchange.tokensOut, at, count),
      finishReasons: reasonsOf(exchange.finishReasons, at, count).map(shortened),
      sampling: prompts.sampling,
      refused: verdict.refused,
      answer: verdict.answer,
      canaries: verdict.canaries,
    }
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

/** An even share of a whole number; the first has what is left over, so that they sum up. */
function shareOf(total: number, at: number, count: number): number {
  const each = Math.floor(total / count)
  return at === 0 ? total - each * (count - 1) : each
}

/** Those of one prompt's answers, where all answers of all prompts said how they ended; else all there are. */
function reasonsOf(reasons: readonly string[], at: number, count: number): readonly string[] {
  if (count === 1 || reasons.length % count !== 0) return reasons
  const each = reasons.length / count
  return reasons.slice(at * each, (at + 1) * each)
}

/** What an upstream says is bounded where it is read; an event that no reader takes would be lost for it. */
function shortened(reason: string): string {
  return reason.length <= longestReason ? reason : reason.slice(0, longestReason)
}

/** A client may write anything where the model's name stands, or nothing; what cannot be a name is recorded as one word. */
function nameOf({ model, version }: Exchange): string {
  if (model === null) return 'unknown'
  // What has a version is served.
  return version !== null || Name.safeParse(model).success ? model : 'invalid-name'
}
