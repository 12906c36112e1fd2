import { LastUsed } from '../bounded/last-used.ts'
import type { Instant } from '../schemas/index.ts'

interface Run {
  readonly count: number
  readonly since: Instant
}

/** Failed calls of each principal, lately. Bounded: who failed longest ago goes first. */
export class Failures {
  readonly #byPrincipal: LastUsed<string, Run>

  constructor(most: number) {
    this.#byPrincipal = new LastUsed(most)
  }

  note(principal: string, windowMs: number, now: Instant): void {
    const run = this.#byPrincipal.peek(principal)
    const goesOn = run !== undefined && now - run.since < windowMs
    this.#byPrincipal.set(principal, goesOn ? { count: run.count + 1, since: run.since } : { count: 1, since: now })
  }

  of(principal: string, windowMs: number, now: Instant): number {
    const run = this.#byPrincipal.peek(principal)
    return run !== undefined && now - run.since < windowMs ? run.count : 0
  }
}
