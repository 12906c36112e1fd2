import { BusError } from '../errors.ts'
import { Pause } from '../pause.ts'
import type { BatchControl, BusRecord, ConsumerOptions } from '../port.ts'
import { toBusError } from './client.ts'

/** One partition in the hands of this member, from its assignment to its revocation. */
export class Holding {
  readonly topic: string
  readonly partition: number
  readonly #options: ConsumerOptions
  readonly #abort = new AbortController()
  /** Commits through the group that the newest batch came from. */
  #commitTo: ((offset: number) => Promise<void>) | null = null
  #handling: Promise<unknown> = Promise.resolve()
  #assigned = false
  #over = false
  /** Its first offset has been decided, and fetching begun. */
  positioned = false

  constructor(topic: string, partition: number, options: ConsumerOptions) {
    this.topic = topic
    this.partition = partition
    this.#options = options
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Asks the member where to begin, then has `begin` begin there; each until it succeeds or the partition goes. */
  async open(begin: (given: number | undefined) => Promise<void>, onFirst: () => void): Promise<void> {
    const pause = new Pause()
    while (!this.signal.aborted) {
      try {
        const given = await this.#options.onAssigned?.(this.topic, this.partition)
        this.#assigned = true
        if (this.signal.aborted) return
        await begin(given)
        this.positioned = true
        return onFirst()
      } catch (error) {
        onFirst()
        if (this.signal.aborted) return
        this.#options.onError?.(error)
        await pause.wait(this.signal)
      }
    }
  }

  /** Hands over a batch until the handler takes it; false where the partition went first. */
  async deliver(records: readonly BusRecord[], end: number, commitTo: (offset: number) => Promise<void>): Promise<boolean> {
    this.#commitTo = commitTo
    const control: BatchControl = { commit: (offset) => this.#commit(offset), signal: this.signal, held: () => !this.#over }
    const { topic, partition } = this
    const pause = new Pause()
    while (!this.signal.aborted) {
      try {
        const handling = this.#options.onBatch({ topic, partition, records, end }, control)
        this.#handling = handling.catch(() => {})
        await handling
        return true
      } catch (error) {
        this.#options.onError?.(error)
        await pause.wait(this.signal)
      }
    }
    return false
  }

  abort(): void {
    this.#abort.abort()
  }

  /** Waits for the running handler, then for `onRevoked`. */
  async close(): Promise<void> {
    this.abort()
    await this.#handling
    if (this.#assigned) {
      this.#assigned = false
      await this.#options.onRevoked?.(this.topic, this.partition).catch((error: unknown) => this.#options.onError?.(error))
    }
    this.#over = true
  }

  async #commit(offset: number): Promise<void> {
    const place = `${this.topic}/${this.partition}`
    if (!Number.isSafeInteger(offset) || offset < 0) throw new BusError('INVALID_RECORD', `committing ${place}: ${offset} is not an offset`)
    if (this.#over || this.#commitTo === null)
      throw new BusError('PARTITION_LOST', `committing ${place}@${offset}: another member has the partition`)
    try {
      await this.#commitTo(offset)
    } catch (error) {
      throw toBusError(error, `committing ${place}@${offset}`)
    }
  }
}
