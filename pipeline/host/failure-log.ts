import type { Logger } from 'pino'
import type { Hosting } from './lane/hosting.ts'
import type { TopicPartition } from './standby/standby.ts'

/** Of failures of one sort the first so many are logged, and then each so many. */
const first = 10
const each = 1_000

/**
 * Says in the process's log what fails while records are applied. Not every failure: one record a millisecond may fail. The key is
 * not said: a scope is often a principal.
 */
export class FailureLog implements Pick<Hosting, 'onFault' | 'onUnapplied'> {
  readonly #log: Logger
  /** By detector. */
  readonly #faults = new Map<string, number>()
  #unapplied = 0

  constructor(log: Logger) {
    this.#log = log
  }

  readonly onFault = (detector: string, error: unknown): void => {
    const seen = (this.#faults.get(detector) ?? 0) + 1
    this.#faults.set(detector, seen)
    if (isSaid(seen)) this.#log.error({ err: error, detector, seen }, 'a detector failed')
  }

  readonly onUnapplied = (at: TopicPartition & { readonly offset: number }, error: unknown): void => {
    const seen = ++this.#unapplied
    const text =
      'the detector host failed on a record and passed over it; this is a defect, and `cordon query unseen` says whom it concerns'
    if (isSaid(seen)) this.#log.error({ err: error, ...at, seen }, text)
  }
}

function isSaid(seen: number): boolean {
  return seen <= first || seen % each === 0
}
