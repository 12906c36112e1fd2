import { StoreError } from './errors.ts'

/** Lends each of so many things to one user at a time, in the order of asking; so many may wait, the next is refused. */
export class ReadGate<T> {
  readonly #things: readonly T[]
  readonly #free: T[]
  readonly #depth: number
  readonly #waiting: ((thing: T) => void)[] = []
  readonly #onIdle: (() => void)[] = []

  constructor(things: readonly T[], depth: number) {
    this.#things = things
    this.#free = [...things]
    this.#depth = depth
  }

  /** @throws StoreError `STORE_UNAVAILABLE` when too many wait already */
  async run<R>(read: (thing: T) => Promise<R>): Promise<R> {
    const thing = await this.#take()
    try {
      return await read(thing)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free.push(thing)
      else next(thing)
      if (this.#free.length === this.#things.length) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  /** Resolves when nothing is lent. */
  idle(): Promise<void> {
    return this.#free.length === this.#things.length ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve))
  }

  async #take(): Promise<T> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#waiting.length >= this.#depth) {
      throw new StoreError('STORE_UNAVAILABLE', `asking the store: ${this.#depth} questions wait already; ask again later`)
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
