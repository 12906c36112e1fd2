import type { Logger } from 'pino'
import type { Instant } from '../../schemas/index.ts'

/** A trouble that did not come again for so long is over. */
const quietMs = 10_000
/** Different troubles at a time; there are fewer than that. */
const most = 64

interface Trouble {
  readonly since: Instant
  last: Instant
  times: number
}

/**
 * What goes wrong again and again, said once when it begins and once when it is over: a log line for each lost event would be
 * the next thing to fill the disk.
 */
export class Troubles {
  readonly #clock: () => Instant
  readonly #log: Logger
  readonly #troubles = new Map<string, Trouble>()

  constructor(clock: () => Instant, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  /** @param what the sentence that is logged; one trouble for each */
  note(what: string, error?: unknown): void {
    const now = this.#clock()
    const known = this.#troubles.get(what)
    if (known === undefined) {
      if (this.#troubles.size >= most) return
      this.#troubles.set(what, { since: now, last: now, times: 1 })
      this.#log.error({ err: error }, what)
    } else {
      known.last = now
      known.times++
    }
  }

  /** Says which are over. */
  settle(): void {
    if (this.#troubles.size === 0) return
    const now = this.#clock()
    for (const [what, { since, last, times }] of this.#troubles) {
      // A clock that was set back settles nothing before it is where it was.
      if (now - last < quietMs) continue
      this.#troubles.delete(what)
      this.#log.info({ since, times }, `over: ${what}`)
    }
  }
}
