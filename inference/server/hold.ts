import type { Budget } from './budget.ts'
import { busy } from './pools.ts'
import { Refusal } from './refusal.ts'

/** Bytes of the budget that one request has. */
export class Hold {
  readonly #budget: Budget
  readonly #principal: string
  readonly #now: () => number
  #bytes = 0
  #released = false

  constructor(budget: Budget, principal: string, now: () => number) {
    this.#budget = budget
    this.#principal = principal
    this.#now = now
  }

  /** @throws Refusal `OVERLOADED` where there is no room for so many more; `ABORTED` where nobody would give them back */
  grow(bytes: number): void {
    if (this.#released) throw new Refusal('ABORTED', 'The client went away.')
    if (!this.#budget.reserve(this.#principal, bytes, this.#now())) throw busy('OVERLOADED', 1)
    this.#bytes += bytes
  }

  release(): void {
    this.#budget.release(this.#principal, this.#bytes)
    this.#bytes = 0
    this.#released = true
  }
}
