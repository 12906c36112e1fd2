import { LastUsed } from '../bounded/last-used.ts'
import type { Instant } from '../schemas/index.ts'

/** Sources that are kept in mind of one principal; the one that was used least lately goes first. */
const mostSources = 16

interface Known {
  /** When the principal was seen first. */
  readonly since: Instant
  /** By source: when it was seen first. */
  readonly sources: LastUsed<string, Instant>
}

/**
 * Whether a principal calls from a place that is unusual for it: one that it began to use within `settleMs`, though it has called for
 * longer than that. A node that has just begun takes nobody's place for new. Pure: time is an argument.
 */
export class Places {
  readonly #settleMs: number
  readonly #byPrincipal: LastUsed<string, Known>

  /** @param most principals that are kept in mind; the one that called least lately goes first */
  constructor(settleMs: number, most: number) {
    this.#settleMs = settleMs
    this.#byPrincipal = new LastUsed(most)
  }

  /** @param source an address, or a network whose addresses one subscriber has */
  isNew(principal: string, source: string, now: Instant): boolean {
    let known = this.#byPrincipal.get(principal)
    if (known === undefined) {
      known = { since: now, sources: new LastUsed(mostSources) }
      this.#byPrincipal.set(principal, known)
    }
    let first = known.sources.get(source)
    if (first === undefined) {
      first = now
      known.sources.set(source, first)
    }
    return now - known.since >= this.#settleMs && now - first < this.#settleMs
  }
}
