import { performance } from 'node:perf_hooks'
import type { Authentication, Credentials } from '../../access/identity.ts'
import type { ModelInfo } from '../port.ts'
import { admit, type Limit, precheck } from './admission.ts'
import { identify, unauthenticated } from './authentication.ts'
import type { Enforcement, Standing } from './enforcement.ts'
import type { Exchange } from './exchange.ts'
import { refusalOf } from './failures.ts'
import type { Freshness } from './freshness.ts'
import type { Gate, Ticket } from './gate.ts'
import type { Hardener } from './harden.ts'
import type { NodeLimits, NodeOptions } from './options.ts'
import { permit } from './permission.ts'
import { busy, type Pools } from './pools.ts'
import { Refusal } from './refusal.ts'
import { reserve } from './reservation.ts'
import { Buckets, fullBucket, giveBack } from './throttle.ts'

const maxPrincipals = 100_000
/** A node that fails closed cannot tell when it will know again. */
const closedRetrySeconds = 5

/** A request that may run, where it runs, and what its answer's headers say. */
export interface Slot {
  readonly pool: string
  /** The model runs elsewhere. */
  readonly forwards: boolean
  readonly headers: Readonly<Record<string, string>>
  /** Gives the place back; harmless when repeated. */
  leave(): void
}

export interface ServiceParts {
  readonly options: NodeOptions
  readonly limits: NodeLimits
  readonly enforcement: Enforcement
  readonly freshness: Freshness
  readonly pools: Pools
  readonly gate: Gate
}

/** The steps of the request path that every protocol shares, in the order of node.ts; each either goes on or throws its {@link Refusal}. */
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

  /**
   * 503 where the node fails closed, 401 and 403, and 429 where not even one item fits: then the body is not even read.
   * Synchronous where the credential can be judged at once.
   */
  enter(exchange: Exchange, credentials: Credentials, infers: boolean): void | Promise<void> {
    const { authenticator, clock } = this.#parts.options
    const authentication = authenticator.authenticate(credentials, clock())
    if (!(authentication instanceof Promise)) return this.#enterAs(exchange, credentials, authentication, infers)
    return authentication.then((known) => this.#enterAs(exchange, credentials, known, infers))
  }

  #enterAs(exchange: Exchange, credentials: Credentials, authentication: Authentication, infers: boolean): void {
    const { options, freshness } = this.#parts
    const now = options.clock()
    if (authentication.ok) identify(exchange, authentication.identity)
    // Before 401: a key that is not known may have been made since the node knew.
    if (freshness.look() === 'fail-closed') throw busy('OVERLOADED', closedRetrySeconds)
    if (!authentication.ok) throw unauthenticated(credentials, authentication.reason, authentication.retryMs)
    if (!authentication.identity.capabilities.includes('inference')) throw new Refusal('DENIED', 'This credential is not for inference.')
    const standing = this.#standing(exchange, now)
    if (infers) precheck(this.#limitsOf(exchange, standing, now), now)
  }

  /**
   * Whether who asked may still be answered: asked while a stream runs.
   *
   * @throws Refusal `UNAUTHENTICATED` for a credential that is no longer good, `DENIED`
   */
  recheck(exchange: Exchange): void {
    const { authenticator, clock } = this.#parts.options
    const now = clock()
    const { identity } = exchange
    if (identity === null || !authenticator.isGood(identity, now)) throw new Refusal('UNAUTHENTICATED', 'The key is no longer valid.')
    this.#standing(exchange, now)
  }

  /**
   * The model behind a name: the version asked for, else the one that a roll back names, else the current one.
   * While a roll back is active, the version that it rolls back from and versions that are not good are refused
   * with 403: a client must change what it asks for, and a 503 would only have it ask again.
   */
  resolve(exchange: Exchange, name: string, version: string | undefined): ModelInfo {
    const { options, pools } = this.#parts
    exchange.model = name
    const { rollback } = this.#standing(exchange, options.clock())
    const registered = options.models.get(name)
    if (!pools.serves(name)) throw new Refusal('NOT_FOUND', 'There is no such model.')
    if (version !== undefined && rollback !== undefined && version !== rollback.version) {
      const good = registered?.versions.find((one) => one.version === version)?.good ?? false
      if (!good || version === registered?.current)
        throw new Refusal('DENIED', 'This version is not available: leave the version out.', { lease: rollback.lease })
    }
    const wanted = version ?? rollback?.version ?? registered?.current ?? this.#newest(exchange, name)
    const info = wanted === undefined ? undefined : this.#info(exchange, name, wanted)
    if (info !== undefined) return info
    if (version !== undefined) throw new Refusal('NOT_FOUND', 'There is no such version of the model.')
    throw busy('OVERLOADED', 5, rollback?.lease)
  }

  /** Every model version that is served, however it is asked. */
  list(): readonly ModelInfo[] {
    const { runtime, text } = this.#parts.options
    return [...runtime.list(), ...text.list()]
  }

  versionsOf(name: string): readonly string[] {
    return versionsIn(this.list(), name)
  }

  /** Whether the model would be run now: some pool that serves it takes work. */
  checkReady(model: ModelInfo): void {
    this.#choose(model, this.#parts.options.clock())
  }

  /**
   * Asks the policies, finds a pool, takes `items` from the quotas, and waits for a place. Whoever got a slot gives it back.
   *
   * @throws Refusal `DENIED`, `OVERLOADED`, `QUARANTINED`, `THROTTLED`
   */
  async admit(exchange: Exchange, model: ModelInfo, items: number): Promise<Slot> {
    const { options } = this.#parts
    exchange.items = items
    const { permission, metering } = options
    const permitting = permission === undefined ? undefined : permit(permission, exchange)
    if (permitting !== undefined) await permitting
    const now = options.clock()
    const pool = this.#choose(model, now)
    const limits = this.#limitsOf(exchange, this.#standing(exchange, now), now)
    const quota = admit(limits, items, now)
    this.#inFlight++
    try {
      const headers = metering === undefined ? quota : { ...quota, ...(await reserve(metering, exchange, now)) }
      const ticket = await this.#enter(exchange, pool, items)
      exchange.version = model.version
      exchange.pool = pool
      exchange.configuration = options.configurationOf(model.name).digest
      return { pool, forwards: this.#infoIn(pool, model)?.digest === null, headers, leave: this.#leaver(ticket) }
    } catch (error) {
      this.#inFlight--
      for (const { bucket } of limits) giveBack(bucket, items)
      throw refusalOf(error)
    }
  }

  /** Waits for what a runtime does, until the request's end: 503 when its time is over, 499 when its client is gone. */
  within<T>(exchange: Exchange, work: Promise<T>): Promise<T> {
    const { cancellation } = exchange
    const calledAt = (exchange.calledAt ??= performance.now())
    return new Promise((resolve, reject) => {
      const leave = () => reject(gone(exchange))
      cancellation.onEnd(leave)
      work.then(
        (value) => {
          exchange.calledMs = performance.now() - calledAt
          cancellation.offEnd(leave)
          resolve(value)
        },
        (error) => {
          cancellation.offEnd(leave)
          reject(refusalOf(error))
        },
      )
    })
  }

  /** A place in the pool, waited for where it must be; not one of a client that left while it waited. */
  async #enter(exchange: Exchange, pool: string, items: number): Promise<Ticket> {
    const { gate } = this.#parts
    // While policies or other nodes were asked.
    if (exchange.cancellation.aborted) throw gone(exchange)
    const entering = gate.enter(pool, exchange.principal, exchange.cancellation, items)
    if (!(entering instanceof Promise)) return entering
    const before = performance.now()
    const ticket = await entering
    exchange.queueMs += performance.now() - before
    if (!exchange.cancellation.aborted) return ticket
    ticket.leave()
    throw gone(exchange)
  }

  #leaver(ticket: Ticket): () => void {
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#inFlight--
      ticket.leave()
    }
  }

  /** What hardens the answer: looked up after the model ran, so that a lease granted meanwhile already counts. */
  hardening(exchange: Exchange): Hardener | undefined {
    const { hardening } = this.#standing(exchange, this.#parts.options.clock())
    exchange.hardening = hardening?.hardener.level ?? 'none'
    exchange.lease = hardening?.lease ?? null
    return hardening?.hardener
  }

  /**
   * Refuses what lies where an attack goes around, whoever asks, as the ordinary quota would.
   *
   * @throws Refusal `THROTTLED`
   */
  keepAway(exchange: Exchange): void {
    const { enforcement, options } = this.#parts
    const now = options.clock()
    const { model, principal, fingerprints } = exchange
    const around = enforcement.around({ model: model ?? '', principal }, fingerprints, now)
    if (around !== undefined) admit([around], 1, now)
  }

  #choose(model: ModelInfo, now: number): string {
    return this.#parts.pools.choose(model.name, now, (pool) => this.#infoIn(pool, model) !== undefined)
  }

  /** The model as a pool has it. */
  #infoIn(pool: string, model: ModelInfo): ModelInfo | undefined {
    const { runtime, text } = this.#parts.options
    const asked = model.operations.includes('infer') ? runtime : text
    return asked.infoIn === undefined ? model : asked.infoIn(pool, model.name, model.version)
  }

  /** One name may stand for tensors in one pool and for text in another: a client means what its API can ask. */
  #info({ dialect }: Exchange, name: string, version: string): ModelInfo | undefined {
    const { runtime, text } = this.#parts.options
    const [first, other] = dialect === 'openai' ? [text, runtime] : [runtime, text]
    return first.info(name, version) ?? other.info(name, version)
  }

  /** The newest version of those that the client's API can ask, else of the others. */
  #newest({ dialect }: Exchange, name: string): string | undefined {
    const { runtime, text } = this.#parts.options
    const [first, other] = dialect === 'openai' ? [text, runtime] : [runtime, text]
    return versionsIn(first.list(), name).at(-1) ?? versionsIn(other.list(), name).at(-1)
  }

  #standing(exchange: Exchange, now: number): Standing {
    const { principal, organization, keyId, model } = exchange
    const standing = this.#parts.enforcement.standing({ principal, organization, keyId, model: model ?? '' }, now)
    if (standing.denied !== undefined) throw new Refusal('DENIED', 'This key may not be used here.', { lease: standing.denied })
    return standing
  }

  #limitsOf({ principal }: Exchange, { throttles }: Standing, now: number): readonly Limit[] {
    if (this.#ordinary === undefined) return throttles
    return [...throttles, { bucket: this.#ordinary.of(principal, now), lease: null }]
  }
}

/** Nobody waits for the answer any more: the client left, or its time is over. */
function gone({ cancellation }: Exchange): Refusal {
  return cancellation.left ? new Refusal('ABORTED', 'The client went away.') : busy('OVERLOADED', 1)
}

const natural = new Intl.Collator('en', { numeric: true })

/** In natural order: several pools have theirs one after the other. */
function versionsIn(infos: readonly ModelInfo[], name: string): readonly string[] {
  const versions = infos.flatMap((info) => (info.name === name ? [info.version] : []))
  return versions.length > 1 ? [...new Set(versions)].sort(natural.compare) : versions
}
