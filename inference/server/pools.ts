import type { Containment, Instant } from '../../schemas/index.ts'
import type { Runtime } from '../port.ts'
import type { Pool } from './options.ts'
import { Refusal } from './refusal.ts'

/** Longest pause that a client is asked for: a drained pool may come back before its lease runs out. */
const longestRetrySeconds = 60
/** What a client is asked to wait for a pool whose worker restarts, or whose endpoints are away. */
const awaySeconds = 5

/** How busy a pool is, waiting requests included, and whether it takes work at all. */
export type PoolLoad = Pick<Runtime, 'depth' | 'ready'>

/** Chooses where a request runs. A quarantined pool gets nothing new; what runs there finishes. */
export class Pools {
  readonly #byModel = new Map<string, readonly string[]>()
  readonly #load: PoolLoad
  readonly #quarantine: (pool: string, now: Instant) => Containment | undefined
  /** Where the search begins, so that equally idle pools take turns. */
  #turn = 0

  constructor(pools: readonly Pool[], load: PoolLoad, quarantine: (pool: string, now: Instant) => Containment | undefined) {
    this.#load = load
    this.#quarantine = quarantine
    for (const { name, models } of pools) {
      for (const model of models) this.#byModel.set(model, [...(this.#byModel.get(model) ?? []), name])
    }
  }

  serves(model: string): boolean {
    return this.#byModel.has(model)
  }

  /**
   * The pool with the fewest requests among those that serve the model and take work; away is a pool whose worker or endpoints do not run.
   *
   * @param has whether a pool has what is asked for: several pools may serve one model in different versions, or for different operations
   * @throws Refusal `NOT_FOUND` where no pool serves it, `QUARANTINED` where all are, `OVERLOADED` where some are away instead
   */
  choose(model: string, now: Instant, has: (pool: string) => boolean = () => true): string {
    const serving = this.#byModel.get(model)
    if (serving === undefined) throw new Refusal('NOT_FOUND', 'There is no such model.')
    const pools = serving.length === 1 ? serving : serving.filter(has)
    // It was there a moment ago: its pool reads its models anew.
    if (pools.length === 0) throw busy('OVERLOADED', awaySeconds)
    let chosen: string | undefined
    let least = Number.POSITIVE_INFINITY
    let lease: Containment | undefined
    let away = false
    this.#turn = (this.#turn + 1) % 0x3fffffff
    for (let i = 0; i < pools.length; i++) {
      const pool = pools[(i + this.#turn) % pools.length] as string
      const contained = this.#quarantine(pool, now)
      if (contained !== undefined) {
        if (lease === undefined || contained.until < lease.until) lease = contained
        continue
      }
      if (!this.#load.ready(pool)) {
        away = true
        continue
      }
      const depth = this.#load.depth(pool)
      if (depth >= least) continue
      least = depth
      chosen = pool
    }
    if (chosen === undefined) throw away ? busy('OVERLOADED', awaySeconds) : drained(lease, now)
    return chosen
  }
}

function drained(lease: Containment | undefined, now: Instant): Refusal {
  const seconds = lease === undefined ? 1 : Math.min(longestRetrySeconds, Math.max(1, Math.ceil((lease.until - now) / 1_000)))
  return busy('QUARANTINED', seconds, lease?.id)
}

/** The same words whatever the reason. */
export function busy(code: 'QUARANTINED' | 'OVERLOADED', seconds: number, lease?: string, cause?: unknown): Refusal {
  const headers = { 'retry-after': String(seconds) }
  return new Refusal(code, `The model has no capacity at the moment: try again in ${seconds} s.`, {
    headers,
    cause,
    ...(lease === undefined ? {} : { lease }),
  })
}
