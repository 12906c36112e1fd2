import type { Cancellation } from '../port.ts'
import { busy } from './pools.ts'

/** A place among the requests that run. */
export interface Ticket {
  /** Gives the place back; to be called once, however the request ended. */
  leave(): void
}

export interface GateOptions {
  readonly pools: readonly { readonly name: string; readonly concurrency: number }[]
}

/** Lets so many requests of each pool run at once. */
export class Gate {
  readonly #room: Map<string, number>

  constructor({ pools }: GateOptions) {
    this.#room = new Map(pools.map(({ name, concurrency }) => [name, concurrency]))
  }

  /** Requests that wait for a place in a pool. */
  waiting(_pool: string): number {
    return 0
  }

  /** @throws Refusal `OVERLOADED` */
  enter(pool: string, _principal: string, _cancellation: Cancellation): Ticket | Promise<Ticket> {
    const room = this.#room.get(pool) ?? 0
    if (room === 0) throw busy('OVERLOADED', 1)
    this.#room.set(pool, room - 1)
    return { leave: () => void this.#room.set(pool, (this.#room.get(pool) ?? 0) + 1) }
  }
}
