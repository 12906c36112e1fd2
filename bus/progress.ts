import { BusError } from './errors.ts'
import type { BusRecord, Position } from './port.ts'

type Place = Pick<Position, 'partition' | 'offset'>

interface Waiter extends Place {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** How far a reader has come in each partition, and who waits for it to come further. */
export class Progress {
  readonly #newest = new Map<number, number>()
  #waiters: Waiter[] = []
  #closed = false

  /** Records of one partition were taken in. */
  note(records: readonly BusRecord[]): void {
    const last = records.at(-1)
    if (last === undefined) return
    this.#newest.set(last.partition, last.offset)
    if (this.#waiters.length === 0) return
    const done = this.#waiters.filter((waiter) => this.#has(waiter))
    if (done.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => !this.#has(waiter))
    for (const { resolve } of done) resolve()
  }

  /** Resolves when the record at the position, or a later one of its partition, was taken in. */
  reached(place: Place): Promise<void> {
    if (this.#has(place)) return Promise.resolve()
    if (this.#closed) return Promise.reject(closedError())
    return new Promise((resolve, reject) => this.#waiters.push({ ...place, resolve, reject }))
  }

  close(): void {
    this.#closed = true
    for (const { reject } of this.#waiters.splice(0)) reject(closedError())
  }

  #has({ partition, offset }: Place): boolean {
    return (this.#newest.get(partition) ?? -1) >= offset
  }
}

function closedError(): BusError {
  return new BusError('BUS_CLOSED', 'waiting for a record: the reader was closed first')
}
