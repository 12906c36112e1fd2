import { performance } from 'node:perf_hooks'
import type { Logger } from 'pino'

/** How often models are asked about; after a failure sooner, and then ever less often. Milliseconds. */
const every = 30_000
const first = 500

/** Asks about models now and then, and tells the log once what is odd about each. */
export class Refresh {
  readonly #log: Logger
  readonly #pool: string
  /** What was said last about each model, at most those of the pool. */
  readonly #told = new Map<string, string>()
  #dueAt = Number.NEGATIVE_INFINITY
  #pause = first
  #asking = false

  constructor(log: Logger, pool: string) {
    this.#log = log
    this.#pool = pool
  }

  /** @param ask returns what is odd about a model, if anything, and throws where it cannot be asked about; nobody else is asked meanwhile */
  async when(models: readonly string[], ask: (model: string) => Promise<string | undefined>): Promise<void> {
    if (this.#asking || performance.now() < this.#dueAt) return
    this.#asking = true
    let failed = false
    for (const model of models) {
      try {
        this.#tell(model, await ask(model))
      } catch (error) {
        failed = true
        this.#tell(model, `asking about it failed: ${reasonOf(error)}`)
      }
    }
    this.#asking = false
    this.#pause = failed ? Math.min(every, this.#pause * 2) : first
    this.#dueAt = performance.now() + (failed ? this.#pause : every)
  }

  #tell(model: string, odd: string | undefined): void {
    if (odd === this.#told.get(model)) return
    if (odd === undefined) {
      this.#told.delete(model)
      return this.#log.info({ pool: this.#pool, model }, 'upstream: a model is as it should be')
    }
    this.#told.set(model, odd)
    this.#log.warn({ pool: this.#pool, model, odd }, 'upstream: a model is not as expected')
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message.slice(0, 200)
}
