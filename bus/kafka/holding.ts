import { BusError } from '../errors.ts'
import { Pause } from '../pause.ts'
import type { BusRecord, ConsumerOptions, PartitionControl } from '../port.ts'
import type { Place } from '../sharing.ts'
import { toBusError } from './failures.ts'
import type { Source } from './reader.ts'

export interface HoldingContext {
  /** The topic's name in the cluster. */
  readonly name: string
  readonly options: ConsumerOptions
  readonly commit: (name: string, offset: number, signal: AbortSignal) => Promise<void>
  /** Whether the group confirmed the member within the session. */
  readonly confirmed: () => boolean
  /** What was fetched is done with. */
  readonly onIdle: () => void
}

/** One partition in the hands of this member, from its assignment to its revocation. */
export class Holding implements Source, Place {
  readonly topic: string
  readonly name: string
  readonly partition: number
  position = 0
  /** The group gave it to another member without asking. */
  lost = false
  readonly #context: HoldingContext
  readonly #control: PartitionControl
  readonly #abort = new AbortController()
  readonly #lost = new AbortController()
  #handling: Promise<void> | null = null
  #opening: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | null = null
  #committing: Promise<void> = Promise.resolve()
  #assigned = false
  #over = false

  constructor({ topic, partition }: Place, context: HoldingContext) {
    this.topic = topic
    this.partition = partition
    this.name = context.name
    this.#context = context
    this.#control = {
      commit: (offset) => this.#commit(offset),
      signal: this.signal,
      held: () => !this.#over && !this.lost && context.confirmed(),
    }
  }

  /** Aborted when it is to be let go of. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /**
   * Asks the member where to begin and `startOf` what that comes to, until both succeed or the partition goes;
   * `onFailed` is told of each failure. True where it is to be read now.
   */
  open(startOf: (given: number | undefined) => Promise<number>, onFailed: () => void): Promise<boolean> {
    const opening = this.#open(startOf, onFailed)
    this.#opening = opening
    return opening
  }

  async #open(startOf: (given: number | undefined) => Promise<number>, onFailed: () => void): Promise<boolean> {
    const { onAssigned, onError } = this.#context.options
    const pause = new Pause()
    while (!this.signal.aborted) {
      try {
        const given = await onAssigned?.(this.topic, this.partition, this.#control)
        this.#assigned = true
        if (this.signal.aborted) return false
        this.position = await startOf(given)
        return !this.signal.aborted
      } catch (error) {
        onFailed()
        if (this.signal.aborted) return false
        onError?.(error)
        await pause.wait(this.signal)
      }
    }
    return false
  }

  idle(): boolean {
    return this.#handling === null && !this.signal.aborted
  }

  take(records: readonly BusRecord[], end: number): void {
    if (records.length === 0 || this.signal.aborted) return
    this.#handling = this.#handle(records, end).finally(() => {
      this.#handling = null
      this.#context.onIdle()
    })
  }

  async #handle(records: readonly BusRecord[], end: number): Promise<void> {
    const { maxBatch = 1_000 } = this.#context.options
    for (let from = 0; from < records.length && !this.signal.aborted; from += maxBatch) {
      await this.#deliver(records.slice(from, from + maxBatch), end)
    }
  }

  /** Hands over a batch until the handler takes it, or the partition goes. */
  async #deliver(records: readonly BusRecord[], end: number): Promise<void> {
    const { topic, partition } = this
    const { onBatch, onError } = this.#context.options
    const pause = new Pause()
    while (!this.signal.aborted) {
      try {
        return await onBatch({ topic, partition, records, end }, this.#control)
      } catch (error) {
        onError?.(error)
        await pause.wait(this.signal)
      }
    }
  }

  lose(): void {
    this.lost = true
    this.#lost.abort()
    this.#abort.abort()
  }

  /** Waits for the running handler, then for `onRevoked`. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#abort.abort()
    await this.#opening
    await this.#handling
    const { onRevoked, onError } = this.#context.options
    if (this.#assigned) await onRevoked?.(this.topic, this.partition).catch((error: unknown) => onError?.(error))
    await this.#committing
    this.#over = true
  }

  /** One after another, so that the last is the one that stands. */
  #commit(offset: number): Promise<void> {
    const committed = this.#committing.then(() => this.#commitNow(offset))
    this.#committing = committed.catch(() => {})
    return committed
  }

  async #commitNow(offset: number): Promise<void> {
    const place = `${this.topic}/${this.partition}`
    if (!Number.isSafeInteger(offset) || offset < 0) throw new BusError('INVALID_RECORD', `committing ${place}: ${offset} is not an offset`)
    if (this.#over || this.lost) throw new BusError('PARTITION_LOST', `committing ${place}@${offset}: another member has the partition`)
    try {
      await this.#context.commit(this.name, offset, this.#lost.signal)
    } catch (error) {
      throw toBusError(error, `committing ${place}@${offset}`)
    }
  }
}
