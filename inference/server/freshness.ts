import type { Logger } from 'pino'
import { Gauge, type Registry } from 'prom-client'
import type { Instant } from '../../schemas/index.ts'

/**
 * What a node does that knows of containments, keys and models only how they were too long ago:
 *
 * - `fail-open`: enforces no containment. Keys are verified by what is known.
 * - `last-known`: goes on with what is known; leases end at their expiry all the same.
 * - `fail-closed`: refuses everyone with 503.
 */
export type ControlLost = 'fail-open' | 'last-known' | 'fail-closed'

export interface ControlOptions {
  /** How old the node may find what it knows of the control topics, milliseconds. */
  readonly boundMs: number
  /** What it does beyond that. */
  readonly lost: ControlLost
}

/** A reader of a control topic. */
export interface ControlSource {
  /** Milliseconds since it last held for certain all there was. */
  staleMs(): number
}

export interface FreshnessOptions extends ControlOptions {
  readonly sources: readonly ControlSource[]
  readonly clock: () => Instant
  readonly log: Logger
  readonly registry: Registry
}

/** A reader that never held all there was is this old: a finite number, since it goes on the log. */
const neverMs = 365 * 24 * 60 * 60 * 1_000

/**
 * Whether the node still knows what it has to enforce. {@link look} asks the readers, which takes three comparisons, and
 * is called once for each request; {@link mode} is what it found.
 */
export class Freshness {
  readonly #options: FreshnessOptions
  readonly #regained: (() => void)[] = []
  #since: Instant | null = null

  constructor(options: FreshnessOptions) {
    this.#options = options
    options.registry.registerMetric(
      new Gauge({
        name: 'cordon_control_stale_seconds',
        help: 'Age of what this node knows of containments, keys and models',
        registers: [],
        collect: function () {
          this.set(staleMsOf(options.sources) / 1_000)
        },
      }),
    )
  }

  /** Age of what is known of the control topics, milliseconds. */
  get staleMs(): number {
    return staleMsOf(this.#options.sources)
  }

  /** Null while it is young enough. */
  get mode(): ControlLost | null {
    return this.#since === null ? null : this.#options.lost
  }

  /** Up to when everything was known, while that is too long ago; else null. */
  get since(): Instant | null {
    return this.#since
  }

  /** Has `listener` called each time that everything is known again. */
  onRegained(listener: () => void): void {
    this.#regained.push(listener)
  }

  /** Asks the readers. Says once that too much is unknown, and once that all is known again. */
  look(): ControlLost | null {
    const { boundMs, lost, clock, log } = this.#options
    const { staleMs } = this
    if (staleMs > boundMs === (this.#since !== null)) return this.mode
    if (this.#since === null) {
      this.#since = clock() - staleMs
      log.error({ staleMs, boundMs, lost }, `node: containments, keys and models cannot be read; ${deeds[lost]}`)
    } else {
      log.warn({ unknownSince: this.#since, lost }, 'node: containments, keys and models are known again')
      this.#since = null
      for (const listener of this.#regained) listener()
    }
    return this.mode
  }
}

/** For people who may know. */
export const deeds: Readonly<Record<ControlLost, string>> = {
  'fail-open': 'enforcing no containment (fail-open)',
  'last-known': 'enforcing what was known last (last-known)',
  'fail-closed': 'refusing every request (fail-closed)',
}

function staleMsOf(sources: readonly ControlSource[]): number {
  let most = 0
  for (const source of sources) most = Math.max(most, source.staleMs())
  return most < neverMs ? most : neverMs
}
