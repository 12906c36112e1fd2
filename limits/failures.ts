import type { Instant } from '../schemas/index.ts'

interface Run {
  count: number
  since: Instant
}

/** Failed calls of each principal, lately. Bounded: who failed longest ago goes first. */
export class Failures {
  readonly #most: number
  readonly #byPrincipal = new Map<string, Run>()

  constructor(most: number) {
    this.#most = most
  }

  note(principal: string, windowMs: number, now: Instant): void {
    const run = this.#byPrincipal.get(principal)
    this.#byPrincipal.delete(principal)
    if (run !== undefined && now - run.since < windowMs) this.#byPrincipal.set(principal, { ...run, count: run.count + 1 })
    else this.#byPrincipal.set(principal, { count: 1, since: now })
    if (this.#byPrincipal.size <= this.#most) return
    const oldest = this.#byPrincipal.keys().next()
    if (oldest.done !== true) this.#byPrincipal.delete(oldest.value)
  }

  of(principal: string, windowMs: number, now: Instant): number {
    const run = this.#byPrincipal.get(principal)
    return run !== undefined && now - run.since < windowMs ? run.count : 0
  }
}
