import type { Instant } from '../schemas/index.ts'

/** Sources that are kept in mind of one principal; the one that was used least lately goes first. */
const mostSources = 16

interface Known {
  /** When the principal was seen first. */
  readonly since: Instant
  /** By source: when it was seen first. The one that was used last is last. */
  readonly sources: Map<string, Instant>
}

/**
 * Whether a principal calls from a place that is unusual for it: one that it began to use within `settleMs`, though it has called for
 * longer than that. A node that has just begun takes nobody's place for new. Pure: time is an argument.
 */
export class Places {
  readonly #settleMs: number
  readonly #most: number
  readonly #byPrincipal = new Map<string, Known>()

  /** @param most principals that are kept in mind; the one that called least lately goes first */
  constructor(settleMs: number, most: number) {
    this.#settleMs = settleMs
    this.#most = most
  }

  /** @param source an address, or a network whose addresses one subscriber has */
  isNew(principal: string, source: string, now: Instant): boolean {
    const known = this.#byPrincipal.get(principal) ?? { since: now, sources: new Map<string, Instant>() }
    renew(this.#byPrincipal, principal, known, this.#most)
    const first = known.sources.get(source) ?? now
    renew(known.sources, source, first, mostSources)
    return now - known.since >= this.#settleMs && now - first < this.#settleMs
  }
}

/** Puts the entry last; where that makes one too many, the first goes. */
function renew<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= most) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
