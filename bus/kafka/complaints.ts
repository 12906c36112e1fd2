import type { Logger } from 'pino'

/** A broker that nothing was wrong with for so long, and that answers, has no trouble any more; milliseconds. */
const quietMs = 10_000
/** Brokers that are complained of at a time; more would be no cluster of ours. */
const most = 1_000

interface Trouble {
  readonly since: number
  last: number
  times: number
}

/**
 * What kafkajs complains of, said once for each broker when it begins and once when it is over: every connection of a
 * process complains of a broker that is away, and again with each try.
 */
export class Complaints {
  readonly #log: Pick<Logger, 'warn' | 'info'> | undefined
  readonly #now: () => number
  readonly #troubles = new Map<string, Trouble>()

  /** @param now monotonic clock, milliseconds */
  constructor(log: Pick<Logger, 'warn' | 'info'> | undefined, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  /** @param broker host and port; empty where none is named */
  note(broker: string, message: string, fields: object): void {
    const now = this.#now()
    const known = this.#troubles.get(broker)
    if (known !== undefined) {
      known.last = now
      known.times++
      return
    }
    if (this.#troubles.size >= most) this.#troubles.clear()
    this.#troubles.set(broker, { since: now, last: now, times: 1 })
    this.#log?.warn(fields, `kafka: ${message}`)
  }

  /** A broker answered. */
  heard(broker: string): void {
    if (this.#troubles.size === 0) return
    const now = this.#now()
    for (const name of [broker, '']) {
      const trouble = this.#troubles.get(name)
      if (trouble === undefined || now - trouble.last < quietMs) continue
      this.#troubles.delete(name)
      const { since, times } = trouble
      this.#log?.info({ broker: name, forMs: Math.round(trouble.last - since), times }, 'kafka: over, the broker answers again')
    }
  }
}
