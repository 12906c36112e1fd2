import { StoreError } from './errors.ts'

/** Lets so many reads run at a time, and so many wait in order; the next is refused. */
export class ReadGate {
  readonly #width: number
  readonly #depth: number
  #running = 0
  readonly #waiting: (() => void)[] = []
  readonly #onIdle: (() => void)[] = []

  constructor(width: number, depth: number) {
    this.#width = width
    this.#depth = depth
  }

  /** @throws StoreError `STORE_BUSY` when too many wait already */
  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running++
    else {
      if (this.#waiting.length >= this.#depth) throw new StoreError('STORE_BUSY', `asking the store: ${this.#depth} questions wait already; ask again later`)
      // Whoever ends hands its place on, so the count stays.
      await new Promise<void>((resume) => this.#waiting.push(resume))
    }
    try {
      return await read()
    } finally {
      const next = this.#waiting.shift()
      if (next !== undefined) next()
      else if (--this.#running === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  /** Resolves when nothing runs or waits. */
  idle(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve))
  }
}
