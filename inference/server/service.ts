import type { Logger } from 'pino'
import { newEventId } from '../../bus/event-id.ts'
import type { Instant } from '../../schemas/index.ts'
import { InferenceError } from '../errors.ts'
import type { Fingerprint, Inference, ModelInfo } from '../port.ts'
import { admit, type Limit, precheck } from './admission.ts'
import type { Enforcement, Standing } from './enforcement.ts'
import type { Exchange } from './exchange.ts'
import type { Freshness } from './freshness.ts'
import { harden } from './harden.ts'
import { type InferRequest, readInferRequest } from './infer-request.ts'
import type { NodeMetrics } from './metrics.ts'
import type { NodeLimits, NodeOptions } from './options.ts'
import { busy, type Pools } from './pools.ts'
import { Refusal } from './refusal.ts'
import { Buckets, fullBucket } from './throttle.ts'

const maxPrincipals = 100_000
/** A node that fails closed cannot tell when it will know again. */
const closedRetrySeconds = 5

export interface Answer {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export interface ServiceParts {
  readonly options: NodeOptions
  readonly limits: NodeLimits
  readonly enforcement: Enforcement
  readonly freshness: Freshness
  readonly pools: Pools
  readonly metrics: NodeMetrics
  readonly log: Logger
}

/** The steps of the request path, in the order of node.ts; each either goes on or throws its {@link Refusal}. */
export class Service {
  readonly #parts: ServiceParts
  readonly #ordinary: Buckets | undefined
  #inFlight = 0

  constructor(parts: ServiceParts) {
    this.#parts = parts
    const { ordinary } = parts.limits
    this.#ordinary = ordinary === null ? undefined : new Buckets(maxPrincipals, (now) => fullBucket(ordinary, now))
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** 503 where the node fails closed, 401 and 403, and 429 where not even one item fits: then the body is not even read. */
  enter(exchange: Exchange, authorization: string | undefined, infers: boolean): void {
    const { options, freshness } = this.#parts
    const now = options.clock()
    const bearer = bearerOf(authorization)
    const verified = options.keys.verify(bearer ?? '', now)
    if (verified.ok) {
      exchange.principal = verified.principal
      exchange.organization = verified.organization
      exchange.keyId = verified.keyId
    }
    // Before 401: a key that is not known may have been made since the node knew.
    if (freshness.look() === 'fail-closed') throw busy('OVERLOADED', closedRetrySeconds)
    if (!verified.ok) {
      const challenge = bearer === undefined ? 'Bearer realm="cordon"' : 'Bearer realm="cordon", error="invalid_token"'
      throw new Refusal('UNAUTHENTICATED', 'Send a valid key as Authorization: Bearer <key>.', {
        headers: { 'www-authenticate': challenge },
      })
    }
    const standing = this.#standing(exchange, now)
    if (infers) precheck(this.#limitsOf(exchange, standing, now), now)
  }

  /**
   * The model behind a name: the version asked for, else the one that a roll back names, else the current one.
   * While a roll back is active, the version that it rolls back from and versions that are not good are refused
   * with 403: a client must change what it asks for, and a 503 would only have it ask again.
   */
  resolve(exchange: Exchange, name: string, version: string | undefined): ModelInfo {
    const { options, pools } = this.#parts
    const { rollback } = this.#standing(exchange, options.clock())
    const registered = options.models.get(name)
    if (!pools.serves(name)) throw new Refusal('NOT_FOUND', 'There is no such model.')
    if (version !== undefined && rollback !== undefined && version !== rollback.version) {
      const good = registered?.versions.find((one) => one.version === version)?.good ?? false
      if (!good || version === registered?.current)
        throw new Refusal('DENIED', 'This version is not available: leave the version out.', { lease: rollback.lease })
    }
    const wanted = version ?? rollback?.version ?? registered?.current ?? this.versionsOf(name).at(-1)
    const info = wanted === undefined ? undefined : options.runtime.info(name, wanted)
    if (info !== undefined) return info
    if (version !== undefined) throw new Refusal('NOT_FOUND', 'There is no such version of the model.')
    throw busy('OVERLOADED', 5, rollback?.lease)
  }

  /** Whether the model would be run now: some pool that serves it takes work. */
  checkReady(model: ModelInfo): void {
    this.#parts.pools.choose(model.name, this.#parts.options.clock())
  }

  versionsOf(name: string): readonly string[] {
    return this.#parts.options.runtime.list().flatMap((info) => (info.name === name ? [info.version] : []))
  }

  async infer(exchange: Exchange, model: ModelInfo, body: unknown): Promise<Answer> {
    const { options, limits, pools } = this.#parts
    const request = readInferRequest(body, model, limits.maxItems)
    exchange.items = request.items
    const now = options.clock()
    if (this.#inFlight >= limits.maxInFlight) throw busy('OVERLOADED', 1)
    const pool = pools.choose(model.name, now)
    const headers = admit(this.#limitsOf(exchange, this.#standing(exchange, now), now), request.items, now)
    exchange.version = model.version
    exchange.pool = pool
    const { output, queueMs } = await this.#run(model, pool, request)
    exchange.queueMs = queueMs
    exchange.id = newEventId(exchange.arrivedAt)
    this.#summarise(exchange, model, request, output)
    return { body: this.#render(exchange, model, request, output), headers }
  }

  async #run(model: ModelInfo, pool: string, { input, items }: InferRequest): Promise<Inference> {
    const { options, limits } = this.#parts
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(busy('OVERLOADED', 1)), limits.inferMs)
    this.#inFlight++
    try {
      return await Promise.race([options.runtime.infer(model.name, model.version, pool, input, items), late.promise])
    } catch (error) {
      throw refusalOf(error)
    } finally {
      this.#inFlight--
      clearTimeout(timer)
    }
  }

  /** Fingerprints and confidence come from what the model said, not from what the client is shown. */
  #summarise(exchange: Exchange, model: ModelInfo, { input, items }: InferRequest, output: Float32Array): void {
    const { options, metrics, log } = this.#parts
    const classes = output.length / items
    const width = input.length / items
    const fingerprinter = options.fingerprinterOf(model.name, model.version)
    const fingerprints: Fingerprint[] = []
    let confidence = 0
    if (!output.every(Number.isFinite)) throw new InferenceError('INFERENCE_FAILED', `${model.name} answered with a number that is none`)
    for (let item = 0; item < items; item++) {
      const row = output.subarray(item * classes, (item + 1) * classes)
      confidence += row.reduce((top, p) => Math.max(top, p), 0) / items
      if (fingerprinter === undefined) continue
      try {
        fingerprints.push(fingerprinter.fingerprint(input.subarray(item * width, (item + 1) * width), row))
      } catch (error) {
        metrics.fingerprintFailed()
        log.error({ err: error, model: model.name }, 'node: an input left no fingerprint')
      }
    }
    exchange.confidence = Math.min(1, confidence)
    exchange.fingerprints = fingerprints
  }

  /** Hardening is looked up after the model ran, so that a lease granted meanwhile already counts. */
  #render(exchange: Exchange, model: ModelInfo, request: InferRequest, output: Float32Array): string {
    const { hardening } = this.#standing(exchange, this.#parts.options.clock())
    exchange.hardening = hardening?.hardener.level ?? 'none'
    exchange.lease = hardening?.lease ?? null
    const data = hardening === undefined ? Array.from(output) : harden(output, output.length / request.items, hardening.hardener)
    return JSON.stringify({
      model_name: model.name,
      model_version: model.version,
      id: request.id ?? exchange.id,
      outputs: request.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape: [request.items, ...shape.slice(1)], data })),
    })
  }

  #standing(exchange: Exchange, now: Instant): Standing {
    const { principal, organization, keyId, model } = exchange
    const standing = this.#parts.enforcement.standing({ principal, organization, keyId, model: model ?? '' }, now)
    if (standing.denied !== undefined) throw new Refusal('DENIED', 'This key may not be used here.', { lease: standing.denied })
    return standing
  }

  #limitsOf({ principal }: Exchange, { throttles }: Standing, now: Instant): readonly Limit[] {
    if (this.#ordinary === undefined) return throttles
    return [...throttles, { bucket: this.#ordinary.of(principal, now), lease: null }]
  }
}

function bearerOf(authorization: string | undefined): string | undefined {
  return authorization !== undefined && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : undefined
}

/** What the runtime says, as the client may know it. */
function refusalOf(error: unknown): Error {
  if (!(error instanceof InferenceError)) return error instanceof Error ? error : new Error('the runtime threw', { cause: error })
  if (error.code === 'OVERLOADED' || error.code === 'CLOSED') return busy('OVERLOADED', 1, undefined, error)
  if (error.code === 'INPUT_INVALID') return new Refusal('INPUT_INVALID', 'The input does not fit the model.', { cause: error })
  if (error.code === 'MODEL_NOT_FOUND') return busy('OVERLOADED', 5, undefined, error)
  return error
}
